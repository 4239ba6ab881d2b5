"""One transaction of the pipeline: lock the subjects, load what is known, write what changed.

Order of locks, the same in every transaction: inbox rows, subjects (advisory, sorted), token
accounts (sorted by user). Statements run at READ COMMITTED, so what is read after a lock is
fresh.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Row, TextClause, text

from db.ledger import rows
from db.ledger.upsert import Upsert
from db.tables import credit_notes, customers, disputes, payments, refunds, subscriptions
from domain.decode.facts import Fact
from domain.payments.claims import Customer
from domain.payments.credit_notes import CreditNote
from domain.payments.objects import Dispute, MoneyObject, Refund
from domain.subscriptions.versions import Subscription
from domain.tokens import adjustments
from domain.tokens.adjustments import Adjustment
from domain.working_set import Derived, Posting, Taken, Touched, WorkingSet

# Every batch holds this one shared; a change of the catalogue holds it alone.
CATALOGUE_LOCK = 0x43415441


class StaleLocks(Exception):  # noqa: N818 - no error: the batch is run again with these.
    """What was loaded belongs to subjects that are not locked yet; run again with `subjects`."""

    def __init__(self, subjects: frozenset[str]) -> None:
        super().__init__(f"{len(subjects)} subjects must be locked as well")
        self.subjects = subjects


def subjects_of(facts: Iterable[Fact]) -> set[str]:
    """The names whose holder may change what these facts touch: customers and money objects."""
    names: set[str] = set()
    for fact in facts:
        if isinstance(fact, Customer):
            names.add(fact.id)
            names.update(fact.alias_ids)
        elif isinstance(fact, Subscription):
            names.add(fact.customer_id or fact.id)
        elif isinstance(fact, Adjustment):
            names.add(fact.id)
        elif isinstance(fact, MoneyObject):
            names.add(fact.id)
            names.update(fact.parents)
            names.update({fact.customer_id} if fact.customer_id else ())
        else:
            names.add(fact.target_id)
    return names


def resolve_subjects(connection: Connection, names: Collection[str]) -> set[str]:
    """Which further subjects stored objects of these names belong to. Reads without a lock."""
    found = connection.execute(_RESOLVE, {"ids": list(names)})
    return {row.customer_id or row.root_id for row in found}


def lock(connection: Connection, subjects: Collection[str]) -> None:
    """Hold every subject, and the catalogue as it is, until the transaction ends."""
    keys = sorted({_lock_key(subject) for subject in subjects})
    connection.execute(_LOCK, {"catalogue": CATALOGUE_LOCK, "keys": keys})


def _lock_key(subject: str) -> int:
    digest = hashlib.blake2b(subject.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def load_parties(
    connection: Connection, facts: Iterable[Fact], locked: Collection[str] | None = None
) -> WorkingSet:
    """The customers and subscriptions that these facts name, and other names of these payers.

    Raises `StaleLocks` when one of those names is not among `locked`.
    """
    customer_ids, subscription_ids = set(), set()
    for fact in facts:
        if isinstance(fact, Customer):
            customer_ids.add(fact.id)
            customer_ids.update(fact.alias_ids)
        elif isinstance(fact, Subscription):
            subscription_ids.add(fact.id)
    books = WorkingSet()
    _load_customers(connection, books, customer_ids)
    _check_names(books, locked)
    _load_subscriptions(connection, books, subscription_ids, _SUBSCRIPTIONS)
    return books


def _check_names(books: WorkingSet, locked: Collection[str] | None) -> None:
    """What is claimed of a payer by one name holds for the others, so they are locked together."""
    if locked is None:
        return
    names = {alias for each in books.customers.values() for alias in each.alias_ids}
    missing = names - set(locked)
    if missing:
        raise StaleLocks(frozenset(missing))


def load_money(
    connection: Connection,
    books: WorkingSet,
    touched: Touched,
    facts: Iterable[Fact],
    locked: Collection[str] | None,
) -> None:
    """Everything that shares a payment with what these facts name or what changed hands.

    Raises `StaleLocks` when some of it belongs to a subject that is not among `locked`; with
    None nobody else can write, and no lock is needed.
    """
    ids, taken_ids = _money_ids(facts)
    ids |= touched.objects.keys()
    _load_taken(connection, books, ids=taken_ids, target_ids=())
    taken: list[Taken] = [
        *books.refunds.values(),
        *books.disputes.values(),
        *books.credit_notes.values(),
    ]
    ids |= {each.target_id for each in taken}
    known = _closure(connection, ids, touched)
    if locked is not None:
        _check_locks(known, locked)
    for row in known:
        books.objects[row.id] = rows.money_from(row)
        books.roots[row.id] = row.root_id
        if row.root_id == row.id:
            books.payments[row.id] = rows.payment_from(row)
    _load_taken(connection, books, ids=(), target_ids=books.objects.keys() | ids)
    for row in connection.execute(_POSTED, {"ids": list(books.objects)}) if known else ():
        books.posted.setdefault(row.payment_id, {})[row.user_id] = int(row.total)


def _check_locks(rows: Sequence[Row[Any]], locked: Collection[str]) -> None:
    customers_by_root = {row.id: row.customer_id for row in rows if row.id == row.root_id}
    needed = {customers_by_root.get(row.root_id) or row.root_id for row in rows}
    missing = needed - set(locked)
    if missing:
        raise StaleLocks(frozenset(missing))


def _money_ids(facts: Iterable[Fact]) -> tuple[set[str], set[str]]:
    ids, taken_ids = set(), set()
    for fact in facts:
        if isinstance(fact, MoneyObject):
            ids.add(fact.id)
            ids.update(fact.parents)
        elif isinstance(fact, Refund | Dispute | CreditNote):
            taken_ids.add(fact.id)
    return ids, taken_ids


def _closure(connection: Connection, ids: Collection[str], touched: Touched) -> Sequence[Row[Any]]:
    if not (ids or touched.owners or touched.plans or touched.periods):
        return []
    return connection.execute(
        _CLOSURE,
        {
            "ids": list(ids),
            "customers": list(touched.owners),
            "subscriptions": list(touched.plans),
            "periods": list(touched.periods),
        },
    ).all()


def load_owners(
    connection: Connection, books: WorkingSet, locked: Collection[str] | None = None
) -> None:
    """Who owns the merged money objects, and what their subscriptions were reported to be.

    Raises `StaleLocks` when another name of an owner is not among `locked`.
    """
    known = books.objects.values()
    owners = {each.customer_id for each in known if each.customer_id}
    _load_customers(connection, books, owners - books.customers.keys())
    _check_names(books, locked)
    sold = {each.subscription_id for each in known if each.subscription_id}
    _load_subscriptions(connection, books, sold - books.subscriptions.keys(), _SOLD)


def _load_customers(connection: Connection, books: WorkingSet, ids: Collection[str]) -> None:
    """Customers with all their other names, in as many steps as these lead on."""
    wanted = set(ids)
    while wanted:
        for row in connection.execute(_CUSTOMERS, {"ids": list(wanted)}):
            books.customers[row.id] = rows.customer_from(row)
        wanted = {
            alias
            for each in wanted & books.customers.keys()
            for alias in books.customers[each].alias_ids
        } - books.customers.keys()


def _load_subscriptions(
    connection: Connection, books: WorkingSet, ids: Collection[str], query: TextClause
) -> None:
    if ids:
        for row in connection.execute(query, {"ids": list(ids)}):
            books.subscriptions[row.id] = rows.subscription_from(row)


def _load_taken(
    connection: Connection, books: WorkingSet, *, ids: Collection[str], target_ids: Collection[str]
) -> None:
    if not (ids or target_ids):
        return
    wanted = {"ids": list(ids), "targets": list(target_ids)}
    for row in connection.execute(_REFUNDS, wanted):
        books.refunds[row.id] = rows.refund_from(row)
    for row in connection.execute(_DISPUTES, wanted):
        books.disputes[row.id] = rows.dispute_from(row)
    for row in connection.execute(_CREDIT_NOTES, wanted):
        books.credit_notes[row.id] = rows.credit_note_from(row)


def save(connection: Connection, books: WorkingSet, touched: Touched, settled: Derived) -> None:
    """Write what the merge touched and what was settled from it."""
    _CUSTOMER_ROWS.run(
        connection, [rows.customer_row(books.customers[each]) for each in touched.customers]
    )
    _SUBSCRIPTION_ROWS.run(
        connection,
        [rows.subscription_row(books.subscriptions[each]) for each in touched.subscriptions],
    )
    _PAYMENT_ROWS.run(connection, _changed_payment_rows(books, touched, settled))
    _REFUND_ROWS.run(connection, [rows.refund_row(books.refunds[each]) for each in touched.refunds])
    _DISPUTE_ROWS.run(
        connection, [rows.dispute_row(books.disputes[each]) for each in touched.disputes]
    )
    _CREDIT_NOTE_ROWS.run(
        connection,
        [rows.credit_note_row(books.credit_notes[each]) for each in touched.credit_notes],
    )
    post(connection, settled.postings)


def _changed_payment_rows(books: WorkingSet, touched: Touched, settled: Derived) -> list[rows.Row]:
    changed: list[rows.Row] = []
    for object_id, root_id in settled.roots.items():
        payment = settled.payments[root_id] if object_id == root_id else None
        is_same = (
            object_id not in touched.objects
            and books.roots.get(object_id) == root_id
            and books.payments.get(object_id) == payment
        )
        if not is_same:
            changed.append(rows.payment_row(books.objects[object_id], root_id, payment))
    return changed


def post(connection: Connection, postings: Sequence[Posting]) -> None:
    """Append ledger entries and move the balances with them."""
    if not postings:
        return
    sums: dict[str, int] = {}
    for posting in postings:
        sums[posting.entry.user_id] = sums.get(posting.entry.user_id, 0) + posting.entry.delta
    users = sorted(sums)
    moved = connection.execute(_MOVE, {"users": users, "deltas": [sums[user] for user in users]})
    # The balances returned are those after the whole batch; entries count up to them.
    running = {row.user_id: row.balance - sums[row.user_id] for row in moved}
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
    connection.execute(_POST, {"rows": orjson.dumps(entries).decode()})


def lacking_adjustments(connection: Connection, facts: Iterable[Fact]) -> list[Posting]:
    """What the ledger lacks of the adjustments among the facts; nothing the second time."""
    named = adjustments.distinct(facts)
    if not named:
        return []
    posted: dict[str, dict[str, int]] = {}
    for row in connection.execute(_ADJUSTED, {"ids": list(named)}):
        posted.setdefault(row.event_id, {})[row.user_id] = int(row.total)
    return [
        Posting(entry, each.id)
        for each in named.values()
        for entry in adjustments.entries_for(each, posted.get(each.id, {}))
    ]


def _query(sql: str) -> TextClause:
    return text(sql)


_LOCK = _query(
    """
    SELECT pg_advisory_xact_lock_shared(:catalogue),
           (SELECT count(*) FROM (
               SELECT pg_advisory_xact_lock(key)
               FROM unnest(CAST(:keys AS bigint[])) AS key OFFSET 0
           ) AS held)
    """
)
_RESOLVE = _query(
    "SELECT DISTINCT root.customer_id, root.id AS root_id"
    " FROM payments AS named JOIN payments AS root ON root.id = named.root_id"
    " WHERE named.id = ANY(CAST(:ids AS text[]))"
)
_CUSTOMERS = _query(
    "SELECT id, user_id, claimed_created, claimed_event_id,"
    " CAST(other_user_ids AS text) AS other_user_ids, deleted_at,"
    " CAST(alias_ids AS text) AS alias_ids"
    " FROM customers WHERE id = ANY(CAST(:ids AS text[]))"
)
_SUBSCRIPTIONS = _query(
    "SELECT id, customer_id, claimed_plan_id, claimed_plan_created, claimed_plan_event_id,"
    " CAST(sold AS text) AS sold, versions FROM subscriptions WHERE id = ANY(CAST(:ids AS text[]))"
)
# For settling only what was sold counts; such a subscription is never saved.
_SOLD = _query(
    "SELECT id, customer_id, claimed_plan_id, claimed_plan_created, claimed_plan_event_id,"
    " CAST(sold AS text) AS sold, NULL AS versions FROM subscriptions"
    " WHERE id = ANY(CAST(:ids AS text[]))"
)
_CLOSURE = _query(
    """
    SELECT id, kind, root_id, customer_id, subscription_id, CAST(facts AS text) AS facts,
           listed, user_id, status, currency, amount_minor, refunded_minor, disputed_minor,
           plan_id, plan_version, tokens, lacks_plan, receipt_url, credited_minor, note,
           CAST(loose_ends AS text) AS loose_ends, question, question_subject
    FROM payments WHERE root_id IN (
        SELECT root_id FROM payments WHERE id = ANY(CAST(:ids AS text[]))
        UNION
        SELECT root_id FROM payments WHERE customer_id = ANY(CAST(:customers AS text[]))
        UNION
        SELECT root_id FROM payments WHERE subscription_id = ANY(CAST(:subscriptions AS text[]))
        UNION
        SELECT root_id FROM payments
        WHERE subscription_id = ANY(CAST(:periods AS text[])) AND jsonb_exists(facts, 'prorated')
    )
    """
)
_REFUNDS = _query(
    "SELECT id, target_id, status, amount_minor, failed_created FROM refunds"
    " WHERE id = ANY(CAST(:ids AS text[])) OR target_id = ANY(CAST(:targets AS text[]))"
)
_DISPUTES = _query(
    "SELECT id, target_id, status, status_created, amount_minor, funds, funds_created, currency"
    " FROM disputes"
    " WHERE id = ANY(CAST(:ids AS text[])) OR target_id = ANY(CAST(:targets AS text[]))"
)
_CREDIT_NOTES = _query(
    "SELECT id, target_id, amount_minor, is_void, CAST(refunds AS text) AS refunds"
    " FROM credit_notes"
    " WHERE id = ANY(CAST(:ids AS text[])) OR target_id = ANY(CAST(:targets AS text[]))"
)
_POSTED = _query(
    "SELECT payment_id, user_id, sum(delta) AS total FROM ledger_entries"
    " WHERE payment_id = ANY(CAST(:ids AS text[])) GROUP BY payment_id, user_id"
)
_ADJUSTED = _query(
    "SELECT event_id, user_id, sum(delta) AS total FROM ledger_entries"
    " WHERE payment_id IS NULL AND event_id IS NOT NULL"
    " AND event_id = ANY(CAST(:ids AS text[])) GROUP BY event_id, user_id"
)
_MOVE = _query(
    """
    INSERT INTO token_accounts (user_id, balance)
    SELECT user_id, delta
    FROM unnest(CAST(:users AS text[]), CAST(:deltas AS bigint[])) AS new (user_id, delta)
    ON CONFLICT (user_id) DO UPDATE
    SET balance = token_accounts.balance + EXCLUDED.balance, updated_at = now()
    RETURNING user_id, balance
    """
)
_POST = _query(
    """
    INSERT INTO ledger_entries
        (user_id, delta, kind, balance_after, payment_id, event_id, reason)
    SELECT user_id, delta, kind, balance_after, payment_id, event_id, reason
    FROM json_to_recordset(CAST(:rows AS json)) AS new
        (user_id text, delta bigint, kind text, balance_after bigint, payment_id text,
         event_id text, reason text)
    """
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
