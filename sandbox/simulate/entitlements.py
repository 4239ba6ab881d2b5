"""What a buyer may use at a time, reckoned by the seller from what they had at a moment.

The judge of access: plain arithmetic, which imports no `domain`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.simulate.plans import Patience, Plan

_GOOD = ("active", "trialing")
_TROUBLED = ("past_due", "unpaid", "paused")


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract at one moment: what it sells, its state with when it began, when it ends."""

    user_id: str
    sells: tuple[tuple[int, int], ...]
    state: str
    since: int
    end: int | None
    shut_since: int | None
    opens: int | None

    def gives(self, patience: Patience, at: int) -> bool:
        """Whether it gives what it sells at a time."""
        if self.end is not None and at >= self.end:
            return False
        shut = self.shut_since is not None and (self.opens is None or at < self.opens)
        if shut and self.state in (*_GOOD, "past_due"):
            return _lasts("paused", self.shut_since or 0, patience, at)
        if self.state in _TROUBLED:
            return _lasts(self.state, self.since, patience, at)
        return self.state in _GOOD

    def turns(self, patience: Patience) -> list[int]:
        """When that may turn by itself."""
        ends = [self.end, self.opens]
        for state, since in ((self.state, self.since), ("paused", self.shut_since)):
            seconds = patience.get(state)
            ends.append(None if seconds is None or since is None else since + seconds)
        return [end for end in ends if end is not None]


@dataclass(frozen=True, slots=True)
class Note:
    """What everybody had when the clock moved on from a moment."""

    at: int
    contracts: tuple[Contract, ...]
    packages: tuple[tuple[str, int, int], ...]

    def access(
        self, user_id: str, plans: Sequence[Plan], patience: Patience, at: int
    ) -> dict[str, int | None]:
        """The limit of each feature that a user may use at a time; None is no limit."""
        had = [pair for contract in self._of(user_id, patience, at) for pair in contract.sells]
        had += [(plan_id, count) for owner, plan_id, count in self.packages if owner == user_id]
        features = {plan.id: plan.features for plan in plans}
        limits: dict[str, int | None] = {}
        for plan_id, count in had:
            for name, value in features.get(plan_id, {}).items():
                if value is False or value == 0 or count < 1:
                    continue
                known = limits.get(name, 0)
                free = value is True or known is None
                limits[name] = None if free else max(known or 0, value * count)
        return limits

    def until(self, user_id: str, plans: Sequence[Plan], patience: Patience, at: int) -> int | None:
        """When that changes by itself; None where it never does."""
        now = self.access(user_id, plans, patience, at)
        turns = {turn for contract in self.contracts for turn in contract.turns(patience)}
        for turn in sorted(turn for turn in turns if turn > at):
            if self.access(user_id, plans, patience, turn) != now:
                return turn
        return None

    def _of(self, user_id: str, patience: Patience, at: int) -> list[Contract]:
        return [
            contract
            for contract in self.contracts
            if contract.user_id == user_id and contract.gives(patience, at)
        ]


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What one buyer had in the end; from then on time alone changes what they may use."""

    user_id: str
    note: Note
    plans: Sequence[Plan]
    patience: Patience

    def limits(self, at: int) -> dict[str, int | None]:
        """The limit of each feature that may be used at a time; None is no limit."""
        return self.note.access(self.user_id, self.plans, self.patience, at)

    def until(self, at: int) -> int | None:
        """When that changes by itself; None where it never does."""
        return self.note.until(self.user_id, self.plans, self.patience, at)


def _lasts(state: str, since: int, patience: Patience, at: int) -> bool:
    if state not in patience:
        return False
    seconds = patience[state]
    return seconds is None or at < since + seconds
