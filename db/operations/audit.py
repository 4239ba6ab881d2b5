"""What an audit needs of PostgreSQL: one snapshot, and in it empty tables of its own.

The own tables are temporary and bear the names of the live ones, so the pipeline's statements
write into them unchanged. Nothing here locks a live row or commits; the tables vanish with the
transaction, which the caller rolls back.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, CursorResult, Row, TextClause, text

from db.operations.fact_tables import FACT_TABLES
from domain.decode import DECODERS

_SHADOWED = (*(table.name for table in FACT_TABLES), "token_accounts", "ledger_entries")
_SETTINGS = (
    # The audit may take its time and its terminal may be paused: it holds nobody up.
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    # Temporary tables live in the connection's own memory, which is 8 MB unless told.
    "SET LOCAL temp_buffers = '256MB'",
    "SET LOCAL work_mem = '64MB'",
    "SET LOCAL jit = off",
)


@dataclass(frozen=True, slots=True)
class Counts:
    """The inbox at the moment of the snapshot, by what an audit makes of it.

    `applied` are recomputed; `waiting` (received or failed) and `dead` had no effect so far.
    """

    applied: int
    waiting: int
    dead: int


def open_shadow(connection: Connection) -> None:
    """Give this transaction empty tables of its own; call first, at REPEATABLE READ."""
    for statement in _SETTINGS:
        connection.execute(text(statement))
    for table in _SHADOWED:
        connection.execute(
            text(f"CREATE TEMP TABLE {table} (LIKE public.{table} INCLUDING ALL) ON COMMIT DROP")
        )
    connection.execute(_CREATE_TOUCHES)


def counts(connection: Connection) -> Counts:
    """How many events there are to recompute, and how many had no effect so far."""
    row = connection.execute(_COUNTS, _HANDLED).one()
    return Counts(row.applied, row.waiting, row.dead)


def applied_events(connection: Connection, batch: int) -> Iterator[Sequence[Row[Any]]]:
    """Every event that had an effect or would have one today, in batches, about as they came.

    Those that were ignored although their type is handled now are among them: of another account
    or mode, or of a type that was not handled when they came.

    That order costs least: what belongs together came together. No order changes the end.
    """
    yield from read(connection, _EVENTS, batch, _HANDLED).partitions(batch)


def read(
    connection: Connection,
    statement: TextClause,
    rows: int,
    values: Mapping[str, object] | None = None,
) -> CursorResult[Any]:
    """The answer through a cursor of the server's, so that it is never in memory as a whole."""
    options = {"stream_results": True, "max_row_buffer": rows}
    return connection.execute(statement, values, execution_options=options)


def note_touches(connection: Connection, touches: Collection[tuple[str, str]]) -> None:
    """Remember which event (first) spoke of which subject's id (second)."""
    if touches:
        events, subjects = zip(*touches, strict=True)
        connection.execute(_NOTE, {"events": list(events), "subjects": list(subjects)})


def refresh_statistics(connection: Connection) -> None:
    """Tell the planner how the own tables have grown; autovacuum never sees them."""
    connection.execute(text(f"ANALYZE {', '.join(f'pg_temp.{table}' for table in _SHADOWED)}"))


def finish(connection: Connection) -> None:
    """Make ready for comparing: everything is recomputed."""
    # The events were read by cursor for a quick start; comparisons are read to the end.
    connection.execute(text("SET LOCAL cursor_tuple_fraction = 1"))
    connection.execute(text("CREATE INDEX ON audit_touches (subject)"))
    connection.execute(text("ANALYZE audit_touches"))
    refresh_statistics(connection)


_HANDLED = {"handled": sorted(DECODERS)}
# An event that was applied once and waits again is in the tables all the same.
_COUNTS = text(
    """
    SELECT count(*) FILTER (
               WHERE (status <> 'ignored' AND applied_at IS NOT NULL)
                  OR (status = 'ignored' AND type = ANY(CAST(:handled AS text[])))
           ) AS applied,
           count(*) FILTER (WHERE status IN ('received', 'failed') AND applied_at IS NULL)
               AS waiting,
           count(*) FILTER (WHERE status = 'dead' AND applied_at IS NULL) AS dead
    FROM public.webhook_events
    """
)
_EVENTS = text(
    """
    SELECT id, type, status, extract(epoch FROM created_at) AS created, body
    FROM public.webhook_events
    WHERE (status <> 'ignored' AND applied_at IS NOT NULL)
       OR (status = 'ignored' AND type = ANY(CAST(:handled AS text[])))
    ORDER BY received_at, id
    """
)
_CREATE_TOUCHES = text(
    "CREATE TEMP TABLE audit_touches (event_id text, subject text) ON COMMIT DROP"
)
_NOTE = text(
    "INSERT INTO audit_touches"
    " SELECT * FROM unnest(CAST(:events AS text[]), CAST(:subjects AS text[]))"
)
