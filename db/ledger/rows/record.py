"""A record's fields, named once for the row or JSON that keeps it and for reading it back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, Generic, TypeVar

import orjson

T = TypeVar("T")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One field: how it is called where it is kept, and the attribute that it keeps.

    Where an attribute is not kept as it is, `of` tells what is kept of the whole record and `read`
    turns that back into the attribute. None, or what `is_optional` and missing, is read as the
    `default`. A field that `leaves_out` is not kept at all while it is None.
    """

    name: str
    attribute: str = ""
    of: Callable[[Any], Any] | None = None
    read: Callable[[Any], Any] | None = None
    is_optional: bool = False
    leaves_out: bool = False
    default: Any = None
    is_json: bool = False


def json_field(
    name: str,
    of: Callable[[Any], Any],
    read: Callable[[Any], Any] = lambda kept: kept,
    *,
    default: object = None,
) -> Field:
    """A column of JSON, read as text, because orjson is faster than the driver."""

    def loaded(kept: str) -> object:
        return read(orjson.loads(kept))

    return Field(name, of=of, read=loaded, default=default, is_json=True)


class Record(Generic[T]):
    """The fields of one kind of record, in the order in which `make` takes them.

    This is on the way of every event: an attribute that is kept as it is costs no call.
    """

    def __init__(
        self, make: Callable[..., T], fields: Sequence[Field], *, derived: Sequence[str] = ()
    ) -> None:
        """`derived` are attributes that are written and never read."""
        plain = [field for field in fields if not (field.of or field.leaves_out)]
        attributes = [*(field.attribute or field.name for field in plain), *derived]
        required = [field.name for field in fields if not field.is_optional]
        self._make = make
        self._fields = fields
        self._names = (*(field.name for field in plain), *derived)
        self._plain = attrgetter(*attributes) if attributes else _nothing
        self._special = [
            (field.name, field.of or attrgetter(field.attribute or field.name), field.leaves_out)
            for field in fields
            if field not in plain
        ]
        self._readers = [
            (place, field.read, field.default) for place, field in enumerate(fields) if field.read
        ]
        self._required = itemgetter(*required) if required else _nothing
        self._optional = [(field.name, field.default) for field in fields if field.is_optional]

    def selected(self, *, but: Sequence[str] = ()) -> str:
        """The columns as a SELECT names them, in the order that `value` expects."""
        return ", ".join(
            f"CAST({field.name} AS text) AS {field.name}" if field.is_json else field.name
            for field in self._fields
            if field.name not in but
        )

    def row(self, value: T) -> Row:
        """What is kept of a value."""
        row = dict(zip(self._names, self._plain(value), strict=False))
        for name, of, leaves_out in self._special:
            kept = of(value)
            if kept is not None or not leaves_out:
                row[name] = kept
        return row

    def value(self, columns: Sequence[Any]) -> T:
        """The value that these columns keep, given in the order of the fields."""
        values = list(columns)
        for place, read, default in self._readers:
            kept = values[place]
            values[place] = default if kept is None else read(kept)
        return self._make(*values)

    def of_json(self, kept: Mapping[str, Any]) -> T:
        """The value that a JSON object keeps; fields that may be missing come last."""
        optional = [kept.get(name, default) for name, default in self._optional]
        return self.value((*self._required(kept), *optional))


def _nothing(_value: object) -> tuple[Any, ...]:
    return ()
