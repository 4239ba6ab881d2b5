"""Whose event: the account that an envelope names, and why another's is left alone."""

from typing import Any

import pytest

from domain.decode import parse
from domain.origin import Reason, stranger

OURS, THEIRS = "acct_ours", "acct_theirs"


def envelope(**more: Any) -> dict[str, Any]:
    """An event as Stripe sends it."""
    return {"id": "evt_1", "type": "ping", "created": 1, "livemode": False, **more}


@pytest.mark.parametrize(
    ("named", "account"),
    [
        ({}, None),
        ({"account": None, "context": None}, None),
        ({"account": ""}, None),
        ({"account": THEIRS}, THEIRS),
        ({"context": THEIRS}, THEIRS),
        ({"account": THEIRS, "context": OURS}, THEIRS),
        ({"context": f"org_1/{THEIRS}"}, THEIRS),
        ({"account": {"id": THEIRS}}, THEIRS),
        ({"account": 7}, "unreadable"),
        ({"account": {"odd": True}}, "unreadable"),
    ],
)
def test_an_event_names_an_account_or_none(named: dict[str, Any], account: str | None) -> None:
    """In its envelope; what cannot be read is not ours."""
    assert parse(envelope(**named)).account == account


@pytest.mark.parametrize(
    ("named", "own", "is_foreign"),
    [
        (None, None, False),
        (None, OURS, False),
        (OURS, OURS, False),
        (THEIRS, OURS, True),
        (THEIRS, None, True),
        (OURS, None, True),
    ],
)
def test_only_events_of_our_own_account_count(
    named: str | None, own: str | None, *, is_foreign: bool
) -> None:
    """Where ours is not known, every event that names one is another's."""
    found = stranger(parse(envelope(account=named)), own, test_mode=True)
    assert (found is not None) == is_foreign
    if found is not None:
        assert found.reason is Reason.FOREIGN_ACCOUNT
        assert named is not None
        assert named in found.note


def test_an_event_of_the_other_mode_is_told_apart() -> None:
    """Both are left alone; which of the two settings is wrong is another matter."""
    found = stranger(parse(envelope(livemode=True)), OURS, test_mode=True)
    assert found is not None
    assert found.reason is Reason.OTHER_MODE
    assert stranger(parse(envelope(livemode=True)), OURS, test_mode=False) is None
