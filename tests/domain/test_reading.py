"""Reading an event's envelope, and single values at the edges of what they may be."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.decode import decode, parse
from domain.errors import DecodeError
from domain.json_values import integer_of, is_deeper_than, list_of, reference_of, text_of, time_of
from tests.stripe_objects import an_event


@pytest.mark.parametrize("found", [None, [], "x", {}, {"id": "evt_1", "type": "a"}])
def test_what_is_no_event_is_refused(found: Any) -> None:
    """Every event has id, type and time."""
    with pytest.raises(DecodeError, match=r"^The event lacks one of id, type and created\.$"):
        parse(found)


@pytest.mark.parametrize("key", ["id", "type", "created"])
def test_an_envelope_needs_each_of_its_three(key: str) -> None:
    """The other two do not help."""
    with pytest.raises(DecodeError):
        parse(an_event("customer.created", {}) | {key: None})


def test_an_envelope_may_lack_everything_else() -> None:
    """Read as empty, with what is there kept."""
    event = parse({"id": "evt_1", "type": "ping", "created": "12", "livemode": "no"})
    assert (event.created, event.api_version, event.livemode) == (12, "", None)
    assert (event.object, event.previous_attributes) == ({}, {})
    assert parse(an_event("ping", {})).livemode is False
    assert decode(event).note is None


READERS: list[tuple[Callable[[Any], Any], Any, Any]] = [
    (integer_of, 5, 5),
    (integer_of, "-5", -5),
    (integer_of, "123456789012345678", 123_456_789_012_345_678),
    (integer_of, "1234567890123456789", None),
    (integer_of, 10**18 - 1, 10**18 - 1),
    (integer_of, 10**18, None),
    (integer_of, -(10**18), None),
    (integer_of, "--5", None),
    (integer_of, "٣", None),
    (integer_of, "5\n", None),
    (integer_of, "", None),
    (integer_of, False, None),
    (integer_of, 5.0, None),
    (time_of, 0, 0),
    (time_of, -1, None),
    (time_of, 253_402_300_799, 253_402_300_799),
    (time_of, 253_402_300_800, None),
    (text_of, "", None),
    (text_of, "a\0", None),
    (text_of, 5, None),
    (reference_of, {"id": "a"}, "a"),
    (reference_of, {"id": 5}, None),
    (list_of, {"data": [{"a": 1}, 5, None]}, [{"a": 1}]),
    (list_of, {"data": {"a": 1}}, []),
    (list_of, [{"a": 1}], []),
]


@pytest.mark.parametrize(("read", "value", "expected"), READERS)
def test_a_value_is_read_as_what_it_can_be(
    read: Callable[[Any], Any], value: Any, expected: Any
) -> None:
    """Or as nothing, at the very edges of what is possible."""
    assert read(value) == expected


@pytest.mark.parametrize(
    ("found", "levels"),
    [({}, 1), ({"a": 1}, 1), ({"a": {}}, 2), ({"a": [1, {"b": []}], "c": {}}, 4)],
)
def test_levels_of_nesting_are_counted(found: dict[str, Any], levels: int) -> None:
    """Objects and lists alike, along the deepest path."""
    assert is_deeper_than(found, levels - 1)
    assert not is_deeper_than(found, levels)
