"""Rows by COPY in its binary form: nothing is quoted, read as a statement, or spelt out in digits.

A row of an event costs PostgreSQL less than half of what it costs as part of a statement
(docs/decisions/0022). A row that is there already makes the whole COPY fail, so whoever copies
knows what is new.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from io import BytesIO
from struct import Struct
from typing import Any, Final

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Integer,
    LargeBinary,
    Table,
    Text,
    event,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

# Fewer rows are written by one statement: to copy takes more of them.
COPIED_MIN = 16

_ROWS: Final = "copied_rows"
# The client keeps a buffer of twice as much for as long as it is connected.
_BYTES_AT_ONCE: Final = 1 << 16
# Signature, flags, and the length of a header's extension.
_BEGIN: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END: Final = b"\xff\xff"
_COUNT, _SIZE, _SMALL, _LARGE = Struct(">h"), Struct(">i"), Struct(">ii"), Struct(">iq")
# PostgreSQL counts microseconds from here.
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_EPOCH_SECONDS: Final = int(_EPOCH.timestamp())

NULL: Final = _SIZE.pack(-1)
# What most fields begin with.
_SIZES_KEPT: Final = 2_048
_SIZES: Final = [_SIZE.pack(size) for size in range(_SIZES_KEPT)]
_TRUE, _FALSE = _SIZE.pack(1) + b"\x01", _SIZE.pack(1) + b"\x00"


def of_bytes(value: bytes) -> bytes:
    """A field of type bytea."""
    size = len(value)
    return (_SIZES[size] if size < _SIZES_KEPT else _SIZE.pack(size)) + value


def of_text(value: str | None) -> bytes:
    """A field of type text."""
    if value is None:
        return NULL
    encoded = value.encode()
    size = len(encoded)
    return (_SIZES[size] if size < _SIZES_KEPT else _SIZE.pack(size)) + encoded


@lru_cache(maxsize=1_024)
def of_word(value: str) -> bytes:
    """A field of type text that many rows share."""
    return of_text(value)


def of_integer(value: int) -> bytes:
    """A field of type integer, of four bytes."""
    return _SMALL.pack(4, value)


def of_large(value: int) -> bytes:
    """A field of type bigint."""
    return _LARGE.pack(8, value)


def of_milliseconds(value: int) -> bytes:
    """A field of type timestamptz, from milliseconds since 1970."""
    return _LARGE.pack(8, (value - _EPOCH_SECONDS * 1_000) * 1_000)


def of_moment(value: datetime) -> bytes:
    """A field of type timestamptz."""
    return _LARGE.pack(8, (value - _EPOCH) // timedelta(microseconds=1))


def of_boolean(value: bool) -> bytes:  # noqa: FBT001 - a value, not a switch.
    """A field of type boolean."""
    return _TRUE if value else _FALSE


def of_json(value: object) -> bytes:
    """A field of type jsonb: its version, and JSON as text."""
    return of_bytes(b"\x01" + orjson.dumps(value))


def copy_in(
    connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[bytes]]
) -> None:
    """Append rows, each with a field for every column. Names must be our own.

    Raises what `Connection.execute` raises.
    """
    if not event.contains(connection.dialect, "do_execute", _copied):
        # As a statement of SQLAlchemy's it has its errors, and its care for lost connections.
        event.listen(connection.dialect, "do_execute", _copied)
    count = _COUNT.pack(len(columns))
    data = b"".join((_BEGIN, *(count + b"".join(fields) for fields in rows), _END))
    connection.exec_driver_sql(
        f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT binary)",
        execution_options={_ROWS: data},
    )


class CopiedRows:
    """Columns of a table, and what makes a field of each; for rows that are dicts."""

    def __init__(self, table: Table, columns: Iterable[str]) -> None:
        """Every column must be of a type that this module knows."""
        self._table = table.name
        self._fields = [(name, _of_column(table.c[name])) for name in columns]

    def append(self, connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
        """Copy rows; what a row lacks is NULL. Raises what `copy_in` raises."""
        fields = self._fields
        copy_in(
            connection,
            self._table,
            [name for name, _ in fields],
            (
                [NULL if (value := row.get(name)) is None else of(value) for name, of in fields]
                for row in rows
            ),
        )


def _of_column(column: Column[Any]) -> Callable[[Any], bytes]:
    return next(of for kind, of in _BY_TYPE if isinstance(column.type, kind))


def _copied(cursor: Any, statement: str, _parameters: object, context: Any) -> bool:  # noqa: ANN401 - as SQLAlchemy calls it.
    data = context.execution_options.get(_ROWS)
    if data is None:
        return False
    cursor.copy_expert(statement, BytesIO(data), _BYTES_AT_ONCE)
    return True


# The first that fits counts: to SQLAlchemy a BigInteger is an Integer as well.
_BY_TYPE: Final[Sequence[tuple[type[TypeEngine[Any]], Callable[[Any], bytes]]]] = (
    (Text, of_text),
    (BigInteger, of_large),
    (Integer, of_integer),
    (Boolean, of_boolean),
    (LargeBinary, of_bytes),
    (DateTime, of_moment),
    (JSONB, of_json),
)
