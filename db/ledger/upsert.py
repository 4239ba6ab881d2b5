"""Writes many rows of one table: by COPY what is new, all else in one statement.

In a statement rows go over as one JSON document. Bytes go beside it, and the document says where
each row's lie. By COPY a row costs PostgreSQL a quarter to a half of that (docs/decisions/0022).
"""

from collections.abc import Collection, Container, Sequence

import orjson
from sqlalchemy import LargeBinary, Table
from sqlalchemy.dialects import postgresql

from db import copying
from db.copying import CopiedRows
from db.ledger.rows import Row
from db.packed_bytes import pack
from db.together import Together

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped.


class Upsert:
    """Insert rows, or replace the named columns of those that are there, in the order of ids."""

    def __init__(self, table: Table, columns: Collection[str], *, touch: str | None = None) -> None:
        """`touch` names a time column that is set to now() whenever a row is replaced."""
        self._table = table.name
        self._bytes = [name for name in columns if _is_bytes(table, name)]
        self._copied = CopiedRows(table, columns)
        self._statement = _statement(table, columns, touch)

    def add(
        self, together: Together, rows: Sequence[Row], there: Container[str] | None = None
    ) -> None:
        """Write the rows, each id once, with whatever else goes over together.

        Sorted, so that two batches never deadlock. What is copied goes at once. `there` are the ids
        that the table has, as read under the locks of who may write them: all others are new.
        Raises what the database raises, `IntegrityError` too where one of those has come in since.
        """
        ordered = sorted(rows, key=lambda row: str(row["id"]))
        if there is not None:
            new = [row for row in ordered if row["id"] not in there]
            if len(new) >= copying.COPIED_MIN:
                together.run()
                self._copied.append(together.connection, new)
                ordered = [row for row in ordered if row["id"] in there]
        if ordered:
            beside = {f"{self._table}_{name}": _set_aside(ordered, name) for name in self._bytes}
            document = {f"{self._table}_rows": orjson.dumps(ordered).decode()}
            together.add(self._statement, **document, **beside)


def _set_aside(rows: Sequence[Row], name: str) -> str:
    """Replace a column of bytes by where they lie in the literal that this returns."""
    literal, pieces = pack(row.pop(name, None) for row in rows)
    for row, piece in zip(rows, pieces, strict=True):
        row[f"{name}_start"], row[f"{name}_size"] = piece
    return literal


def _statement(table: Table, columns: Collection[str], touch: str | None) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join(_value(table, name) for name in columns)
    shape = ", ".join(_shape(table, name) for name in columns)
    replaced = [f'"{name}" = EXCLUDED."{name}"' for name in columns if name != "id"]
    if touch:
        replaced.append(f"{touch} = now()")
    return (
        f"INSERT INTO {table.name} ({names})"  # noqa: S608 - names are our own tables'.
        f" SELECT {values}"
        f" FROM json_to_recordset(CAST(:{table.name}_rows AS json)) AS new ({shape})"
        f" ON CONFLICT (id) DO UPDATE SET {', '.join(replaced)}"
    )


def _value(table: Table, name: str) -> str:
    if _is_bytes(table, name):
        return f'substr(CAST(:{table.name}_{name} AS bytea), "{name}_start", "{name}_size")'
    return f'"{name}"'


def _shape(table: Table, name: str) -> str:
    if _is_bytes(table, name):
        return f'"{name}_start" integer, "{name}_size" integer'
    return f'"{name}" {table.c[name].type.compile(_DIALECT)}'


def _is_bytes(table: Table, name: str) -> bool:
    return isinstance(table.c[name].type, LargeBinary)
