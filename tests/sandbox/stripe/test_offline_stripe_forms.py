"""The offline Stripe's forms and parameters: what is nested, what is refused and by which name."""

from typing import Any

import pytest
from stripe._encode import _api_encode

from sandbox.stripe.api.parameters import Group, Many, flag, merged, metadata, text, whole
from sandbox.stripe.errors import Refusal
from sandbox.stripe.forms import decode

RULES = Group(
    {
        "items": Many(Group({"id": text, "count": whole}, required=("id",)), most=2),
        "metadata": metadata,
        "on": flag,
        "types": Many(text),
    },
    required=("on",),
)


def checked(form: dict[str, Any]) -> dict[str, Any]:
    """What is left of a form that the SDK encodes."""
    return RULES("", decode((name, str(value)) for name, value in _api_encode(form)))


def test_what_the_sdk_encodes_is_read_back() -> None:
    """Nested groups, lists of groups, numbers and booleans; names that are numbers stay names."""
    form: dict[str, Any] = {
        "items": [{"id": "a", "count": 2}, {"id": "b"}],
        "metadata": {"0": "x", "user id": "y&z=[é]"},
        "on": True,
        "types": ["one", "two"],
    }
    assert checked(form) == form


def test_more_than_ten_entries_of_a_list_keep_their_order() -> None:
    """Places are numbers: 10 comes after 9."""
    types = [f"t{place}" for place in range(12)]
    assert checked({"on": False, "types": types})["types"] == types


@pytest.mark.parametrize(
    ("form", "param", "code"),
    [
        ({}, "on", "parameter_missing"),
        ({"on": "yes"}, "on", None),
        ({"on": True, "of": 1}, "of", "parameter_unknown"),
        ({"on": True, "items": [{"count": 1}]}, "items[0][id]", "parameter_missing"),
        ({"on": True, "items": [{"id": "a", "x": 1}]}, "items[0][x]", "parameter_unknown"),
        ({"on": True, "items": [{"id": "a", "count": "1.5"}]}, "items[0][count]", None),
        ({"on": True, "items": [{"id": str(n)} for n in range(3)]}, "items", None),
        ({"on": True, "types": "one"}, "types", None),
        ({"on": True, "metadata": {"a": {"b": "c"}}}, "metadata[a]", None),
        ({"on": True, "metadata": "words"}, "metadata", None),
    ],
)
def test_a_wrong_form_is_refused_by_the_full_name(
    form: dict[str, Any], param: str, code: str | None
) -> None:
    """The parameter is named as it was sent; the code is Stripe's where it has one."""
    with pytest.raises(Refusal) as refusal:
        checked(form)
    assert refusal.value.param == param
    assert code is None or refusal.value.code == code


@pytest.mark.parametrize(
    "pairs",
    [
        [("a", "1"), ("a[b]", "2")],
        [("a[b]", "2"), ("a", "1")],
        [("a]b[", "1")],
        [("", "1")],
        [("a" + "[b]" * 11, "1")],
    ],
)
def test_names_that_make_no_sense_are_refused(pairs: list[tuple[str, str]]) -> None:
    """Neither a crash nor a guess."""
    with pytest.raises(Refusal):
        decode(pairs)


def test_an_empty_value_takes_metadata_away() -> None:
    """As Stripe does it: names not mentioned stay."""
    assert merged({"a": "1", "b": "2"}, {"a": "", "c": "3"}) == {"b": "2", "c": "3"}
    assert metadata("metadata", "") == {}
