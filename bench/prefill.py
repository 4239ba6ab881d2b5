"""Makes the tables large in minutes: rows that were applied for real, copied under other ids.

Copies keep their shape and their links, and their ids are of earlier times than any new one, so
indexes grow as they would; nothing is decoded for them. Indexes are made anew at the end, which is
what takes minutes less.
"""

from collections.abc import Sequence

import psycopg2.extensions

from bench.place import Place

# Table → columns that hold ids, which the copies have their own of.
IDS = {
    "webhook_events": ("id", "object_id", "customer_id", "user_id"),
    "customers": ("id", "user_id", "claimed_event_id"),
    "subscriptions": ("id", "customer_id", "user_id", "claimed_plan_event_id"),
    "payments": ("id", "root_id", "customer_id", "subscription_id", "user_id"),
    "refunds": ("id", "target_id"),
    "disputes": ("id", "target_id"),
    "token_accounts": ("user_id",),
    "ledger_entries": ("user_id", "payment_id", "event_id"),
}
# Four digits of an id count them.
COPIES_MAX = 9_999
# One statement may take as long as this: millions of rows are not copied in a moment.
STATEMENT_SECONDS_MAX = 3_600

_COLUMNS = """
SELECT column_name FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = %s AND is_identity = 'NO'
ORDER BY ordinal_position
"""
_INDEXES = """
SELECT indexdef, indexrelid::regclass::text
FROM pg_index JOIN pg_indexes ON indexname = indexrelid::regclass::text
WHERE tablename = ANY(%s) AND NOT indisunique
"""
_SOURCE = "CREATE TEMPORARY TABLE source_{table} AS SELECT * FROM {table}"


def grow(place: Place, rows: int) -> None:
    """Copy what is in the tables until there are about so many events.

    Raises `ValueError` where one copy is too small for that: ids tell up to 9,999 apart.
    """
    with place.cursor() as cursor:
        cursor.execute(f"SET statement_timeout = '{STATEMENT_SECONDS_MAX}s'")
        # Nothing is lost that could not be made again, and one sort needs memory.
        cursor.execute("SET synchronous_commit = off; SET maintenance_work_mem = '1GB'")
        cursor.execute("SELECT count(*) FROM webhook_events")
        have = _number(cursor)
        copies = max(0, (rows - have) // max(1, have))
        if copies > COPIES_MAX:
            raise ValueError(f"{have} events cannot be copied {copies} times, only {COPIES_MAX}")
        if copies:
            _copy(cursor, copies)
            # What would come later by itself, in the middle of a measurement.
            cursor.execute("VACUUM (FREEZE, ANALYZE)")
            cursor.execute("CHECKPOINT")


def _copy(cursor: psycopg2.extensions.cursor, copies: int) -> None:
    cursor.execute(_INDEXES, (list(IDS),))
    indexes = cursor.fetchall()
    for _, name in indexes:
        cursor.execute(f"DROP INDEX {name}")
    for table, ids in IDS.items():
        cursor.execute(_COLUMNS, (table,))
        columns = [str(row[0]) for row in cursor.fetchall()]
        cursor.execute(_SOURCE.format(table=table))
        cursor.execute(_statement(table, columns, ids, copies))
        cursor.execute(f"DROP TABLE source_{table}")
    for definition, _ in indexes:
        cursor.execute(str(definition))


def _statement(table: str, columns: Sequence[str], ids: Sequence[str], copies: int) -> str:
    shown = [_other(name) if name in ids else f'"{name}"' for name in columns]
    names = ", ".join(f'"{name}"' for name in columns)
    return (
        f"INSERT INTO {table} ({names}) SELECT {', '.join(shown)}"  # noqa: S608 - names are our own tables'.
        f" FROM source_{table}, generate_series(1, {copies}) AS copy"
    )


def _other(name: str) -> str:
    """An id of the same kind and length, another one for each copy.

    Where ids tell their time (`sandbox.simulate.ids`), the copy's number stands in its place, and
    that is long ago. A page's id and a user's are of chance.
    """
    place = f"strpos(\"{name}\", '_1')"
    dated = (
        f"left(\"{name}\", {place} + 1) || '0' || lpad(copy::text, 4, '0')"
        f' || substr("{name}", {place} + 7)'
    )
    chance = (
        f"split_part(\"{name}\", '_', 1) || '_1' ||"
        f" left(translate(md5(\"{name}\" || '.' || copy), 'abc', 'XYZ'),"
        f' greatest(12, length("{name}") - length(split_part("{name}", \'_\', 1)) - 2))'
    )
    is_silent = f"{place} = 0 OR starts_with(\"{name}\", 'cs_')"
    return f"CASE WHEN {is_silent} THEN {chance} ELSE {dated} END"


def _number(cursor: psycopg2.extensions.cursor) -> int:
    row = cursor.fetchone()
    return int(row[0]) if row else 0
