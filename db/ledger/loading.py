"""Loads the tables' part of a batch: customers, subscriptions, payments, and all they touch."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson
from sqlalchemy import Connection, Row, TextClause, text

from db.ledger import rows
from db.ledger.catalogue import REVISION
from db.ledger.locks import StaleLocks
from domain.decode.facts import Fact
from domain.payments.claims import Customer
from domain.payments.credit_notes import CreditNote
from domain.payments.objects import MoneyObject
from domain.payments.reversals import Dispute, Refund
from domain.subscriptions.versions import Subscription
from domain.tokens import adjustments
from domain.working_set import Posting, Taken, Touched, WorkingSet


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
    working_set = WorkingSet()
    _load_customers(connection, working_set, customer_ids)
    _check_names(working_set, locked)
    _load_subscriptions(connection, working_set, subscription_ids, _SUBSCRIPTIONS)
    return working_set


def _check_names(working_set: WorkingSet, locked: Collection[str] | None) -> None:
    """What is claimed of a payer by one name holds for the others, so they are locked together."""
    if locked is None:
        return
    names = {alias for payer in working_set.customers.values() for alias in payer.alias_ids}
    missing = names - set(locked)
    if missing:
        raise StaleLocks(frozenset(missing))


@dataclass(slots=True)
class Beside:
    """What was read beside the money.

    `revision` is that of the catalogue, None where nothing was asked. `inherited_ids` are
    subscriptions that no fact touches, and whose user is another since their customer's is.
    """

    revision: int | None = None
    inherited_ids: list[str] = field(default_factory=list)


def load_money(
    connection: Connection,
    working_set: WorkingSet,
    touched: Touched,
    facts: Iterable[Fact],
    locked: Collection[str] | None,
) -> Beside:
    """Everything that shares a payment with what these facts name or what changed hands.

    Raises `StaleLocks` when some of it belongs to a subject that is not among `locked`; with
    None nobody else can write, and no lock is needed.
    """
    ids, taken_ids = _money_ids(facts)
    ids |= touched.objects.keys()
    if taken_ids:
        _load_beside(connection, working_set, {"ids": list(taken_ids)})
    taken: list[Taken] = [
        *working_set.refunds.values(),
        *working_set.disputes.values(),
        *working_set.credit_notes.values(),
    ]
    ids |= {money_back.target_id for money_back in taken}
    closure = _closure(connection, ids, touched)
    if locked is not None:
        _check_locks(closure, locked)
    for row in closure:
        working_set.objects[row.id] = rows.money_from(row)
        working_set.roots[row.id] = row.root_id
        if row.root_id == row.id:
            working_set.payments[row.id] = rows.payment_from(row)
    objects = working_set.objects.keys()
    if not (objects or ids or touched.owners):
        return Beside()
    wanted = {
        "targets": list(objects | ids),
        "posted": list(objects),
        "owners": list(touched.owners),
        "touched": list(touched.subscriptions),
    }
    return _load_beside(connection, working_set, wanted)


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
    wanted = {
        "ids": list(ids),
        "customers": list(touched.owners),
        "subscriptions": list(touched.plans),
        "periods": list(touched.periods),
    }
    asked = tuple(name for name, values in wanted.items() if values)
    return connection.execute(_closure_by(asked), wanted).all() if asked else ()


def load_owners(
    connection: Connection,
    working_set: WorkingSet,
    locked: Collection[str] | None = None,
    subscription_ids: Iterable[str] = (),
) -> None:
    """Who owns the merged money objects, and what their subscriptions were reported to be.

    And who owns these subscriptions, which are loaded.

    Raises `StaleLocks` when another name of an owner is not among `locked`.
    """
    objects = working_set.objects.values()
    reported = (working_set.subscriptions[key].customer_id for key in subscription_ids)
    owners = {money.customer_id for money in objects if money.customer_id}
    owners.update(customer_id for customer_id in reported if customer_id)
    _load_customers(connection, working_set, owners - working_set.customers.keys())
    _check_names(working_set, locked)
    sold = {money.subscription_id for money in objects if money.subscription_id}
    _load_subscriptions(connection, working_set, sold - working_set.subscriptions.keys(), _SOLD)


def _load_customers(connection: Connection, working_set: WorkingSet, ids: Collection[str]) -> None:
    """Customers with all their other names, in as many steps as these lead on."""
    wanted = set(ids)
    while wanted:
        for row in connection.execute(_CUSTOMERS, {"ids": list(wanted)}):
            working_set.customers[row.id] = rows.CUSTOMERS.value(row)
        wanted = {
            alias
            for customer_id in wanted & working_set.customers.keys()
            for alias in working_set.customers[customer_id].alias_ids
        } - working_set.customers.keys()


def _load_subscriptions(
    connection: Connection, working_set: WorkingSet, ids: Collection[str], query: TextClause
) -> None:
    if ids:
        for row in connection.execute(query, {"ids": list(ids)}):
            working_set.subscriptions[row.id] = rows.subscription_from(row)


def _load_beside(
    connection: Connection, working_set: WorkingSet, wanted: Mapping[str, list[str]]
) -> Beside:
    """What takes money back, by its own id or by what it takes from; what was posted; and more."""
    beside = Beside()
    for table, kept in connection.execute(_BESIDE, {**_NOTHING, **wanted}):
        columns = list(orjson.loads(kept).values())
        if table == "refunds":
            working_set.refunds[columns[0]] = rows.REFUNDS.value(columns)
        elif table == "disputes":
            working_set.disputes[columns[0]] = rows.DISPUTES.value(columns)
        elif table == "credit_notes":
            working_set.credit_notes[columns[0]] = rows.CREDIT_NOTES.value(columns)
        elif table == "ledger_entries":
            payment_id, user_id, total = columns
            working_set.posted.setdefault(payment_id, {})[user_id] = total
        elif table == "subscriptions":
            beside.inherited_ids.extend(columns)
        else:
            [beside.revision] = columns
    return beside


def lacking_adjustments(connection: Connection, facts: Iterable[Fact]) -> list[Posting]:
    """What the ledger lacks of the adjustments among the facts; nothing the second time."""
    by_id = adjustments.distinct(facts)
    if not by_id:
        return []
    posted: dict[str, dict[str, int]] = {}
    for row in connection.execute(_ADJUSTED, {"ids": list(by_id)}):
        posted.setdefault(row.event_id, {})[row.user_id] = int(row.total)
    return [
        Posting(entry, adjustment.id)
        for adjustment in by_id.values()
        for entry in adjustments.entries_for(adjustment, posted.get(adjustment.id, {}))
    ]


# From here on names in statements are those of our own columns.
_CUSTOMERS = text(
    f"SELECT {rows.CUSTOMERS.selected()} FROM customers WHERE id = ANY(CAST(:ids AS text[]))"  # noqa: S608
)
_SUBSCRIPTIONS = text(
    f"SELECT {rows.SUBSCRIPTION_COLUMNS}, versions FROM subscriptions"  # noqa: S608
    " WHERE id = ANY(CAST(:ids AS text[]))"
)
# For deriving only what was sold counts; such a subscription is never saved.
_SOLD = text(
    f"SELECT {rows.SUBSCRIPTION_COLUMNS}, NULL AS versions FROM subscriptions"  # noqa: S608
    " WHERE id = ANY(CAST(:ids AS text[]))"
)
_ROOTS = {
    "ids": "id = ANY(CAST(:ids AS text[]))",
    "customers": "customer_id = ANY(CAST(:customers AS text[]))",
    "subscriptions": "subscription_id = ANY(CAST(:subscriptions AS text[]))",
    "periods": (
        "subscription_id = ANY(CAST(:periods AS text[])) AND jsonb_exists(facts, 'prorated')"
    ),
}


@cache
def _closure_by(asked: tuple[str, ...]) -> TextClause:
    """Payments whole, by what is asked: PostgreSQL plans no branch that finds nothing.

    The roots are an array, so that it looks them up and joins no whole table to them.
    """
    roots = " UNION ".join(f"SELECT root_id FROM payments WHERE {_ROOTS[name]}" for name in asked)  # noqa: S608
    return text(f"SELECT {rows.MONEY_COLUMNS} FROM payments WHERE root_id = ANY(ARRAY({roots}))")  # noqa: S608


def _as_json(table: str, query: str) -> str:
    """Rows of a table, each as JSON and with the table's name."""
    return f"SELECT '{table}' AS from_table, CAST(row_to_json(kept) AS text) FROM ({query}) AS kept"  # noqa: S608


