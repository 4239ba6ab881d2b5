"""Which rows a rebuild must write, as they are and as they must be, and what belongs together.

Works inside the transaction that `db.operations.audit` opened and filled.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, TextClause, text

from db.operations.audit import read
from db.operations.differences import ADJUSTMENTS, LEDGER
from db.operations.fact_tables import CUSTOMERS, FACT_TABLES, PAYMENTS, SUBSCRIPTIONS, FactTable

# What differs without a row of its own: the entries of an adjustment by hand.
ADJUSTED = "adjustments"
_ROWS_AT_A_TIME = 1_000


class Place(NamedTuple):
    """A row that differs: its table, or `ADJUSTED`, and its id."""

    table: str
    id: str


@dataclass(slots=True)
class Unit:
    """Rows that are right only together: a customer, a subscription, a payment with its objects.

    `names` are their ids and what they are linked to; `payer` is a customer among them.
    """

    places: list[Place] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    payer: str = ""

    @property
    def order(self) -> tuple[str, bool, str]:
        """Customer by customer, and each before what they paid."""
        is_party = self.places[0].table in (CUSTOMERS.name, SUBSCRIPTIONS.name)
        return (self.payer, not is_party, min(self.names))


@dataclass(frozen=True, slots=True)
class Wanted:
    """A row as the snapshot had it and as it must be.

    `version` tells whether it was written since, None where there was none; `again` is the row as
    it must be, None where no event calls for it.
    """

    place: Place
    version: str | None
    again: Mapping[str, Any] | None
    subjects: frozenset[str]


def units(connection: Connection) -> list[Unit]:
    """Everything that differs, in parts that can be mended one by one."""
    connection.execute(_CREATE_ROWS)
    for table in FACT_TABLES:
        connection.execute(_differing(table))
    connection.execute(_OF_LEDGER)
    connection.execute(_OF_ADJUSTMENTS)
    connection.execute(text("ANALYZE rebuild_rows"))
    groups = _Groups()
    payers: dict[str, str] = {}
    places = list(_places(connection, payers))
    for row in read(connection, _edges(), _ROWS_AT_A_TIME):
        groups.unite(row.id, row.link)
    by_group: dict[str, Unit] = {}
    for place in places:
        unit = by_group.setdefault(groups.of(place.id), Unit())
        unit.places.append(place)
        unit.payer = max(unit.payer, payers.get(place.id, ""))
    for name in groups.names():
        if (group := groups.of(name)) in by_group:
            by_group[group].names.add(name)
    for group, unit in by_group.items():
        unit.names |= {group, *(place.id for place in unit.places)}
    return sorted(by_group.values(), key=lambda unit: unit.order)


def _places(connection: Connection, payers: dict[str, str]) -> Iterator[Place]:
    for row in read(connection, _ROWS, _ROWS_AT_A_TIME):
        if row.payer:
            payers[row.id] = row.payer
        yield Place(row.place, row.id)


class _Groups:
    """Names that belong together, directly or by others."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The name by which the group of this one is known."""
        top = name
        while (above := self._above.get(top, top)) != top:
            top = above
        while (above := self._above.get(name, name)) != top:
            self._above[name] = top
            name = above
        return top

    def unite(self, one: str, other: str) -> None:
        """Say that two names belong together."""
        self._above.setdefault(one, one)
        self._above.setdefault(other, other)
        self._above[self.of(one)] = self.of(other)

    def names(self) -> Collection[str]:
        """Every name that was united with another."""
        return self._above.keys()


def names_of_user(connection: Connection, user_id: str) -> set[str]:
    """Customers, subscriptions, payments and adjustments that are a user's on either side."""
    return set(connection.execute(_NAMES_OF_USER, {"user": user_id}).scalars())


def events_of_user(connection: Connection, names: Collection[str], user_id: str) -> set[str]:
    """Stored events that name a user, or one of these customers or objects."""
    wanted = {"user": user_id, "names": list(names)}
    return set(connection.execute(_EVENTS_OF_USER, wanted).scalars())


def wrong_balances(connection: Connection) -> list[str]:
    """Users whose balance or last grant is not what their entries say."""
    return list(connection.execute(_WRONG_BALANCES).scalars())


def wanted(connection: Connection, places: Collection[Place]) -> list[Wanted]:
    """These rows as the snapshot has them and as they must be."""
    rows = []
    for table in FACT_TABLES:
        name = table.name
        ids = [place.id for place in places if place.table == name]
        if ids:
            for row in connection.execute(_wanted(table), {"ids": ids}):
                again = orjson.loads(row.again) if row.again else None
                subjects = frozenset(filter(None, row.subjects))
                rows.append(Wanted(Place(name, row.id), row.version, again, subjects))
    return rows


def adjusted(connection: Connection, event_ids: Collection[str]) -> dict[str, dict[str, int]]:
    """What the ledger must say of adjustments by hand, by event and user."""
    return sums_of(connection, "pg_temp", event_ids)


