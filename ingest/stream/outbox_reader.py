"""Reads from the outbox what open streams lack."""

from collections.abc import Mapping

import orjson
from sqlalchemy import Connection, Engine

from db.outbox import messages
from db.outbox.messages import Written
from ingest.stream.hub import Message, News

# Of one user at a time; what is left is read next.
MESSAGES_MAX = 200


class OutboxReader:
    """Reads for many users at once, on one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self, wanted: Mapping[str, int | None]) -> dict[str, News]:
        """The news of users after these versions; None asks for the newest version alone.

        Raises `sqlalchemy.exc.SQLAlchemyError` where the database does not answer.
        """
        with self._engine.connect() as connection:
            newest = messages.newest(connection, wanted)
            return {
                user_id: _news(connection, user_id, version, newest.get(user_id, 0))
                for user_id, version in wanted.items()
            }


def _news(connection: Connection, user_id: str, version: int | None, newest: int) -> News:
    if version is None or version >= newest:
        return News(newest)
    written = messages.after(connection, user_id, version, limit=MESSAGES_MAX)
    # Versions of a user have no holes, but what everybody was told is dropped in the end.
    has_gap = not written or written[0].version != version + 1
    return News(newest, tuple(map(_message, written)), has_gap)


def _message(written: Written) -> Message:
    # Server-Sent Events end a line's value at a line break; JSON has none of its own.
    return Message(written.version, written.type, orjson.dumps(written.as_json()).decode())
