"""Reads from the outbox what open streams lack."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Engine

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
            behind = {
                user_id: version
                for user_id, version in wanted.items()
                if version is not None and version < newest.get(user_id, 0)
            }
            written = messages.after(connection, behind, limit=MESSAGES_MAX) if behind else {}
        news = {user_id: News(newest.get(user_id, 0)) for user_id in wanted}
        return news | {
            user_id: _news(version, newest[user_id], written[user_id])
            for user_id, version in behind.items()
        }


def _news(version: int, newest: int, written: Sequence[Written]) -> News:
    # Versions of a user have no holes, but what everybody was told is dropped in the end.
    has_gap = not written or written[0].version != version + 1
    return News(newest, tuple(map(_message, written)), has_gap)


def _message(written: Written) -> Message:
    # Server-Sent Events end a line's value at a line break; JSON has none of its own.
    return Message(written.version, written.type, written.body().decode())
