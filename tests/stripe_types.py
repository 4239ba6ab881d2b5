"""Compares Stripe objects as JSON with the typed classes of the installed Stripe SDK.

An object must have every field the class cannot do without, each of a value the class allows, and
none that the class does not know.
"""

from collections.abc import Mapping
from decimal import Decimal
from importlib import import_module
from types import NoneType, UnionType
from typing import Any, ClassVar, ForwardRef, Literal, Union, get_args, get_origin

import stripe
from stripe._object_classes import OBJECT_CLASSES
from stripe._stripe_object import StripeObject

Json = Mapping[str, Any]

# Still sent, though the typed classes no longer name them.
_UNTYPED = {
    "subscription": {"plan", "quantity"},
    "invoice": {"latest_revision"},
}
_PLAIN: dict[Any, tuple[type, ...]] = {
    int: (int,),
    str: (str,),
    float: (int, float),
    Decimal: (str, int, float),
}


def problems_of(drawn: Json) -> list[str]:
    """What is wrong with an object that says its own kind, a line for each finding."""
    kind = str(drawn["object"])
    if kind == "list":
        return _in_list(drawn, kind)
    if kind not in OBJECT_CLASSES:
        return [f"{kind} is no object of the SDK"]
    module, name = OBJECT_CLASSES[kind]
    typed = getattr(import_module(module), name)
    return _fields(drawn, typed, kind, _UNTYPED.get(kind, set()))


def _fields(
    drawn: Json, kind: type, path: str, untyped: set[str] | frozenset[str] = frozenset()
) -> list[str]:
    hints = {
        name: hint
        for each in reversed(kind.__mro__)
        if issubclass(each, StripeObject) and each is not StripeObject
        for name, hint in getattr(each, "__annotations__", {}).items()
        if get_origin(hint) is not ClassVar and not name.startswith("_")
    }
    missing = [
        f"{path}.{name} is missing"
        for name, hint in hints.items()
        if name not in drawn and not _takes_none(hint)
    ]
    unknown = [f"{path}.{name} is unknown" for name in drawn.keys() - hints.keys() - untyped]
    wrong = [
        line
        for name, value in drawn.items()
        if name in hints
        for line in _value(value, hints[name], f"{path}.{name}")
    ]
    return missing + unknown + wrong


def _takes_none(hint: Any) -> bool:
    return hint is Any or (get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint))


def _value(value: Any, hint: Any, path: str) -> list[str]:
    origin = get_origin(hint)
    if hint is Any or (hint is NoneType and value is None):
        return []
    if origin in (Union, UnionType):
        allowed = [each for each in get_args(hint) if each is not NoneType or value is None]
        return min((_value(value, each, path) for each in allowed), key=len)
    if origin is Literal:
        return [] if value in get_args(hint) else [f"{path} is {value!r}"]
    if isinstance(value, Mapping):
        return _group(value, hint, path)
    if isinstance(value, list) and origin is list:
        (item,) = get_args(hint)
        return [line for each in value for line in _value(each, item, f"{path}[]")]
    plain = (
        isinstance(value, bool)
        if hint is bool
        else (not isinstance(value, bool) and isinstance(value, _PLAIN.get(hint, ())))
    )
    return [] if plain else [f"{path} is {value!r}, not {hint}"]


def _group(value: Json, hint: Any, path: str) -> list[str]:
    origin = get_origin(hint) or hint
    if origin is stripe.ListObject:
        return _in_list(value, path)
    if isinstance(hint, ForwardRef) or isinstance(value.get("object"), str):
        return problems_of(value) if "object" in value else [f"{path} says no kind"]
    if isinstance(origin, type) and origin.__name__ == "UntypedStripeObject":
        return []
    if isinstance(origin, type) and issubclass(origin, StripeObject):
        return _fields(value, origin, path)
    return [f"{path} is a group, not {hint}"]


def _in_list(value: Json, path: str) -> list[str]:
    shape = {"object", "data", "has_more", "url"}
    wrong = [] if value.keys() == shape else [f"{path} is no list: {sorted(value)}"]
    return wrong + [line for each in value.get("data", ()) for line in problems_of(each)]