def sums_of(
    connection: Connection, schema: str, event_ids: Collection[str]
) -> dict[str, dict[str, int]]:
    """What the ledger of a schema says of adjustments by hand, by event and user."""
    query = text(
        f"SELECT event_id, user_id, sum(delta) AS total FROM {schema}.ledger_entries"  # noqa: S608 - one of two schemas.
        " WHERE payment_id IS NULL AND event_id IS NOT NULL"
        " AND event_id = ANY(CAST(:ids AS text[])) GROUP BY event_id, user_id"
    )
    sums: dict[str, dict[str, int]] = {event_id: {} for event_id in event_ids}
    for row in connection.execute(query, {"ids": list(event_ids)}):
        sums[row.event_id][row.user_id] = int(row.total)
    return sums


# From here on names in statements are those of our own tables and columns.
_CREATE_ROWS = text(
    "CREATE TEMP TABLE rebuild_rows (place text, id text, payer text, PRIMARY KEY (place, id))"
    " ON COMMIT DROP"
)
_ROWS = text("SELECT place, id, payer FROM rebuild_rows ORDER BY place, id")
_KEEP = "ON CONFLICT DO NOTHING"
_OF_LEDGER = text(
    f"INSERT INTO rebuild_rows SELECT DISTINCT '{PAYMENTS.name}', payment_id"  # noqa: S608
    f" FROM ({LEDGER.text}) AS differing {_KEEP}"
)
_OF_ADJUSTMENTS = text(
    f"INSERT INTO rebuild_rows SELECT DISTINCT '{ADJUSTED}', event_id"  # noqa: S608
    f" FROM ({ADJUSTMENTS.text}) AS differing {_KEEP}"
)


def _differing(table: FactTable) -> TextClause:
    live, again = (
        ", ".join(f'{side}."{name}"' for name in table.columns) for side in ("live", "again")
    )
    payer = f"coalesce(again.{table.payer}, live.{table.payer})" if table.payer else "NULL"
    return text(
        f"""
        INSERT INTO rebuild_rows
        SELECT '{table.name}', coalesce(live.id, again.id), {payer}
        FROM public.{table.name} AS live
        FULL JOIN pg_temp.{table.name} AS again ON live.id = again.id
        WHERE live.id IS NULL OR again.id IS NULL OR ({live}) IS DISTINCT FROM ({again})
        """  # noqa: S608
    )


def _edges() -> TextClause:
    """What belongs together: each row with what it is linked to, and that with its root."""
    links = [
        f"SELECT id, {link} AS link FROM {schema}.{table.name}"  # noqa: S608
        f" WHERE id IN (SELECT id FROM rebuild_rows WHERE place = '{table.name}')"
        for table in FACT_TABLES
        for link in table.links
        for schema in ("public", "pg_temp")
    ]
    return text(
        f"""
        WITH links AS MATERIALIZED ({" UNION ".join(links)})
        SELECT id, link FROM links
        UNION SELECT id, root_id FROM public.payments WHERE id IN (SELECT link FROM links)
        UNION SELECT id, root_id FROM pg_temp.payments WHERE id IN (SELECT link FROM links)
        """  # noqa: S608
    )


def _wanted(table: FactTable) -> TextClause:
    named = {"id", *table.links, *((table.payer,) if table.payer else ())}
    subjects = ", ".join(f"{side}.{name}" for side in ("live", "again") for name in sorted(named))
    return text(
        f"""
        SELECT named.id, CAST(live.xmin AS text) AS version, ARRAY[{subjects}] AS subjects,
               CASE WHEN again.id IS NOT NULL THEN CAST(to_jsonb(again) AS text) END AS again
        FROM unnest(CAST(:ids AS text[])) AS named (id)
        LEFT JOIN public.{table.name} AS live ON live.id = named.id
        LEFT JOIN pg_temp.{table.name} AS again ON again.id = named.id
        """  # noqa: S608
    )


_NAMES_OF_USER = text(
    """
    SELECT id FROM public.customers WHERE user_id = :user
    UNION SELECT id FROM pg_temp.customers WHERE user_id = :user
    UNION SELECT id FROM public.subscriptions WHERE user_id = :user
    UNION SELECT id FROM pg_temp.subscriptions WHERE user_id = :user
    UNION SELECT id FROM public.payments WHERE user_id = :user
    UNION SELECT id FROM pg_temp.payments WHERE user_id = :user
    UNION SELECT coalesce(payment_id, event_id) FROM public.ledger_entries
    WHERE user_id = :user AND coalesce(payment_id, event_id) IS NOT NULL
    UNION SELECT coalesce(payment_id, event_id) FROM pg_temp.ledger_entries WHERE user_id = :user
    """
)
_EVENTS_OF_USER = text(
    "SELECT id FROM public.webhook_events WHERE user_id = :user"
    " OR customer_id = ANY(CAST(:names AS text[])) OR object_id = ANY(CAST(:names AS text[]))"
)
_WRONG_BALANCES = text(
    """
    SELECT user_id FROM public.token_accounts AS account
    FULL JOIN (
        SELECT user_id, sum(delta) AS tokens, max(id) FILTER (WHERE kind = 'grant') AS grant_id
        FROM public.ledger_entries GROUP BY user_id
    ) AS entries USING (user_id)
    LEFT JOIN (SELECT id, delta FROM public.ledger_entries) AS granted
        ON granted.id = entries.grant_id
    WHERE coalesce(account.balance, 0) <> coalesce(entries.tokens, 0)
       OR account.last_grant IS DISTINCT FROM granted.delta
    ORDER BY user_id
    """
)
