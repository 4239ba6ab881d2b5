"""Corrections of balances by hand, and the ledger entries they call for."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

KIND = "adjustment"


class Adjustment(NamedTuple):
    """A correction of a user's balance: so many tokens, whose word it is, and why.

    `id` is the adjustment's own: its event is known by it, and so is its ledger entry.
    """

    id: str
    user_id: str
    delta: int
    by: str
    reason: str


class AdjustmentEntry(NamedTuple):
    """A ledger entry to be posted for an adjustment; no payment is behind it."""

    user_id: str
    delta: int
    reason: str
    kind: str = KIND
    payment_id: None = None


def entries_for(adjustment: Adjustment, posted: Mapping[str, int]) -> list[AdjustmentEntry]:
    """The entries that bring the ledger from what it holds to what the adjustment says.

    `posted` is the sum of this adjustment's entries by user: none are lacking the second time.
    """
    wanted = {adjustment.user_id: adjustment.delta}
    lacking = {
        user_id: wanted.get(user_id, 0) - posted.get(user_id, 0)
        for user_id in sorted(wanted.keys() | posted.keys())
    }
    reason = f"{adjustment.reason} (by {adjustment.by})"
    return [AdjustmentEntry(user_id, delta, reason) for user_id, delta in lacking.items() if delta]


def distinct(facts: Iterable[object]) -> dict[str, Adjustment]:
    """The adjustments among the facts, each once."""
    return {fact.id: fact for fact in facts if isinstance(fact, Adjustment)}
