"""Reading values out of parsed JSON, where anything may be missing or of another type.

Objects of parsed JSON are dicts. Asking for that and not for any `Mapping` is what makes this
fast, which is most of what decoding an event costs.
"""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

# Larger numbers are no amount and no time, and PostgreSQL's bigint would refuse them.
_INTEGER_LIMIT = 10**18
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,12})?")
_CONTAINERS = frozenset({dict, list})
PLAN_ID_MAX = 2**31 - 1
TIME_MAX = 253_402_300_799


def text_of(value: object) -> str | None:
    """The value when it is a string with something in it; PostgreSQL cannot keep a NUL."""
    return value if isinstance(value, str) and value and "\0" not in value else None


def integer_of(value: object) -> int | None:
    """The value when it is a whole number, also one written as a string."""
    # To isinstance a bool is an int.
    if type(value) is int:
        return value if -_INTEGER_LIMIT < value < _INTEGER_LIMIT else None
    if isinstance(value, str):
        return int(value) if _WHOLE_NUMBER.fullmatch(value) else None
    return None


def quantity_of(item: Mapping[str, Any]) -> int:
    """How many of a line or item; one where no number says."""
    quantity = integer_of(item.get("quantity"))
    return 1 if quantity is None else quantity


def decimal_quantity_of(item: Mapping[str, Any]) -> int | Fraction:
    """How many of a line, also in parts: `quantity_decimal` (up to 12 decimals) before `quantity`.

    `quantity` is cut off to a whole number since API version 2026-03-25 and will go.
    """
    decimal = item.get("quantity_decimal")
    if isinstance(decimal, str) and _DECIMAL.fullmatch(decimal):
        if decimal.isdigit():
            return int(decimal)
        exact = Fraction(decimal)
        return exact.numerator if exact.denominator == 1 else exact
    return quantity_of(item)


def plan_id_of(value: object) -> int | None:
    """The value when it can be a plan's id: a whole number that PostgreSQL's integer holds."""
    plan_id = integer_of(value)
    return plan_id if plan_id is not None and 0 <= plan_id <= PLAN_ID_MAX else None


def time_of(value: object) -> int | None:
    """The value when it is a time in seconds since 1970, up to the year 9999."""
    seconds = integer_of(value)
    return seconds if seconds is not None and 0 <= seconds <= TIME_MAX else None


def mapping_of(value: object) -> dict[str, Any]:
    """The value when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def reference_of(value: object) -> str | None:
    """The id of another object, given as an id or expanded into the whole object."""
    return text_of(value.get("id") if isinstance(value, dict) else value)


def list_of(value: object) -> list[dict[str, Any]]:
    """The objects of an embedded Stripe list (`{"data": [...]}`); anything else is left out."""
    entries = mapping_of(value).get("data")
    return [item for item in entries if isinstance(item, dict)] if isinstance(entries, list) else []


def is_deeper_than(document: Mapping[str, Any], levels: int) -> bool:
    """Whether objects and lists lie in one another more than so many levels deep."""
    level: list[Any] = [document]
    for _ in range(levels):
        level = [
            entry
            for outer in level
            for entry in (outer if type(outer) is list else outer.values())
            if type(entry) in _CONTAINERS
        ]
        if not level:
            return False
    return True
