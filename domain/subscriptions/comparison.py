"""Where a subscription of Stripe's and ours disagree, and how much money it is about.

Compares only; nothing here asks Stripe or a store. What is shown of a value is in words.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from domain.catalogue.plans import Catalogue
from domain.json_values import integer_of, list_of, mapping_of, reference_of, text_of
from domain.stripe_catalogue.remote import period_in
from domain.subscriptions.states import FINAL_STATUSES, Item, SubscriptionState, Version, state_of

MISSING_HERE = "missing here"
UNKNOWN_THERE = "unknown at Stripe"
INVOICE = "invoice "


@dataclass(frozen=True, slots=True)
class OwnSubscription:
    """What our tables say of a subscription; `owner_id` is the user who sees it, by any link.

    `claimed_plan_id` is the plan that its metadata names.
    """

    id: str
    customer_id: str | None
    owner_id: str | None
    claimed_plan_id: int | None
    state: SubscriptionState


@dataclass(frozen=True, slots=True)
class Money:
    """What a subscription costs; `amount_minor` is None where no single number says it.

    `interval` is how often, in words such as `month`, `3 month`.
    """

    amount_minor: int | None
    currency: str
    interval: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing on which the two disagree; None where a side has nothing."""

    what: str
    here: str | None
    there: str | None


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A subscription on which the two disagree, what it costs, and whose it is if known."""

    id: str
    user_id: str | None
    money: tuple[Money, ...]
    differences: tuple[Difference, ...]


def latest_invoice(subscription: Mapping[str, Any]) -> Mapping[str, Any]:
    """The latest invoice of a subscription that carries it whole, else an empty one."""
    return mapping_of(subscription.get("latest_invoice"))


def compare(
    subscription: Mapping[str, Any],
    ours: OwnSubscription | None,
    catalogue: Catalogue,
    paid: Mapping[str, bool],
) -> Mismatch | None:
    """What Stripe says of a subscription beside what our tables say; None where they agree.

    `paid` tells of the latest invoices that our tables know whether they are paid here.
    """
    there = state_there(subscription)
    if ours is None:
        differences = [Difference(MISSING_HERE, None, there.status)]
    else:
        differences = [*_states(ours.state, there), *_links(ours, there, catalogue)]
    differences.extend(_unpaid(latest_invoice(subscription), paid))
    if not differences:
        return None
    user_id = (ours.owner_id if ours else None) or there.user_id
    name = text_of(subscription.get("id")) or ""
    return Mismatch(name, user_id, _money_there(subscription), tuple(differences))


def unknown_there(ours: OwnSubscription, catalogue: Catalogue) -> Mismatch:
    """A live subscription of ours about which Stripe knows nothing."""
    difference = Difference(UNKNOWN_THERE, ours.state.status, None)
    return Mismatch(ours.id, ours.owner_id, _money_here(ours, catalogue), (difference,))


def state_there(subscription: Mapping[str, Any]) -> SubscriptionState:
    """What Stripe's object says, as our tables would."""
    return state_of(Version(0, "", "customer.subscription.updated", subscription, {}))


def is_of_state(difference: Difference) -> bool:
    """Whether Stripe's object itself says what our tables should."""
    is_nobody = difference.what == "user" and difference.there is None
    return not (is_nobody or difference.what == "plan" or is_of_invoice(difference))


def is_of_invoice(difference: Difference) -> bool:
    """Whether it is about the money of the latest invoice."""
    return difference.what.startswith(INVOICE)


def lacks_user(mismatch: Mismatch) -> bool:
    """Whether nobody is known to whom the subscription belongs."""
    return any(
        difference.what in ("user", MISSING_HERE) for difference in mismatch.differences
    ) and (mismatch.user_id is None)


