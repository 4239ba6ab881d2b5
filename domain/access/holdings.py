"""What a user holds of plans: items of subscriptions, and packages that were bought once."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from domain.catalogue.features import Policies, Policy
from domain.catalogue.plans import Catalogue
from domain.payments.line_plans import claimed_item
from domain.subscriptions.states import FINAL_STATUSES, Pause, SubscriptionState

# Stripe's word for a pause in which nothing is provided and no invoice is kept.
_NOTHING_PROVIDED = "void"
_RUNNING = frozenset({"active", "trialing"})
_POLICED = frozenset({"past_due", "unpaid", "paused"})
_PACKAGE_COUNTS = frozenset({"paid", "partially_refunded"})
_PACKAGE_TAKEN_BACK = frozenset({"refunded", "disputed"})


class Standing(NamedTuple):
    """Whether a holding counts, and the code of the reason."""

    counts: bool
    code: str


class Subscribed(NamedTuple):
    """A plan by an item of a subscription; times are seconds since 1970.

    `since` is when the status began, `paused_since` when the pause of collection did. `ends_at` is
    when it ends by itself, if that is set.
    """

    source_id: str
    plan_id: int
    quantity: int
    status: str | None
    since: int
    ends_at: int | None = None
    pause: Pause | None = None
    paused_since: int = 0

    def standing(self, policies: Policies, at: int) -> Standing:
        """Whether it counts at a time."""
        if self.status in FINAL_STATUSES or (self.ends_at is not None and self.ends_at <= at):
            return Standing(counts=False, code="ended")
        if self.status == "incomplete":
            return Standing(counts=False, code="incomplete")
        if self._is_suspended(at):
            return self._policed("paused", policies, self.paused_since, at)
        if self.status in _RUNNING:
            return Standing(counts=True, code="ending" if self.ends_at else str(self.status))
        if self.status in _POLICED:
            return self._policed(self.status, policies, self.since, at)
        return Standing(counts=False, code="unknown_status")

    def instants(self, policies: Policies) -> Iterator[int]:
        """When its standing may change by itself."""
        if self.ends_at is not None:
            yield self.ends_at
        if self.pause is not None and self.pause.resumes_at is not None:
            yield self.pause.resumes_at
        for policy, since in (
            (_policy(policies, self.status), self.since),
            (policies.paused, self.paused_since),
        ):
            if policy is not None and policy.grace_seconds is not None:
                yield since + policy.grace_seconds

    def _is_suspended(self, at: int) -> bool:
        pause = self.pause
        return (
            pause is not None
            and pause.behavior == _NOTHING_PROVIDED
            and self.status in _RUNNING | {"past_due"}
            and (pause.resumes_at is None or at < pause.resumes_at)
        )

    @staticmethod
    def _policed(state: str, policies: Policies, since: int, at: int) -> Standing:
        policy = _policy(policies, state)
        grace = policy.grace_seconds if policy else None
        is_in_time = grace is None or at < since + grace
        return Standing(counts=policy is not None and policy.allows and is_in_time, code=state)


class Bought(NamedTuple):
    """A package by a payment of its own; it counts until its money went back."""

    source_id: str
    plan_id: int
    quantity: int
    status: str

    def standing(self, policies: Policies, at: int) -> Standing:
        """Whether it counts, at any time."""
        del policies, at
        counts = self.status in _PACKAGE_COUNTS
        return Standing(counts, "bought" if counts else "taken_back")

    def instants(self, policies: Policies) -> Iterator[int]:
        """Nothing of it changes by itself."""
        del policies
        yield from ()


Holding = Subscribed | Bought


def subscribed(
    subscription_id: str,
    state: SubscriptionState,
    catalogue: Catalogue,
    *,
    since: int,
    paused_since: int,
    named: tuple[int, int] | None = None,
) -> list[Subscribed]:
    """The plans that a subscription holds.

    `named` is the plan that its metadata names, with when it was first named (seconds since 1970):
    it counts where no price of an item is known.
    """
    plan_ids = _plans_of_items(state, catalogue, named)
    ends = [item.period_end for item in state.items if item.period_end is not None]
    period_end = max(ends, default=None) if state.cancel_at_period_end else None
    return [
        Subscribed(
            source_id=subscription_id,
            plan_id=plan_ids[place],
            quantity=item.quantity,
            status=state.status,
            since=since,
            ends_at=period_end if state.cancel_at is None else state.cancel_at,
            pause=state.pause,
            paused_since=paused_since,
        )
        for place, item in enumerate(state.items)
        if place in plan_ids
    ]


def bought(payment_id: str, packages: Mapping[int, int], status: str) -> list[Bought]:
    """The packages of a payment, by plan id with how many of each; none while it is not paid."""
    if status not in _PACKAGE_COUNTS | _PACKAGE_TAKEN_BACK:
        return []
    return [Bought(payment_id, plan_id, number, status) for plan_id, number in packages.items()]


def _plans_of_items(
    state: SubscriptionState, catalogue: Catalogue, named: tuple[int, int] | None
) -> Mapping[int, int]:
    """The plan ids of those items that have one, by place."""
    by_price = {
        place: plan.id
        for place, item in enumerate(state.items)
        if (plan := catalogue.by_price(item.price_id))
    }
    plan = catalogue.by_id(*named) if named and not by_price else None
    if plan is None:
        return by_price
    claimed_id = claimed_item(
        [
            (item.id or "", item.is_metered, item.unit_amount_minor, item.currency)
            for item in state.items
            if not catalogue.sells_no_tokens(item.price_id)
        ],
        plan.prices,
    )
    return {
        place: plan.id for place, item in enumerate(state.items) if (item.id or "") == claimed_id
    }


def _policy(policies: Policies, state: str | None) -> Policy | None:
    by_state: Mapping[str | None, Policy] = {
        "past_due": policies.past_due,
        "unpaid": policies.unpaid,
        "paused": policies.paused,
    }
    return by_state.get(state)
