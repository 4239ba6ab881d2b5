"""What Stripe is answered, as OpenAPI shows it."""

from ingest.http.schemas import AnswerSchema, shown, truth


class ReceivedSchema(AnswerSchema):
    """The answer to Stripe."""

    example = shown(received=True)

    received = truth("Always true: the event is on durable storage.")