def _states(ours: SubscriptionState, there: SubscriptionState) -> Iterator[Difference]:
    pairs = (
        ("status", ours.status, there.status),
        ("items", _items(ours), _items(there)),
        ("period", _periods(ours), _periods(there)),
        ("cancel at period end", _yes(ours.cancel_at_period_end), _yes(there.cancel_at_period_end)),
        ("cancel at", _time(ours.cancel_at), _time(there.cancel_at)),
        ("canceled at", _time(ours.canceled_at), _time(there.canceled_at)),
        ("trial end", _time(ours.trial_end), _time(there.trial_end)),
    )
    for what, own, stripes in pairs:
        if own != stripes:
            yield Difference(what, own, stripes)


def _links(
    ours: OwnSubscription, there: SubscriptionState, catalogue: Catalogue
) -> Iterator[Difference]:
    """Who it belongs to and what it is; a stranger's thing may lack both."""
    if there.user_id is not None and there.user_id != ours.state.user_id:
        yield Difference("user", ours.owner_id, there.user_id)
        return
    if there.status in FINAL_STATUSES:
        return
    has_plan = ours.claimed_plan_id is not None or any(
        catalogue.by_price(item.price_id) for item in there.items
    )
    if has_plan and ours.owner_id is None:
        yield Difference("user", None, None)
    is_known_to_sell_none = bool(there.items) and all(
        catalogue.sells_no_tokens(item.price_id) for item in there.items
    )
    if ours.owner_id is not None and not has_plan and not is_known_to_sell_none:
        yield Difference("plan", None, _items(there))


def _unpaid(invoice: Mapping[str, Any], paid: Mapping[str, bool]) -> Iterator[Difference]:
    name = text_of(invoice.get("id"))
    if name is None or invoice.get("status") != "paid" or paid.get(name):
        return
    yield Difference(f"{INVOICE}{name}", "not paid" if name in paid else "unknown", "paid")


def _items(state: SubscriptionState) -> str | None:
    items = (f"{item.quantity} of {item.price_id}" for item in _sorted(state))
    return ", ".join(items) or None


def _periods(state: SubscriptionState) -> str | None:
    periods = (f"{_time(item.period_start)} to {_time(item.period_end)}" for item in _sorted(state))
    return ", ".join(dict.fromkeys(periods)) or None


def _sorted(state: SubscriptionState) -> list[Item]:
    return sorted(state.items, key=lambda item: (item.price_id or "", item.id or ""))


def _yes(value: object) -> str:
    return "yes" if value else "no"


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def _money_there(subscription: Mapping[str, Any]) -> tuple[Money, ...]:
    prices = []
    for item in list_of(subscription.get("items")):
        price = mapping_of(item.get("price"))
        quantity = integer_of(item.get("quantity"))
        amount = integer_of(price.get("unit_amount"))
        currency = text_of(price.get("currency")) or text_of(subscription.get("currency")) or ""
        times = 1 if quantity is None else quantity
        total = None if amount is None else amount * times
        prices.append(Money(total, currency, period_in(price)))
    return _summed(prices)


def _money_here(ours: OwnSubscription, catalogue: Catalogue) -> tuple[Money, ...]:
    prices = []
    for item in ours.state.items:
        plan = catalogue.by_price(item.price_id)
        if plan is not None:
            currency = plan.stripe_price_ids[item.price_id or ""]
            prices.append(Money(plan.prices[currency] * item.quantity, currency, plan.period))
    return _summed(prices)


def _summed(prices: Iterable[Money]) -> tuple[Money, ...]:
    sums: dict[tuple[str, str | None], int | None] = {}
    for price in prices:
        period = (price.currency, price.interval)
        so_far = sums.get(period, 0)
        is_known = so_far is not None and price.amount_minor is not None
        sums[period] = (so_far or 0) + (price.amount_minor or 0) if is_known else None
    return tuple(Money(total, *period) for period, total in sums.items())


def customer_of(subscription: Mapping[str, Any]) -> str | None:
    """The Stripe customer of a subscription."""
    return reference_of(subscription.get("customer"))
