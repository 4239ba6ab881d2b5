"""Who is to hear that their access changed: compared in the transaction that may have changed it.

For each user the table keeps what was last seen of their access, and when that is to be looked at
again: at the end of a grace or of a canceled period no event comes. A row is locked before what the
user holds is read, so of two transactions the later one sees what the earlier one wrote.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Row, text

from db.access.held import held_by
from db.together import Together
from domain.access.access import Access, access
from domain.access.limits import features_of
from domain.catalogue.plans import Catalogue
from domain.payments.derivation import Payment
from domain.working_set import Derived, WorkingSet

# Among so many users there is somebody new: the first look at them would be in vain.
_MANY = 16


@dataclass(frozen=True, slots=True)
class Changed:
    """A user whose access is another than was last seen, and what it is now."""

    user_id: str
    access: Access


def look_at(together: Together, user_ids: Collection[str], catalogue: Catalogue) -> list[Changed]:
    """Compare what these users have now with what was seen last, and keep the new.

    The new goes over `together` with what is written next. Call it at the end of a transaction: the
    rows stay locked, in the order of users, until it ends.
    """
    if not user_ids or not _unlocks_anything(catalogue):
        return []
    connection = together.connection
    users = sorted(set(user_ids))
    rows = connection.execute(_LOCK, {"users": users}).all() if len(users) < _MANY else []
    if len(rows) < len(users):
        connection.execute(_BEGIN, {"users": users})
        # A statement of its own, so that it sees what another transaction began meanwhile.
        rows = connection.execute(_LOCK, {"users": users}).all()
    return _renew(together, rows, catalogue)


def look_at_due(
    together: Together, catalogue_of: Callable[[Connection], Catalogue], *, limit: int
) -> tuple[int, list[Changed]]:
    """Look at users whose access changes by itself about now: how many, and who has changed.

    Those that another transaction is at are left to it. The catalogue is read once they are locked:
    a change of it that is not seen then makes them due again.
    """
    connection = together.connection
    rows = connection.execute(_DUE, {"limit": limit}).all()
    return len(rows), _renew(together, rows, catalogue_of(connection)) if rows else []


def owners(
    connection: Connection, subscription_ids: Collection[str], customer_ids: Collection[str]
) -> set[str]:
    """The users of these subscriptions and customers, as the tables have them now."""
    if not subscription_ids and not customer_ids:
        return set()
    ids = {"subscriptions": list(subscription_ids), "customers": list(customer_ids)}
    return set(connection.execute(_OWNERS, ids).scalars())


def package_holders(working_set: WorkingSet, derived: Derived, catalogue: Catalogue) -> set[str]:
    """Who had or has a package with features by a payment that is another now."""
    holders = set()
    for object_id, root_id in derived.roots.items():
        was = working_set.payments.get(object_id)
        now = derived.payments[root_id] if object_id == root_id else None
        held = [payment for payment in (was, now) if payment and _unlocks(payment, catalogue)]
        if held and was != now:
            holders |= {payment.user_id for payment in held if payment.user_id}
    return holders


def _unlocks(payment: Payment, catalogue: Catalogue) -> bool:
    return any(features_of(plan_id, catalogue) for plan_id in payment.packages)


def look_soon(connection: Connection, user_ids: Collection[str]) -> None:
    """Have these users looked at by the next sweep."""
    if user_ids:
        connection.execute(_SOON, {"users": sorted(user_ids)})


def look_at_all(connection: Connection) -> None:
    """Have everybody looked at soon, because features or policies are others now."""
    connection.execute(_ALL)


def _unlocks_anything(catalogue: Catalogue) -> bool:
    return any(plan.features for plan in catalogue.plans)


def _renew(together: Together, rows: Sequence[Row[Any]], catalogue: Catalogue) -> list[Changed]:
    """Keep what is other than was seen, and when that is to be looked at again."""
    if not rows:
        return []
    # The database's clock is the one by which rows fall due, and now all of them are locked.
    now = int(max(row.at for row in rows).timestamp())
    held = held_by(together.connection, [row.user_id for row in rows], catalogue)
    kept: list[dict[str, Any]] = []
    changed = []
    for row in sorted(rows, key=lambda row: str(row.user_id)):
        found = access(held[row.user_id], catalogue, now)
        decided, until = found.decided, found.until
        changes_at = None if until is None else datetime.fromtimestamp(until, UTC)
        if decided != row.seen:
            changed.append(Changed(row.user_id, found))
        if decided != row.seen or changes_at != row.changes_at:
            kept.append({"user_id": row.user_id, "seen": decided, "changes_at": changes_at})
    if kept:
        together.add(_KEEP, seen_states=orjson.dumps(kept).decode())
    return changed


_OWNERS = text(
    """
    SELECT coalesce(subscriptions.user_id, customers.user_id) AS user_id
    FROM subscriptions LEFT JOIN customers ON customers.id = subscriptions.customer_id
    WHERE subscriptions.id = ANY(CAST(:subscriptions AS text[]))
      AND coalesce(subscriptions.user_id, customers.user_id) IS NOT NULL
    UNION
    SELECT user_id FROM customers
    WHERE id = ANY(CAST(:customers AS text[])) AND user_id IS NOT NULL
    """
)
_BEGIN = text(
    """
    INSERT INTO access_states (user_id)
    SELECT user_id FROM unnest(CAST(:users AS text[])) AS looked_at (user_id)
    WHERE NOT EXISTS (SELECT FROM access_states AS known WHERE known.user_id = looked_at.user_id)
    ORDER BY user_id
    ON CONFLICT (user_id) DO NOTHING
    """
)
# A lock writes no new version of a row, as an upsert would.
_LOCK = text(
    """
    SELECT user_id, seen, changes_at, clock_timestamp() AS at FROM access_states
    WHERE user_id = ANY(CAST(:users AS text[])) ORDER BY user_id FOR UPDATE
    """
)
_DUE = text(
    """
    SELECT user_id, seen, changes_at, clock_timestamp() AS at
    FROM access_states WHERE changes_at <= clock_timestamp()
    ORDER BY user_id LIMIT :limit FOR UPDATE SKIP LOCKED
    """
)
_KEEP = """
    UPDATE access_states AS state SET seen = new.seen, changes_at = new.changes_at
    FROM json_to_recordset(CAST(:seen_states AS json))
        AS new (user_id text, seen jsonb, changes_at timestamptz)
    WHERE state.user_id = new.user_id
    """
_SOON = text(
    """
    INSERT INTO access_states (user_id, changes_at)
    SELECT user_id, now() FROM unnest(CAST(:users AS text[])) AS concerned (user_id)
    ORDER BY user_id
    ON CONFLICT (user_id) DO UPDATE SET changes_at = EXCLUDED.changes_at
    """
)
_ALL = text(
    """
    INSERT INTO access_states (user_id, changes_at)
    SELECT user_id, now() FROM (
        SELECT user_id FROM subscriptions WHERE user_id IS NOT NULL
        UNION SELECT user_id FROM customers WHERE user_id IS NOT NULL
        UNION SELECT user_id FROM payments WHERE packages IS NOT NULL AND user_id IS NOT NULL
        UNION SELECT user_id FROM access_states
    ) AS everybody
    ORDER BY user_id
    ON CONFLICT (user_id) DO UPDATE SET changes_at = EXCLUDED.changes_at
    """
)
