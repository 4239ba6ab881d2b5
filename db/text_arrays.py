"""Long lists of text go over as one literal that PostgreSQL splits.

The driver writes ARRAY['a', 'b', …]: it quotes each element by itself, and PostgreSQL parses each
as an expression of its own. One literal costs both of them a fraction (docs/decisions/0022).
"""

from typing import Any, Final

from psycopg2.extensions import QuotedString, adapt, register_adapter

# Shorter lists are the driver's: a plan for one of them is read by people as well.
_LENGTH_MIN: Final = 8
# A control character that no id has; a list with an element that has it is the driver's.
_BETWEEN: Final = "\x1f"


class TextArray:
    """A list as the driver is to write it; speaks psycopg2's adapter protocol."""

    def __init__(self, values: list[Any]) -> None:
        """Any list; what is not text, or too short to matter, stays with the driver."""
        self._adapted = _one_literal(values)
        self._is_split = self._adapted is not None
        if self._adapted is None:
            self._adapted = _DRIVERS(values)

    def prepare(self, connection: Any) -> None:  # noqa: ANN401 - the driver's untyped connection.
        """Take over the connection's encoding and way of quoting."""
        self._adapted.prepare(connection)

    def getquoted(self) -> bytes:
        """The list as it stands in a statement."""
        quoted: bytes = self._adapted.getquoted()
        return b"string_to_array(" + quoted + b", E'\\x1f')" if self._is_split else quoted


def _one_literal(values: list[Any]) -> Any:  # noqa: ANN401 - the driver's adapters are untyped.
    if len(values) < _LENGTH_MIN:
        return None
    try:
        joined = _BETWEEN.join(values)
    except TypeError:  # Numbers, or None among them.
        return None
    return QuotedString(joined) if joined.count(_BETWEEN) == len(values) - 1 else None


_DRIVERS: Final = type(adapt([]))


def register() -> None:
    """Have the driver write every list so, in this process."""
    register_adapter(list, TextArray)
