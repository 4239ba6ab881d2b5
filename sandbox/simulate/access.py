"""Accounts that are watched while they sell, so that what a buyer may use can be reckoned.

Whenever the account's clock moves on, it is noted at which moment each contract came into its
state; access at any later time follows from that alone, because nothing happens any more.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sandbox.simulate.account import Account
from sandbox.simulate.contract_records import Subscription
from sandbox.simulate.entitlements import Contract, Entitlement, Note
from sandbox.simulate.expected import Expectation
from sandbox.simulate.plans import Patience, Plan
from sandbox.simulate.sales import Sale

_WORTH_HAVING = ("paid", "partially_refunded")


class DatedAccount(Account):
    """An account that knows since when each contract is in its state."""

    def __init__(self, *, seed: int, run: str, starts_at: int) -> None:
        super().__init__(seed=seed, run=run, starts_at=starts_at)
        # While it sells for another account, nothing is expected of ours.
        self._ours = self.expected
        self._states: dict[str, tuple[str, int]] = {}
        self._shut: dict[str, int] = {}
        self._before = 0

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
        self._before = len(self._ours.subscriptions)
        super().start_over(moment)

    def note(self) -> None:
        """Note the states of this buyer's contracts; those of the ones before do not change."""
        contracts = self._ours.subscriptions
        recent = reversed(contracts.values())
        for one, _ in zip(recent, range(len(contracts) - self._before), strict=False):
            if self._states.get(one.id, ("", 0))[0] != one.status:
                self._states[one.id] = (one.status, self.now)
            if one.pause_behavior != "void":
                self._shut.pop(one.id, None)
            elif one.id not in self._shut:
                self._shut[one.id] = self.now

    def entitled(
        self, expectations: Iterable[Expectation], plans: Sequence[Plan], patience: Patience
    ) -> tuple[Expectation, ...]:
        """The same expectations, with what each user may use once everything has happened."""
        self.note()
        contracts: dict[str, list[Contract]] = defaultdict(list)
        for one in self._ours.subscriptions.values():
            contracts[one.customer.user_id].append(self._as_it_is(one))
        entitled = []
        for expectation in expectations:
            user_id = expectation.user_id
            note = Note(self.now, tuple(contracts[user_id]), _packages(expectation.sales))
            access = Entitlement(user_id, note, plans, patience)
            entitled.append(replace(expectation, access=access))
        return tuple(entitled)

    def _as_it_is(self, one: Subscription) -> Contract:
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


class WatchedAccount(DatedAccount):
    """An account that keeps, whenever its clock moves on, what everybody had by then."""

    def __init__(self, *, seed: int, run: str, starts_at: int) -> None:
        super().__init__(seed=seed, run=run, starts_at=starts_at)
        self.notes: list[Note] = []

    def note(self) -> None:
        """Note what everybody has now."""
        super().note()
        contracts = tuple(self._as_it_is(one) for one in self._ours.subscriptions.values())
        note = Note(self.now, contracts, _packages(self._ours.sales.values()))
        if self.notes and self.notes[-1].at == self.now:
            self.notes[-1] = note
        else:
            self.notes.append(note)


def _packages(sales: Iterable[Sale]) -> tuple[tuple[str, int, int], ...]:
    return tuple(
        (sale.user_id, plan_id, count)
        for sale in sales
        if sale.status in _WORTH_HAVING
        for plan_id, count in sale.packages.items()
    )
