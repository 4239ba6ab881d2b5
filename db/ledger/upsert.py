"""Writes many rows of one table in one statement: rows go over as one JSON document."""

from collections.abc import Collection, Sequence

import orjson
from sqlalchemy import Connection, Table, TextClause, text
from sqlalchemy.dialects import postgresql

from db.ledger.rows import Row

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped.


class Upsert:
    """Insert rows, or replace the named columns of those that are there, in the order of ids."""

    def __init__(self, table: Table, columns: Collection[str], *, touch: str | None = None) -> None:
        """`touch` names a time column that is set to now() whenever a row is replaced."""
        self._statement = _statement(table, columns, touch)

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Write the rows; each id may occur once. Sorted, so that two batches never deadlock."""
        if rows:
            ordered = sorted(rows, key=lambda row: str(row["id"]))
            connection.execute(self._statement, {"rows": orjson.dumps(ordered).decode()})


def _statement(table: Table, columns: Collection[str], touch: str | None) -> TextClause:
    names = ", ".join(f'"{name}"' for name in columns)
    shape = ", ".join(f'"{name}" {_type(table, name)}' for name in columns)
    replaced = [f'"{name}" = EXCLUDED."{name}"' for name in columns if name != "id"]
    if touch:
        replaced.append(f"{touch} = now()")
    return text(
        f"INSERT INTO {table.name} ({names})"  # noqa: S608 - names are our own tables'.
        f" SELECT {names} FROM json_to_recordset(CAST(:rows AS json)) AS new ({shape})"
        f" ON CONFLICT (id) DO UPDATE SET {', '.join(replaced)}"
    )


def _type(table: Table, name: str) -> str:
    return table.c[name].type.compile(_DIALECT)
