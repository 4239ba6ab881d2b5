"""Compares what a user should have with what the receiver says they have. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.simulate.contract_records import Subscription
from sandbox.simulate.entitlements import Entitlement
from sandbox.simulate.expected import Expectation, is_active
from sandbox.simulate.reading import Found
from sandbox.simulate.sales import Sale

# What is compared, in the order it is reported.
AREAS = ("balance", "subscriptions", "payments", "ledger", "access")
# What changes by itself about now may be seen as it was before.
JUST_NOW_SECONDS = 120

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it must be."""

    user_id: str
    area: str
    what: str
    expected: object
    found: object

    def __str__(self) -> str:
        return f"{self.user_id}: {self.what}: expected {self.expected!r}, found {self.found!r}"


def compare(expected: Expectation, shown: Found, now: int = 0) -> list[Difference]:
    """List every difference for one user at a time; an empty list means all is right."""
    differences: list[Difference] = []
    user = expected.user_id
    if expected.balance != shown.balance:
        differences.append(Difference(user, "balance", "balance", expected.balance, shown.balance))
    listed = {str(item["id"]): _as_times(item) for item in shown.subscriptions}
    wanted = {sub.id: _subscription(sub, listed.get(sub.id, {})) for sub in expected.subscriptions}
    differences += _compare_lists(user, "subscriptions", wanted, listed)
    sold = {sale.id: _payment(sale, shown) for sale in expected.sales}
    paid = {str(item["id"]): _with_note(item) for item in shown.payments}
    differences += _compare_lists(user, "payments", sold, paid)
    if len(paid) != len(shown.payments):
        differences.append(
            Difference(user, "payments", "payments listed", len(paid), len(shown.payments))
        )
    differences += _compare_ledger(expected, shown)
    if expected.access is not None and shown.access is not None:
        differences += _compare_access(expected.access, shown.access, now)
    return differences


def _compare_access(expected: Entitlement, shown: Json, now: int) -> Iterator[Difference]:
    features = shown["features"].items()
    found = {name: each["limit"] for name, each in features if each["allowed"]}
    moments = (now, now - JUST_NOW_SECONDS)
    for what, wanted, seen in (
        ("allowed, with limits", [expected.limits(at) for at in moments], found),
        ("until", [expected.until(at) for at in moments], _moment(shown["until"])),
    ):
        if seen not in wanted:
            yield Difference(expected.user_id, "access", what, wanted[0], seen)


def _compare_lists(
    user: str, area: str, expected: Mapping[str, Json], shown: Mapping[str, Json]
) -> Iterator[Difference]:
    for key in dict.fromkeys((*expected, *shown)):
        if key not in shown:
            yield Difference(user, area, key, "present", "missing")
        elif key not in expected:
            yield Difference(user, area, key, "absent", "present")
        else:
            for name, value in expected[key].items():
                if shown[key].get(name, "no such field") != value:
                    other = shown[key].get(name, "no such field")
                    yield Difference(user, area, f"{key} {name}", value, other)


def _compare_ledger(expected: Expectation, shown: Found) -> Iterator[Difference]:
    user = expected.user_id
    total = sum(int(entry["delta"]) for entry in shown.ledger)
    if total != expected.balance:
        yield Difference(user, "ledger", "sum of the ledger", expected.balance, total)
    if shown.ledger and shown.ledger[0]["balance_after"] != expected.balance:
        newest = shown.ledger[0]["balance_after"]
        yield Difference(user, "ledger", "newest balance_after", expected.balance, newest)
    by_payment: dict[str, int] = defaultdict(int)
    for entry in shown.ledger:
        by_payment[str(entry["payment_id"])] += int(entry["delta"])
    worth = {sale.id: sale.tokens for sale in expected.sales}
    for key in dict.fromkeys((*worth, *by_payment)):
        if worth.get(key, 0) != by_payment.get(key, 0):
            yield Difference(
                user, "ledger", f"entries of {key}", worth.get(key, 0), by_payment.get(key, 0)
            )


def _subscription(subscription: Subscription, listed: Json) -> dict[str, object]:
    plan = subscription.price.plan if subscription.sold else None
    wanted: dict[str, object] = {
        "plan_id": plan.id if plan else None,
        "plan_type": plan.type if plan else None,
        "status": subscription.status,
        "is_active": is_active(subscription),
        "items": _items(subscription, listed),
        "cancel_at_period_end": subscription.cancel_at_period_end,
        "cancel_at": subscription.cancel_at,
        "canceled_at": subscription.canceled_at,
        "trial_end": subscription.trial_end,
    }
    if plan:
        # Where no item sells a plan, nothing says whose quantity and period the row has.
        wanted["quantity"] = subscription.quantity
        wanted["current_period_start"] = subscription.period_start
        wanted["current_period_end"] = subscription.period_end
    if subscription.was_paused:
        behavior = subscription.pause_behavior
        paused = {"behavior": behavior, "resumes_at": subscription.resumes_at}
        wanted["pause_collection"] = paused if behavior else None
    return wanted


def _items(subscription: Subscription, listed: Json) -> list[dict[str, object]]:
    shown = listed.get("items")
    shown_items = shown if isinstance(shown, list) else []
    wanted: list[dict[str, object]] = []
    for position, item in enumerate(subscription.items):
        quantity: object = item.quantity
        if quantity is None and position < len(shown_items):
            # A metered item has no quantity, and whatever is said of it is nothing.
            quantity = shown_items[position].get("quantity")
        wanted.append({"plan_id": item.plan.id if item.plan else None, "quantity": quantity})
    return wanted


_TIMES = ("current_period_start", "current_period_end", "cancel_at", "canceled_at", "trial_end")


def _as_times(item: Json) -> dict[str, object]:
    # Times are compared as moments: `Z` and `+00:00` say the same.
    times = {name: _moment(item[name]) for name in _TIMES if name in item}
    pause = item.get("pause_collection")
    if isinstance(pause, dict):
        pause = {**pause, "resumes_at": _moment(pause.get("resumes_at"))}
    return {**item, **times, **({"pause_collection": pause} if pause else {})}


def _moment(value: object) -> object:
    try:
        return int(datetime.fromisoformat(value).timestamp()) if isinstance(value, str) else value
    except ValueError:
        return value


def _payment(sale: Sale, shown: Found) -> dict[str, object]:
    wanted: dict[str, object] = {
        "amount": sale.amount,
        "amount_refunded": sale.refunded,
        "amount_disputed": sale.disputed,
        "currency": sale.currency,
        "status": sale.status,
        "tokens": sale.tokens,
        "subscription_id": sale.subscription_id,
    }
    # A change of plan bills two plans, and either may stand for the payment; what nobody knows
    # yet may go without one.
    listed = next((item for item in shown.payments if item["id"] == sale.id), {})
    plan = listed.get("plan_id")
    plans = {*sale.plans, None} if sale.has_note else sale.plans
    wanted["plan_id"] = plan if plan in plans else min(sale.plans, default=None)
    kind = listed.get("plan_type")
    kinds = {*sale.plan_types, None} if sale.has_note else sale.plan_types
    wanted["plan_type"] = kind if kind in kinds else min(sale.plan_types, default=None)
    # What a note says is for people; that there is one is not. An unpaid payment may have one, and
    # an invoice of nothing that sells tokens.
    if sale.state == "paid" and (sale.subscription_id is None or sale.gross):
        wanted["has_note"] = sale.has_note
    return wanted


def _with_note(item: Json) -> dict[str, object]:
    return {**item, "has_note": item.get("note") is not None}
