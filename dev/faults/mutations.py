"""Spoils events the way a hostile or broken sender could: at any place, in a shape-aware manner.

Pure and seeded. What comes out is bytes to be signed; some of it is not even JSON, or not UTF-8.
"""

import contextlib
import copy
import json
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

_DEEP = 2_000
_MIB = 1024 * 1024
# Every kind of value where another is expected; numbers at and past every limit of what reads them.
_STRANGE: Sequence[Any] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    -0.0,
    1e308,
    2**31,
    2**53 + 1,
    2**63 - 1,
    -(2**63),
    2**63,
    2**64,
    10**400,
    "",
    " ",
    "0",
    "null",
    "a\0b",
    "\ud800",
    "\udfff\ud800",
    "\U0010ffff",
    "é" * 300,
    "x" * 70_000,
    "'; DROP TABLE ledger_entries; --",
    "../../etc/passwd",
    "%s%n{0}",
    [],
    {},
    [[]],
    {"": ""},
    {"object": "list", "data": [None], "has_more": True},
    {"\0": 1},
    {"__proto__": {}},
)

Path = tuple[Any, ...]


def mutate(event: dict[str, Any], chance: random.Random) -> bytes:
    """The bytes of a spoiled copy of an event."""
    kind = chance.choices(_KINDS, _WEIGHTS)[0]
    spoiled = copy.deepcopy(event)
    # Apart from the original, so that it is a case of its own and never a mere duplicate.
    spoiled["id"] = f"evt_fuzz_{chance.getrandbits(64):016x}"
    return kind(spoiled, chance)


def _replaced(event: dict[str, Any], chance: random.Random) -> bytes:
    """One to four values replaced by strange ones."""
    for _ in range(chance.randint(1, 4)):
        _put(event, chance.choice(_places(event)), copy.deepcopy(chance.choice(_STRANGE)))
    return _written(event)


def _removed(event: dict[str, Any], chance: random.Random) -> bytes:
    """One to four members taken out."""
    for _ in range(chance.randint(1, 4)):
        path = chance.choice(_places(event))
        holder = _at(event, path[:-1])
        del holder[path[-1]]
        if not event:
            break
    return _written(event)


def _swapped(event: dict[str, Any], chance: random.Random) -> bytes:
    """Two values exchanged, so that each is well formed and in the wrong place."""
    places = _places(event)
    one, other = chance.choice(places), chance.choice(places)
    first, second = copy.deepcopy(_at(event, one)), copy.deepcopy(_at(event, other))
    _put(event, one, second)
    # The first exchange may have taken the second place away, which is strange enough.
    with contextlib.suppress(KeyError, IndexError, TypeError):
        _put(event, other, first)
    return _written(event)


def _numbers(event: dict[str, Any], chance: random.Random) -> bytes:
    """Every number of the object moved to some limit or to the other sign."""
    for path in _places(event):
        value = _at(event, path)
        if type(value) is int and chance.random() < 0.5:  # noqa: PLR2004 - half of them.
            _put(event, path, chance.choice((-value, value * 10**18, 2**63 - 1, -1, 0, 0.1)))
    return _written(event)


def _renamed(event: dict[str, Any], chance: random.Random) -> bytes:
    """Another type than the object is of."""
    event["type"] = chance.choice(_TYPES)
    return _written(event)


def _deep(event: dict[str, Any], chance: random.Random) -> bytes:
    """A value nested deeper than any parser likes."""
    depth = chance.choice((100, 1_000, _DEEP))
    opening, closing = chance.choice((("[", "]"), ('{"a":', "}")))
    core = "1" if opening != "[" else ""
    return _with_raw(event, chance, opening * depth + core + closing * depth)


def _long(event: dict[str, Any], chance: random.Random) -> bytes:
    """A string that fills the body to its limit, or one byte past it."""
    room = _MIB - len(_written(event)) - 64
    return _with_raw(event, chance, '"' + "y" * chance.choice((room, room // 2, _MIB)) + '"')


def _raw(event: dict[str, Any], chance: random.Random) -> bytes:
    """Something that JSON does not allow, or allows and nobody expects."""
    raws = ("NaN", "Infinity", "-Infinity", "1e999", "-0", "0x10", "'x'", '"\\ud800"', '"\\u0000"')
    return _with_raw(event, chance, chance.choice((*raws, "9" * 5_000, '{"a":1,"a":2}', "")))


def _bytes(event: dict[str, Any], chance: random.Random) -> bytes:
    """Bytes overwritten, cut off or put in, without any regard for what they mean."""
    body = bytearray(_written(event))
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(body)) if body else 0
        body[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
    return bytes(body[: chance.randrange(len(body) + 1)] if chance.random() < 0.3 else body)  # noqa: PLR2004 - some are cut.


_KINDS: Sequence[Callable[[dict[str, Any], random.Random], bytes]] = (
    _replaced,
    _removed,
    _swapped,
    _numbers,
    _renamed,
    _deep,
    _long,
    _raw,
    _bytes,
)
_WEIGHTS = (40, 15, 10, 10, 8, 3, 0.5, 5, 8)
_TYPES = (
    "charge.refunded",
    "charge.dispute.funds_withdrawn",
    "checkout.session.completed",
    "customer.deleted",
    "customer.subscription.deleted",
    "customer.subscription.updated",
    "invoice.paid",
    "invoice_payment.paid",
    "payment_intent.succeeded",
    "refund.updated",
    "no.such.type",
)


def _places(value: object, above: Path = ()) -> list[Path]:
    """The path of every value inside, in the order they are written."""
    members: Iterable[tuple[object, object]] = ()
    if isinstance(value, dict):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    paths: list[Path] = []
    for key, inner in members:
        paths.append((*above, key))
        paths += _places(inner, (*above, key))
    return paths or [above] * bool(above)


def _at(event: Any, path: Path) -> Any:  # noqa: ANN401 - any JSON has any shape.
    for key in path:
        event = event[key]
    return event


def _put(event: dict[str, Any], path: Path, value: object) -> None:
    _at(event, path[:-1])[path[-1]] = value


_MARK = "raw value comes here"


def _with_raw(event: dict[str, Any], chance: random.Random, raw: str) -> bytes:
    """The event with one value written as it is."""
    _put(event, chance.choice(_places(event)), _MARK)
    return _written(event).replace(f'"{_MARK}"'.encode(), raw.encode("utf-8", "surrogatepass"))


def _written(event: dict[str, Any]) -> bytes:
    # Lone surrogates and NUL come as escapes, which JSON allows and neither store can keep.
    return json.dumps(event).encode()
