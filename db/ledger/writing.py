"""Writes what changed: one statement a table, ledger entries and balances together."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Row

from db import copying
from db.copying import CopiedRows
from db.ledger import rows
from db.ledger.upsert import Upsert
from db.outbox.changes import Before, Moved
from db.tables import (
    credit_notes,
    customers,
    disputes,
    ledger_entries,
    payments,
    refunds,
    subscriptions,
)
from db.together import Together
from domain.working_set import Derived, Posting, Touched, WorkingSet


def subscription_rows(working_set: WorkingSet, touched: Touched) -> list[rows.Row]:
    """The rows of the subscriptions that the merge touched."""
    return [
        rows.subscription_row(working_set.subscriptions[subscription_id])
        for subscription_id in touched.subscriptions
    ]


def save(
    together: Together,
    working_set: WorkingSet,
    touched: Touched,
    derived: Derived,
    reports: Sequence[rows.Row],
    *,
    before: Before,
) -> list[Moved]:
    """Write what the merge touched and what was derived from it; returns the balances moved.

    `reports` are the rows of subscriptions, `before` is what was loaded. Ledger entries of a few
    postings are left to whatever else goes over `together`.
    """
    _CUSTOMER_ROWS.add(
        together,
        [
            rows.CUSTOMERS.row(working_set.customers[customer_id])
            for customer_id in touched.customers
        ],
        before.customers,
    )
    _SUBSCRIPTION_ROWS.add(together, reports, before.subscriptions)
    _PAYMENT_ROWS.add(
        together, _changed_payment_rows(working_set, touched, derived), before.objects
    )
    _REFUND_ROWS.add(
        together,
        [rows.REFUNDS.row(working_set.refunds[refund_id]) for refund_id in touched.refunds],
    )
    _DISPUTE_ROWS.add(
        together,
        [rows.DISPUTES.row(working_set.disputes[dispute_id]) for dispute_id in touched.disputes],
    )
    _CREDIT_NOTE_ROWS.add(
        together,
        [
            rows.CREDIT_NOTES.row(working_set.credit_notes[note_id])
            for note_id in touched.credit_notes
        ],
    )
    return post(together, derived.postings)


def _changed_payment_rows(
    working_set: WorkingSet, touched: Touched, derived: Derived
) -> list[rows.Row]:
    changed: list[rows.Row] = []
    for object_id, root_id in derived.roots.items():
        payment = derived.payments[root_id] if object_id == root_id else None
        is_same = (
            object_id not in touched.objects
            and working_set.roots.get(object_id) == root_id
            and working_set.payments.get(object_id) == payment
        )
        if not is_same:
            changed.append(rows.payment_row(working_set.objects[object_id], root_id, payment))
    return changed


def post(together: Together, postings: Sequence[Posting]) -> list[Moved]:
    """Append ledger entries and move the balances with them; returns the accounts moved.

    The entries may still wait to go over `together` with what is next; nothing else does.
    """
    if not postings:
        together.run()
        return []
    sums: dict[str, int] = {}
    grants: dict[str, int] = {}
    for posting in postings:
        sums[posting.entry.user_id] = sums.get(posting.entry.user_id, 0) + posting.entry.delta
        if posting.entry.kind == "grant":
            grants[posting.entry.user_id] = posting.entry.delta
    moved = _move(together, sums, grants)
    # The balances returned are those after the whole batch; entries count up to them.
    running = {account.user_id: account.before for account in moved}
    entries = []
    for posting in postings:
        entry = posting.entry
        running[entry.user_id] += entry.delta
        entries.append(
            {
                "user_id": entry.user_id,
                "delta": entry.delta,
                "kind": entry.kind,
                "balance_after": running[entry.user_id],
                "payment_id": entry.payment_id,
                # What a catalogue or a rebuild calls for has no event.
                "event_id": posting.event_id or None,
                "reason": entry.reason,
            }
        )
    if len(entries) >= copying.COPIED_MIN:
        _COPIED_ENTRIES.append(together.connection, entries)
    else:
        together.add(_POST, entries=orjson.dumps(entries).decode())
    return moved


def _move(together: Together, sums: Mapping[str, int], grants: Mapping[str, int]) -> list[Moved]:
    users = sorted(sums)
    together.add(
        _MOVE,
        moved_users=users,
        deltas=[sums[user] for user in users],
        grants=[grants.get(user) for user in users],
    )
    moved: Iterable[Row[Any]] = together.run() or ()
    return [
        Moved(
            user_id=row.user_id,
            before=row.balance - sums[row.user_id],
            balance=row.balance,
            last_grant=row.last_grant,
            updated_at=row.updated_at,
        )
        for row in moved
    ]


_MOVE = """
    INSERT INTO token_accounts (user_id, balance, last_grant)
    SELECT user_id, delta, granted
    FROM unnest(CAST(:moved_users AS text[]), CAST(:deltas AS bigint[]), CAST(:grants AS bigint[]))
         AS new (user_id, delta, granted)
    ON CONFLICT (user_id) DO UPDATE
    SET balance = token_accounts.balance + EXCLUDED.balance,
        last_grant = coalesce(EXCLUDED.last_grant, token_accounts.last_grant),
        updated_at = now()
    RETURNING user_id, balance, last_grant, updated_at
    """
_POST = """
    INSERT INTO ledger_entries
        (user_id, delta, kind, balance_after, payment_id, event_id, reason)
    SELECT user_id, delta, kind, balance_after, payment_id, event_id, reason
    FROM json_to_recordset(CAST(:entries AS json)) AS new
        (user_id text, delta bigint, kind text, balance_after bigint, payment_id text,
         event_id text, reason text)
    """
_COPIED_ENTRIES = CopiedRows(
    ledger_entries,
    ("user_id", "delta", "kind", "balance_after", "payment_id", "event_id", "reason"),
)
_CUSTOMER_ROWS = Upsert(
    customers,
    [column.name for column in customers.columns],
)
_SUBSCRIPTION_ROWS = Upsert(
    subscriptions,
    [column.name for column in subscriptions.columns if column.name != "updated_at"],
    touch="updated_at",
)
_PAYMENT_ROWS = Upsert(
    payments,
    [column.name for column in payments.columns if column.name != "updated_at"],
    touch="updated_at",
)
_REFUND_ROWS = Upsert(refunds, [column.name for column in refunds.columns])
_DISPUTE_ROWS = Upsert(disputes, [column.name for column in disputes.columns])
_CREDIT_NOTE_ROWS = Upsert(credit_notes, [column.name for column in credit_notes.columns])
