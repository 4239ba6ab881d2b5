"""Whose an event is: only those of our own Stripe account, in the mode we serve, count.

With Connect one endpoint also gets the events of other accounts, signed with the same secret. Who
owns such an account writes its metadata, so it could name our users and plans at will.
"""

from enum import StrEnum
from typing import NamedTuple

from domain.events import Event, Notice

# What the notes of foreign events begin with.
FOREIGN = "event of another account"
LIVE_IN_TEST = "livemode event in test mode"
TEST_IN_LIVE = "test mode event in live mode"


class Reason(StrEnum):
    """Why an event is left alone."""

    FOREIGN_ACCOUNT = "foreign_account"
    OTHER_MODE = "other_mode"


class Stranger(NamedTuple):
    """Why an event is none of ours, and in words."""

    reason: Reason
    note: str


def stranger(
    event: Event | Notice, own_account: str | None, *, test_mode: bool | None
) -> Stranger | None:
    """Why an event is to be left alone, undecoded; None for one of ours.

    `own_account` is our account's id, None where it is not known: then every event that names an
    account is foreign. `test_mode` is the mode we serve; None takes both.
    """
    if event.account is not None and event.account != own_account:
        ours = f"ours is {own_account}" if own_account else "which is ours is not known"
        return Stranger(Reason.FOREIGN_ACCOUNT, f"{FOREIGN}, {event.account}; {ours}")
    if None in (event.livemode, test_mode) or event.livemode is not test_mode:
        return None
    return Stranger(Reason.OTHER_MODE, LIVE_IN_TEST if event.livemode else TEST_IN_LIVE)
