"""The bodies of the inbox with the signatures that came with them, page by page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

PAGE = 500


@dataclass(frozen=True, slots=True)
class Signed:
    """A stored event; `signature` is the header, None where none came or none was kept."""

    event_id: str
    source: str
    body: bytes
    signature: str | None


def pages(connection: Connection, since: datetime | None) -> Iterator[Sequence[Signed]]:
    """Every event that was received since then, or ever, in the order they came."""
    options = {"stream_results": True, "max_row_buffer": PAGE}
    rows = connection.execute(_ALL, {"since": since}, execution_options=options)
    for page in rows.partitions(PAGE):
        yield [Signed(row.id, row.source, bytes(row.body), row.signature) for row in page]


_ALL = text(
    "SELECT id, source, body, signature FROM webhook_events"
    " WHERE CAST(:since AS timestamptz) IS NULL OR received_at >= :since"
    " ORDER BY received_at, id"
)