def _taken_back(table: str, record: rows.Record[Any]) -> str:
    return _as_json(
        table,
        f"SELECT {record.selected()} FROM {table} WHERE id = ANY(CAST(:ids AS text[]))"  # noqa: S608
        " OR target_id = ANY(CAST(:targets AS text[]))",
    )


# Several small questions in one statement: in a small batch it costs more than what it finds.
_BESIDE = text(
    " UNION ALL ".join(
        (
            _taken_back("refunds", rows.REFUNDS),
            _taken_back("disputes", rows.DISPUTES),
            _taken_back("credit_notes", rows.CREDIT_NOTES),
            _as_json(
                "ledger_entries",
                "SELECT payment_id, user_id, CAST(sum(delta) AS bigint) AS total"
                " FROM ledger_entries WHERE payment_id = ANY(CAST(:posted AS text[]))"
                " GROUP BY payment_id, user_id",
            ),
            _as_json(
                "subscriptions",
                "SELECT id FROM subscriptions WHERE customer_id = ANY(CAST(:owners AS text[]))"
                " AND user_id IS NULL AND id <> ALL(CAST(:touched AS text[]))",
            ),
            _as_json("catalogue_revision", REVISION),
        )
    )
)
_NOTHING: Mapping[str, list[str]] = {
    name: [] for name in ("ids", "targets", "posted", "owners", "touched")
}
_ADJUSTED = text(
    "SELECT event_id, user_id, sum(delta) AS total FROM ledger_entries"
    " WHERE payment_id IS NULL AND event_id IS NOT NULL"
    " AND event_id = ANY(CAST(:ids AS text[])) GROUP BY event_id, user_id"
)
