"""The outbox itself: messages written in the transaction of a change, numbered per user.

A user's number moves under a lock of its own row until the commit. So whoever sees a message sees
all earlier ones of that user, and a reader who knows the last number has missed nothing.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, text

from db import copying
from db.copying import copy_in, of_bytes, of_large, of_moment, of_text, of_word
from db.together import Together


class MessageType(StrEnum):
    """What a message tells of (contract §9)."""

    TOKENS_CHANGED = "tokens.changed"
    TOKENS_LOW = "tokens.low"
    TOKENS_EXHAUSTED = "tokens.exhausted"
    SUBSCRIPTION_CHANGED = "subscription.changed"
    ACCESS_CHANGED = "access.changed"
    PAYMENT_PAID = "payment.paid"
    PAYMENT_FAILED = "payment.failed"
    PAYMENT_REFUNDED = "payment.refunded"
    PAYMENT_DISPUTED = "payment.disputed"
    TRIAL_ENDING = "trial.ending"


class Message(NamedTuple):
    """What a user is to be told: `data` is the whole state as the API shows it."""

    user_id: str
    type: MessageType
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """A message of the outbox; `version` is its number among those of its user."""

    user_id: str
    version: int
    type: str
    data: Any
    created_at: datetime

    def body(self) -> bytes:
        """The message as it is sent, as JSON."""
        return orjson.dumps(self.as_json())

    def as_json(self) -> dict[str, Any]:
        """The message as everybody is told it (contract §9)."""
        return {
            "type": self.type,
            "user": self.user_id,
            "version": self.version,
            "created_at": self.created_at,
            "data": self.data,
        }


def write(connection: Connection, messages: Sequence[Message]) -> set[str]:
    """Write messages in the transaction of what they tell; returns the users who are told.

    The messages of one user get numbers in this order. Call it after every other lock was taken,
    token accounts too: the users' numbers stay locked until the commit.
    """
    return write_last(Together(connection), messages)


def write_last(together: Together, messages: Sequence[Message]) -> set[str]:
    """As `write`, with whatever waits to go over together."""
    if len(messages) >= copying.COPIED_MIN:
        together.run()
        return _copy(together.connection, messages)
    rows = [
        {"user_id": message.user_id, "type": message.type.value, "data": message.data}
        for message in messages
    ]
    if rows:
        together.add(_WRITE, messages=orjson.dumps(rows).decode())
    together.run()
    return {message.user_id for message in messages}


def _copy(connection: Connection, messages: Sequence[Message]) -> set[str]:
    """Write many messages: numbers are given by one statement, the rows go over by COPY."""
    numbers = Counter(message.user_id for message in messages)
    users = sorted(numbers)
    wanted = {"users": users, "numbers": [numbers[user_id] for user_id in users]}
    told = connection.execute(_NUMBER, wanted).all()
    for row in told:
        numbers[row.user_id] = row.version - numbers[row.user_id]
    # Given, because rows with a default that changes are copied one by one.
    written_at = of_moment(told[-1].at)
    rows = []
    for message in sorted(messages, key=lambda message: message.user_id):
        numbers[message.user_id] += 1
        rows.append(
            (
                of_text(message.user_id),
                of_large(numbers[message.user_id]),
                of_word(message.type),
                of_bytes(orjson.dumps(message.data)),
                written_at,
            )
        )
    copy_in(connection, "outbox", _COPIED, rows)
    return set(users)


def after(
    connection: Connection, versions: Mapping[str, int], *, limit: int
) -> dict[str, list[Written]]:
    """Of each user the messages after this version, in their order, up to `limit` a user."""
    wanted = {"users": list(versions), "versions": list(versions.values()), "limit": limit}
    written: dict[str, list[Written]] = {user_id: [] for user_id in versions}
    for row in connection.execute(_AFTER, wanted).mappings():
        written[row["user_id"]].append(Written(**row))
    return written


def newest(connection: Connection, user_ids: Collection[str]) -> dict[str, int]:
    """The newest version of each of these users; who was never told anything is left out."""
    rows = connection.execute(_NEWEST, {"users": list(user_ids)})
    return {row.user_id: row.version for row in rows}


_COPIED = ("user_id", "version", "type", "data", "created_at")
_NUMBER = text(
    """
    INSERT INTO outbox_users (user_id, version)
    SELECT user_id, number
    FROM unnest(CAST(:users AS text[]), CAST(:numbers AS bigint[])) AS new (user_id, number)
    ORDER BY user_id
    ON CONFLICT (user_id) DO UPDATE
    SET version = outbox_users.version + EXCLUDED.version, is_pending = true
    RETURNING user_id, version, clock_timestamp() AS at
    """
)
_WRITE = """
    WITH new AS (
        SELECT user_id, type, data, place
        FROM ROWS FROM (
            json_to_recordset(CAST(:messages AS json)) AS (user_id text, type text, data json)
        ) WITH ORDINALITY AS rows (user_id, type, data, place)
    ), numbered AS (
        INSERT INTO outbox_users (user_id, version)
        SELECT user_id, count(*) FROM new GROUP BY user_id ORDER BY user_id
        ON CONFLICT (user_id) DO UPDATE
        SET version = outbox_users.version + EXCLUDED.version, is_pending = true
        RETURNING user_id, version
    )
    INSERT INTO outbox (user_id, version, type, data)
    SELECT user_id,
           version - count(*) OVER (PARTITION BY user_id)
                   + row_number() OVER (PARTITION BY user_id ORDER BY place),
           type, data
    FROM new JOIN numbered USING (user_id)
    ORDER BY user_id, place
    """
_AFTER = text(
    """
    SELECT message.*
    FROM unnest(CAST(:users AS text[]), CAST(:versions AS bigint[])) AS known (user_id, version)
    CROSS JOIN LATERAL (
        SELECT user_id, version, type, data, created_at FROM outbox
        WHERE outbox.user_id = known.user_id AND outbox.version > known.version
        ORDER BY outbox.version LIMIT :limit
    ) AS message
    ORDER BY message.user_id, message.version
    """
)
_NEWEST = text(
    "SELECT user_id, version FROM outbox_users WHERE user_id = ANY(CAST(:users AS text[]))"
)
