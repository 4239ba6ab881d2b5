"""Reads of the inbox for people: lists of events, and one event with its effects."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

from db.bodies import decompress
from domain.origin import FOREIGN, LIVE_IN_TEST, TEST_IN_LIVE


def listed(
    connection: Connection,
    *,
    status: str | None = None,
    event_type: str | None = None,
    user_id: str | None = None,
    limit: int = 50,
) -> Sequence[Row[Any]]:
    """The newest events first, without their bodies.

    `user_id` chooses events that name the user or a Stripe customer of theirs.
    """
    return connection.execute(
        _LISTED, {"status": status, "type": event_type, "user": user_id, "limit": limit}
    ).all()


def counts(connection: Connection) -> dict[str, int]:
    """How many events have each status."""
    return {row.status: row.number for row in connection.execute(_COUNTS)}


def foreign_events(connection: Connection) -> int:
    """How many events of the last day were left alone: of another account, or of the other mode."""
    wanted = {"foreign": f"{FOREIGN}%", "modes": [LIVE_IN_TEST, TEST_IN_LIVE]}
    return int(connection.execute(_FOREIGN_EVENTS, wanted).scalar_one())


def one(connection: Connection, event_id: str) -> Row[Any] | None:
    """One event with everything the inbox keeps of it."""
    return connection.execute(_ONE, {"id": event_id}).one_or_none()


def body(connection: Connection, event_id: str) -> bytes | None:
    """What Stripe signed."""
    kept = connection.execute(_BODY, {"id": event_id}).scalar_one_or_none()
    return None if kept is None else decompress(bytes(kept))


def effects(connection: Connection, event_id: str) -> Sequence[Row[Any]]:
    """The ledger entries that an event called for."""
    return connection.execute(_EFFECTS, {"id": event_id}).all()


def effects_of_payments(connection: Connection, object_ids: Collection[str]) -> Sequence[Row[Any]]:
    """The ledger entries of the payments that these objects belong to, whoever called for them."""
    return connection.execute(_EFFECTS_OF_PAYMENTS, {"ids": list(object_ids)}).all()


_FOREIGN_EVENTS = text(
    "SELECT count(*) FROM webhook_events"
    " WHERE received_at > now() - interval '1 day' AND status = 'ignored'"
    " AND (note LIKE :foreign OR note = ANY(CAST(:modes AS text[])))"
)
_COLUMNS = (
    "id, type, status, created_at, received_at, applied_at, attempts, next_attempt_at,"
    " object_id, customer_id, user_id, source, note, error"
)
_LISTED = text(
    f"""
    SELECT {_COLUMNS} FROM webhook_events
    WHERE (CAST(:status AS text) IS NULL OR status = :status)
      AND (CAST(:type AS text) IS NULL OR type = :type)
      AND (CAST(:user AS text) IS NULL OR user_id = :user
           OR customer_id IN (SELECT id FROM customers WHERE user_id = :user))
    ORDER BY received_at DESC, id DESC LIMIT :limit
    """  # noqa: S608 - the columns are the constant above.
)
_ONE = text(f"SELECT {_COLUMNS} FROM webhook_events WHERE id = :id")  # noqa: S608 - as above.
_BODY = text("SELECT body FROM webhook_events WHERE id = :id")
_COUNTS = text("SELECT status, count(*) AS number FROM webhook_events GROUP BY status")
_EFFECTS = text(
    "SELECT id, user_id, delta, kind, balance_after, payment_id, reason, created_at"
    " FROM ledger_entries WHERE event_id = :id ORDER BY id"
)
_EFFECTS_OF_PAYMENTS = text(
    """
    SELECT entry.id, entry.user_id, entry.delta, entry.kind, entry.balance_after,
           object.root_id AS payment_id, entry.reason, entry.created_at,
           NULLIF(entry.event_id, '') AS event_id
    FROM payments AS object JOIN ledger_entries AS entry ON entry.payment_id = object.id
    WHERE object.root_id IN
        (SELECT root_id FROM payments WHERE id = ANY(CAST(:ids AS text[])))
    ORDER BY entry.id
    """
)
