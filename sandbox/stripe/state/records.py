"""Turns the account's records into JSON and back, so that a later release reads them as well.

A record that changes is an object of its own, named by its id wherever it is mentioned; a value
that never changes stands where it is used. A field that is missing has its default, one that no
longer exists is left out. So a release may add a field with a default, and drop one; a class that
is renamed gets a line in `FORMER_NAMES`. Nothing but these classes is ever made of a file.
"""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from fractions import Fraction
from typing import Any

import orjson

from sandbox.simulate import contract_records, coupons, money_records, plans, records, versions
from sandbox.stripe import clocks, goods, offers, owed, portals, views
from sandbox.stripe.billing import items, meters, rates, schedules
from sandbox.stripe.paying import methods, setup_sessions, setups

MODULES = (
    *(contract_records, coupons, money_records, plans, records, versions),
    *(goods, offers, owed, portals, views, methods, setups, setup_sessions),
    *(items, meters, rates, clocks, schedules),
)
# What a class was called by an earlier release → what it is called today.
FORMER_NAMES: Mapping[str, str] = {}
# An object with this key is no plain mapping: it says what it stands for.
_KIND = "is"
_PLAIN = (str, int, float, bool, type(None))


class UnreadableError(Exception):
    """A record that this release cannot make sense of."""


def _kinds() -> dict[str, type]:
    found: dict[str, type] = {}
    for module in MODULES:
        for kind in vars(module).values():
            if isinstance(kind, type) and is_dataclass(kind):
                found[kind.__name__] = kind
    return found


def _changes(kind: Any) -> bool:  # noqa: ANN401 - a dataclass, of which types know no more.
    return not kind.__dataclass_params__.frozen


KINDS = _kinds()
_FIELDS: dict[type, tuple[Field[Any], ...]] = {kind: fields(kind) for kind in KINDS.values()}
_NAMES = {kind: tuple(one.name for one in of) for kind, of in _FIELDS.items()}
# Records that change; they have ids, and others name them.
NAMED = frozenset(kind for kind, names in _NAMES.items() if "id" in names and _changes(kind))


class Writer:
    """Writes the records of one account; those they mention come with them."""

    def __init__(self) -> None:
        self._named: dict[str, Any] = {}
        self._waiting: list[Any] = []

    def bodies(self, kept: Iterable[Any]) -> dict[str, bytes]:
        """Each record, and each that it mentions, as JSON by its id."""
        for record in kept:
            self._mention(record)
        written: dict[str, bytes] = {}
        while self._waiting:
            record = self._waiting.pop()
            written[record.id] = orjson.dumps(self._fields(record))
        return written

    def value(self, value: Any) -> Any:  # noqa: ANN401 - any value, and its JSON.
        """A value as JSON."""
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind in NAMED:
            return {_KIND: "", "of": self._mention(value)}
        if kind in _NAMES:
            return self._fields(value)
        if kind is list:
            return [self.value(one) for one in value]
        return self._tagged(kind, value)

    def _tagged(self, kind: type, value: Any) -> dict[str, Any]:  # noqa: ANN401 - any value.
        if kind is tuple:
            return {_KIND: "tuple", "of": [self.value(one) for one in value]}
        if kind is dict:
            return {_KIND: "map", "of": [[name, self.value(one)] for name, one in value.items()]}
        if kind is Fraction:
            return {_KIND: "fraction", "of": str(value)}
        raise TypeError(f"{kind.__qualname__} has no JSON")

    def _mention(self, record: Any) -> str:  # noqa: ANN401 - of any named class.
        record_id: str = record.id
        if record_id not in self._named:
            self._named[record_id] = record
            self._waiting.append(record)
        elif self._named[record_id] is not record:
            raise TypeError(f"two records are called {record_id}")
        return record_id

    def _fields(self, record: object) -> dict[str, Any]:
        drawn: dict[str, Any] = {_KIND: type(record).__name__}
        for name in _NAMES[type(record)]:
            drawn[name] = self.value(getattr(record, name))
        return drawn


class Reader:
    """Reads the records of one account back: all are made first, and filled then."""

    def __init__(self, bodies: Mapping[str, bytes]) -> None:
        self._drawn = {record_id: orjson.loads(body) for record_id, body in bodies.items()}
        self._made: dict[str, Any] = {
            record_id: object.__new__(_kind(drawn)) for record_id, drawn in self._drawn.items()
        }

    def records(self) -> dict[str, Any]:
        """Every record by its id. Raises `UnreadableError`."""
        for record_id, drawn in self._drawn.items():
            self._fill(self._made[record_id], drawn)
        return self._made

    def value(self, drawn: Any) -> Any:  # noqa: ANN401 - JSON, and any value.
        """What JSON stands for. Raises `UnreadableError`."""
        if isinstance(drawn, list):
            return [self.value(one) for one in drawn]
        return self._untagged(drawn) if isinstance(drawn, dict) else drawn

    def _untagged(self, drawn: Mapping[str, Any]) -> object:
        match drawn.get(_KIND):
            case "":
                return self._named(drawn["of"])
            case "tuple":
                return tuple(self.value(one) for one in drawn["of"])
            case "map":
                return {name: self.value(one) for name, one in drawn["of"]}
            case "fraction":
                return Fraction(drawn["of"])
            case _:
                made: Any = object.__new__(_kind(drawn))
                self._fill(made, drawn)
                return made

    def _named(self, record_id: str) -> object:
        if record_id not in self._made:
            raise UnreadableError(f"{record_id} is mentioned, and not there")
        return self._made[record_id]

    def _fill(self, record: object, drawn: Mapping[str, Any]) -> None:
        for name in _NAMES[type(record)]:
            if name in drawn:
                # Frozen ones too: they are being made.
                object.__setattr__(record, name, self.value(drawn[name]))
        complete(record)


def complete(record: object) -> None:
    """Give the fields that a record lacks their defaults. Raises `UnreadableError` without one."""
    for one in _FIELDS[type(record)]:
        if hasattr(record, one.name):
            continue
        if one.default is not MISSING:
            value = one.default
        elif one.default_factory is not MISSING:
            value = one.default_factory()
        else:
            raise UnreadableError(f"{type(record).__name__} has no {one.name}")
        object.__setattr__(record, one.name, value)


def _kind(drawn: Mapping[str, Any]) -> type:
    name = str(drawn.get(_KIND))
    kind = KINDS.get(FORMER_NAMES.get(name, name))
    if kind is None:
        raise UnreadableError(f"nothing is called {name} here")
    return kind
