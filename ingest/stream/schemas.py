"""What the stream's views answer with."""

from ingest.http.schemas import AnswerSchema, example_of, integer, string


class TicketSchema(AnswerSchema):
    """A ticket for one stream."""

    example = example_of(ticket="Zk1pT0xJd2VxY2h0dGhlcmU2M2k1cQ", expires_in=60)

    ticket = string("Put it into the stream's URL as `?ticket=`; it works once.")
    expires_in = integer("For so many seconds it may be used.")
