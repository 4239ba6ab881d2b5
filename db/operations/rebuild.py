"""Writes what a rebuild found, in short transactions under the locks of the subjects.

The facts are put in place of the live ones; payments and ledger then follow by the pipeline's own
code. What an event may not have called for is taken back here.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection, TextClause, text

from db import queries
from db.ledger import unit_of_work
from db.operations.fact_tables import CUSTOMERS, FACT_TABLES, SUBSCRIPTIONS, FactTable
from db.operations.rebuild_plan import Place, Wanted, sums_of
from db.outbox import changes, messages
from db.outbox.changes import Moved
from db.outbox.messages import Message
from db.queries import ShownSubscription
from db.queue.inbox import Outcome
from domain.tokens.adjustments import AdjustmentEntry
from domain.tokens.entries import LedgerEntry
from domain.working_set import Posting


def is_as_it_was(connection: Connection, rows: Collection[Wanted]) -> set[Place]:
    """Those of the rows that nobody wrote since the snapshot; call while holding the locks."""
    same = set()
    for name in {row.place.table for row in rows}:
        ours = [row for row in rows if row.place.table == name]
        ids = {"ids": [row.place.id for row in ours]}
        query = text(
            f"SELECT id, CAST(xmin AS text) AS version FROM public.{name}"  # noqa: S608 - as below.
            " WHERE id = ANY(CAST(:ids AS text[]))"
        )
        now = {row.id: row.version for row in connection.execute(query, ids)}
        same |= {row.place for row in ours if now.get(row.place.id) == row.version}
    return same


def replace(connection: Connection, rows: Collection[Wanted]) -> None:
    """Write the facts as they must be; rows that no event calls for are deleted."""
    for table in FACT_TABLES:
        name = table.name
        ours = [row for row in rows if row.place.table == name]
        gone = [row.place.id for row in ours if row.again is None and row.version is not None]
        again = [row.again for row in ours if row.again is not None]
        if gone:
            query = text(f"DELETE FROM public.{name} WHERE id = ANY(CAST(:ids AS text[]))")  # noqa: S608 - as below.
            connection.execute(query, {"ids": gone})
        if again:
            ordered = sorted(again, key=lambda row: str(row["id"]))
            connection.execute(_replace(table), {"rows": orjson.dumps(ordered).decode()})


@dataclass(frozen=True, slots=True)
class Shown:
    """What users see of subscriptions and payments that are about to be replaced or deleted."""

    subscription_ids: Sequence[str]
    customer_ids: Sequence[str]
    before: Sequence[ShownSubscription]
    of_deleted: Sequence[Message]

    @classmethod
    def of(
        cls, connection: Connection, rows: Collection[Wanted], deleted: Collection[str]
    ) -> "Shown":
        """Read it; call before `replace`, under the same locks."""
        ids = [row.place.id for row in rows if row.place.table == SUBSCRIPTIONS.name]
        payers = [row.place.id for row in rows if row.place.table == CUSTOMERS.name]
        before = queries.subscriptions_shown(connection, ids, payers)
        return cls(ids, payers, before, changes.of_deleted_payments(connection, deleted))

    def tell(self, connection: Connection) -> None:
        """Tell users what has become of it; call after `replace`."""
        after = queries.subscriptions_shown(connection, self.subscription_ids, self.customer_ids)
        told = [*self.of_deleted, *changes.between(self.before, after)]
        messages.write(connection, told)


def reversals(connection: Connection, payment_ids: Collection[str]) -> list[Posting]:
    """The entries that take back what was posted for payments that no event tells of."""
    rows = connection.execute(_STANDING, {"ids": list(payment_ids)}) if payment_ids else ()
    return [
        Posting(
            LedgerEntry(
                row.user_id,
                -int(row.total),
                "adjustment",
                row.payment_id,
                f"No event tells of payment {row.payment_id}",
            ),
            "",
        )
        for row in rows
    ]


def corrections(
    connection: Connection, wanted_sums: Mapping[str, Mapping[str, int]]
) -> list[Posting]:
    """The entries that bring adjustments by hand to what they must say."""
    standing = sums_of(connection, "public", wanted_sums.keys())
    postings = []
    for event_id, sums in wanted_sums.items():
        now = standing.get(event_id, {})
        for user_id in sorted(sums.keys() | now.keys()):
            delta = sums.get(user_id, 0) - now.get(user_id, 0)
            if delta:
                reason = f"Adjustment {event_id} now stands for {sums.get(user_id, 0)} tokens"
                postings.append(Posting(AdjustmentEntry(user_id, delta, reason), event_id))
    return postings


def post(connection: Connection, postings: Sequence[Posting]) -> None:
    """Append these entries and move the balances with them."""
    unit_of_work.post(connection, postings)


def mend_balance(connection: Connection, user_id: str) -> None:
    """Make an account say what its entries do; it is locked first, so nothing moves it."""
    connection.execute(_OPEN_ACCOUNT, {"user": user_id})
    before = connection.execute(_LOCK_ACCOUNT, {"user": user_id}).scalar_one()
    account = connection.execute(_MEND_BALANCE, {"user": user_id}).one()
    if account.balance != before:
        told = changes.of_tokens(connection, [Moved(user_id, before, *account)])
        messages.write(connection, list(told))


def ignore(connection: Connection, reasons: Mapping[str, str]) -> int:
    """Say of applied events that they have no effect any more, and why; returns how many."""
    ids = sorted(reasons)
    notes = [reasons[event_id] for event_id in ids]
    return len(connection.execute(_IGNORE, {"ids": ids, "notes": notes}).all())


def hear(connection: Connection, outcomes: Mapping[str, Outcome]) -> int:
    """Say of ignored events that they have an effect now; returns how many."""
    columns = ("object_id", "customer_id", "user_id", "note")
    values = {name: [getattr(outcome, name) for outcome in outcomes.values()] for name in columns}
    return len(connection.execute(_HEAR, {"ids": list(outcomes), **values}).all())


# Names in statements are those of our own tables and columns.
def _replace(table: FactTable) -> TextClause:
    names = ", ".join(f'"{name}"' for name in table.written)
    kept = {"id", *table.first}
    changes = [f'"{name}" = EXCLUDED."{name}"' for name in table.written if name not in kept]
    if table.touched:
        changes.append(f"{table.touched} = now()")
    return text(
        f"""
        INSERT INTO public.{table.name} ({names})
        SELECT {names}
        FROM jsonb_populate_recordset(CAST(NULL AS public.{table.name}), CAST(:rows AS jsonb))
        ON CONFLICT (id) DO UPDATE SET {", ".join(changes)}
        """  # noqa: S608
    )


_STANDING = text(
    "SELECT payment_id, user_id, sum(delta) AS total FROM ledger_entries"
    " WHERE payment_id = ANY(CAST(:ids AS text[]))"
    " GROUP BY payment_id, user_id HAVING sum(delta) <> 0 ORDER BY user_id, payment_id"
)
_OPEN_ACCOUNT = text(
    "INSERT INTO token_accounts (user_id, balance) VALUES (:user, 0) ON CONFLICT DO NOTHING"
)
_LOCK_ACCOUNT = text("SELECT balance FROM token_accounts WHERE user_id = :user FOR UPDATE")
_MEND_BALANCE = text(
    "UPDATE token_accounts SET balance = coalesce("
    "(SELECT sum(delta) FROM ledger_entries WHERE user_id = :user), 0), last_grant = ("
    "SELECT delta FROM ledger_entries WHERE user_id = :user AND kind = 'grant'"
    " ORDER BY id DESC LIMIT 1), updated_at = now()"
    " WHERE user_id = :user RETURNING balance, last_grant, updated_at"
)
_HEAR = text(
    """
    UPDATE webhook_events AS event
    SET status = 'applied', applied_at = now(), object_id = new.object_id,
        customer_id = new.customer_id, user_id = new.user_id, note = new.note
    FROM unnest(CAST(:ids AS text[]), CAST(:object_id AS text[]), CAST(:customer_id AS text[]),
                CAST(:user_id AS text[]), CAST(:note AS text[]))
        AS new (id, object_id, customer_id, user_id, note)
    WHERE event.id = new.id AND event.status = 'ignored'
    RETURNING event.id
    """
)
_IGNORE = text(
    """
    UPDATE webhook_events AS event SET status = 'ignored', note = new.note
    FROM unnest(CAST(:ids AS text[]), CAST(:notes AS text[])) AS new (id, note)
    WHERE event.id = new.id AND event.status = 'applied'
    RETURNING event.id
    """
)
