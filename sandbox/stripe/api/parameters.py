"""Checks and converts the parameters of a request, refusing what Stripe would refuse.

A rule takes a parameter's name and its value as decoded from the form, and returns the value to
work with; it raises `Refusal`. An empty string unsets, so it becomes None where that is allowed.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.stripe.errors import invalid, missing_parameter, unknown_parameter

Rule = Callable[[str, Any], Any]

METADATA_KEYS_MAX = 50
METADATA_KEY_CHARACTERS_MAX = 40
METADATA_VALUE_CHARACTERS_MAX = 500
_PERCENT = re.compile(r"\d{1,3}(\.\d{1,4})?")
_INTEGER_DIGITS_MAX = 12


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters by name; every other name is unknown, unless the group is open."""

    rules: Mapping[str, Rule]
    required: tuple[str, ...] = ()
    is_open: bool = False

    def __call__(self, name: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - as decoded.
        """Check a group of parameters."""
        if value == "":
            return {}
        if not isinstance(value, dict):
            raise invalid("Invalid object", name or None)
        checked = {
            key: self._checked(_within(name, key), key, given) for key, given in value.items()
        }
        for key in self.required:
            if checked.get(key) in (None, "", [], {}):
                raise missing_parameter(_within(name, key))
        return checked

    def _checked(self, full_name: str, key: str, value: Any) -> Any:  # noqa: ANN401 - as decoded.
        rule = self.rules.get(key)
        if rule is None and self.is_open:
            return value
        if rule is None:
            raise unknown_parameter(full_name)
        return rule(full_name, value)


@dataclass(frozen=True, slots=True)
class Many:
    """A list of what one rule describes."""

    rule: Rule
    most: int = 100

    def __call__(self, name: str, value: Any) -> list[Any]:  # noqa: ANN401 - as decoded.
        """Check a list of parameters."""
        if value == "":
            return []
        if not isinstance(value, dict) or not all(key.isdecimal() for key in value):
            raise invalid("Invalid array", name)
        if len(value) > self.most:
            raise invalid(f"You may only specify up to {self.most} of these.", name)
        places = sorted(value, key=int)
        return [self.rule(f"{name}[{place}]", value[place]) for place in places]


def _within(name: str, key: str) -> str:
    return f"{name}[{key}]" if name else key


def text(name: str, value: Any) -> str | None:  # noqa: ANN401 - as decoded.
    """A string of at most 5000 characters."""
    longest = 5000
    if not isinstance(value, str):
        raise invalid("Invalid string", name)
    if len(value) > longest:
        message = f"Invalid string: must be at most {longest} characters"
        raise invalid(message, name, "parameter_invalid_string_too_long")
    return value or None


def short_text(name: str, value: Any) -> str | None:  # noqa: ANN401 - as decoded.
    """A string of at most 200 characters."""
    longest = 200
    words = text(name, value)
    if words is not None and len(words) > longest:
        raise invalid(f"Invalid string: must be at most {longest} characters", name)
    return words


def whole(name: str, value: Any) -> int:  # noqa: ANN401 - as decoded.
    """A whole number."""
    digits = value.removeprefix("-") if isinstance(value, str) else ""
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _INTEGER_DIGITS_MAX):
        raise invalid(f"Invalid integer: {value}", name, "parameter_invalid_integer")
    return int(value)


def amount(name: str, value: Any) -> int:  # noqa: ANN401 - as decoded.
    """Money in minor units, not below zero."""
    number = whole(name, value)
    if number < 0:
        message = "This value must be greater than or equal to 0."
        raise invalid(message, name, "parameter_invalid_integer")
    return number


def percent(name: str, value: Any) -> float:  # noqa: ANN401 - as decoded.
    """A share of a hundred, with up to four decimals."""
    if not isinstance(value, str) or not _PERCENT.fullmatch(value):
        raise invalid(f"Invalid decimal: {value}", name)
    return float(value)


def flag(name: str, value: Any) -> bool:  # noqa: ANN401 - as decoded.
    """True or false."""
    if value not in ("true", "false"):
        raise invalid(f"Invalid boolean: {value}", name)
    return bool(value == "true")


def one_of(*words: str) -> Rule:
    """One of some words."""

    def check(name: str, value: Any) -> str:  # noqa: ANN401 - as decoded.
        if value not in words:
            raise invalid(f"Invalid {name}: must be one of {', '.join(words)}", name)
        return str(value)

    return check


def currency(name: str, value: Any) -> str:  # noqa: ANN401 - as decoded.
    """A currency's three letters; they are kept small."""
    letters = 3
    code = value.lower() if isinstance(value, str) else ""
    if not (code.isascii() and code.isalpha() and len(code) == letters):
        raise invalid(f"Invalid currency: {value}.", name)
    return code


def web_url(name: str, value: Any) -> str | None:  # noqa: ANN401 - as decoded.
    """An address of the web."""
    url = text(name, value)
    if url is not None and not url.startswith(("http://", "https://")):
        raise invalid("Not a valid URL", name, "url_invalid")
    return url


def metadata(name: str, value: Any) -> dict[str, str]:  # noqa: ANN401 - as decoded.
    """Words by name, within Stripe's limits; an empty value takes its name away."""
    if value == "":
        return {}
    if not isinstance(value, dict):
        raise invalid("Invalid object", name)
    for key, word in value.items():
        if not isinstance(word, str):
            raise invalid("Invalid value type: must be a string", f"{name}[{key}]")
        if len(key) > METADATA_KEY_CHARACTERS_MAX or len(word) > METADATA_VALUE_CHARACTERS_MAX:
            message = (
                f"Metadata keys can have up to {METADATA_KEY_CHARACTERS_MAX} characters and "
                f"values up to {METADATA_VALUE_CHARACTERS_MAX} characters."
            )
            raise invalid(message, f"{name}[{key}]")
    if len(value) > METADATA_KEYS_MAX:
        raise invalid(f"Metadata can have up to {METADATA_KEYS_MAX} keys.", name)
    return dict(value)


def merged(old: Mapping[str, str] | None, new: Mapping[str, str]) -> dict[str, str]:
    """Metadata after an update: named ones replaced, empty ones gone, the others as they were."""
    both = {**(old or {}), **new}
    return {key: word for key, word in both.items() if word}


NOTHING = Group({})
MOMENTS = Group(dict.fromkeys(("gt", "gte", "lt", "lte"), whole))


def moment_or_range(name: str, value: Any) -> dict[str, int]:  # noqa: ANN401 - as decoded.
    """A moment, or the bounds of a stretch of time."""
    return (
        {"gte": (at := whole(name, value)), "lte": at}
        if value and isinstance(value, str)
        else (MOMENTS(name, value))
    )


PAGE: dict[str, Rule] = {
    "limit": whole,
    "starting_after": text,
    "ending_before": text,
}
DATED_PAGE: dict[str, Rule] = {**PAGE, "created": moment_or_range}
ANYTHING = Group({}, is_open=True)
