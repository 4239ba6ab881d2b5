"""What Stripe is answered, as OpenAPI shows it."""

from ingest.http.schemas import AnswerSchema, boolean, example_of


class ReceivedSchema(AnswerSchema):
    """The answer to Stripe."""

    example = example_of(received=True)

    received = boolean("Always true: the event is on durable storage.")
