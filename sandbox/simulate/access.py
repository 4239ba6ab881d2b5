"""What a buyer may use, reckoned by the seller: the judge of access. Imports no `domain`.

The account is watched while it sells. Whenever its clock moves on, what everybody has by then is
noted, with the moment at which each contract came into its state; access at any later time follows
from the note alone, because until the next one nothing has happened.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sandbox.simulate.account import Account
from sandbox.simulate.contract_records import Subscription
from sandbox.simulate.plans import Plan

# For how long a contract in such a state still gives what it sells, in seconds; None for ever.
Patience = Mapping[str, int | None]

_GOOD = ("active", "trialing")
_TROUBLED = ("past_due", "unpaid", "paused")
_WORTH_HAVING = ("paid", "partially_refunded")


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


class WatchedAccount(Account):
    """An account that notes, whenever its clock moves on, what everybody has by then."""

    def __init__(self, *, seed: int, run: str, starts_at: int) -> None:
        super().__init__(seed=seed, run=run, starts_at=starts_at)
        self.notes: list[Note] = []
        # While it sells for another account, nothing is expected of ours.
        self._ours = self.expected
        self._states: dict[str, tuple[str, int]] = {}
        self._shut: dict[str, int] = {}

    def wait(self, seconds: int) -> None:
        """Note, then let time pass."""
        self.note()
        super().wait(seconds)

    def until(self, moment: int) -> None:
        """Note, then let time pass until a moment."""
        self.note()
        super().until(moment)

    def start_over(self, moment: int) -> None:
        """Note, then set the clock for another buyer."""
        self.note()
        super().start_over(moment)

    def note(self) -> None:
        """Note what everybody has now."""
        contracts = tuple(self._as_it_is(one) for one in self._ours.subscriptions.values())
        packages = tuple(
            (sale.user_id, plan_id, count)
            for sale in self._ours.sales.values()
            if sale.status in _WORTH_HAVING
            for plan_id, count in sale.packages.items()
        )
        note = Note(self.now, contracts, packages)
        if self.notes and self.notes[-1].at == self.now:
            self.notes[-1] = note
        else:
            self.notes.append(note)

    def _as_it_is(self, one: Subscription) -> Contract:
        if self._states.get(one.id, ("", 0))[0] != one.status:
            self._states[one.id] = (one.status, self.now)
        if one.pause_behavior != "void":
            self._shut.pop(one.id, None)
        elif one.id not in self._shut:
            self._shut[one.id] = self.now
        leaves = one.period_end if one.cancel_at_period_end else None
        return Contract(
            user_id=one.customer.user_id,
            sells=tuple(
                (item.plan.id, 1 if item.quantity is None else item.quantity)
                for item in one.items
                if item.plan is not None
            ),
            state=one.status,
            since=self._states[one.id][1],
            end=leaves if one.cancel_at is None else one.cancel_at,
            shut_since=self._shut.get(one.id),
            opens=one.resumes_at,
        )


def _lasts(state: str, since: int, patience: Patience, at: int) -> bool:
    if state not in patience:
        return False
    seconds = patience[state]
    return seconds is None or at < since + seconds
