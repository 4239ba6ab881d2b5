"""Subscription schedules: made of phases or of a running subscription, changed, released, ended."""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.simulate.contract_records import Price, Subscription
from sandbox.simulate.engine import after_interval
from sandbox.stripe.api.billing.signing import PRORATIONS, quantity_of
from sandbox.stripe.api.calls import Call, Endpoint, Found
from sandbox.stripe.api.customers import living
from sandbox.stripe.api.finding import check_price
from sandbox.stripe.api.parameters import (
    DATED_PAGE,
    NOTHING,
    Group,
    Many,
    flag,
    merged,
    metadata,
    one_of,
    text,
    whole,
)
from sandbox.stripe.api.periods import INTERVALS
from sandbox.stripe.billing.schedules import OPEN, Phase, Schedule
from sandbox.stripe.errors import invalid, missing_parameter

_ENDS = one_of("cancel", "release")
_PHASE = Group(
    {
        "duration": Group(
            {"interval": one_of(*INTERVALS), "interval_count": whole}, required=("interval",)
        ),
        "end_date": whole,
        "items": Many(Group({"price": text, "quantity": whole}, required=("price",)), most=20),
        "metadata": metadata,
        "proration_behavior": PRORATIONS,
        "start_date": whole,
        "trial": flag,
    },
    required=("items",),
)
# A phase names its start only where it is changed.
_NEW_PHASE = Group(
    {name: rule for name, rule in _PHASE.rules.items() if name != "start_date"}, _PHASE.required
)
_CREATE = Group(
    {
        "customer": text,
        "end_behavior": _ENDS,
        "from_subscription": text,
        "metadata": metadata,
        "phases": Many(_NEW_PHASE, most=10),
        "start_date": text,
    }
)
_UPDATE = Group({"end_behavior": _ENDS, "metadata": metadata, "phases": Many(_PHASE, most=10)})


def _create(call: Call) -> Found:
    params, shop = call.params, call.shop
    if params.get("from_subscription"):
        return _from_subscription(call)
    if not params.get("customer"):
        raise missing_parameter("customer")
    if not params.get("phases"):
        raise missing_parameter("phases")
    said = params.get("start_date")
    if not said:
        raise missing_parameter("start_date")
    start = shop.now if said == "now" else whole("start_date", said)
    schedule = Schedule(
        id=shop.new_id("sub_sched"),
        customer=living(call, params["customer"], "customer"),
        created=shop.now,
        phases=_phases(call, params["phases"], start),
        end_behavior=params.get("end_behavior", "release"),
        metadata=merged(None, params.get("metadata", {})),
    )
    shop.open_schedule(schedule)
    if start <= shop.now:
        shop.follow(schedule)
    return schedule


def _from_subscription(call: Call) -> Found:
    params, shop = call.params, call.shop
    for name in ("customer", "end_behavior", "phases", "start_date"):
        if name in params:
            raise invalid(f"You cannot set `{name}` if `from_subscription` is set.", name)
    where = "from_subscription"
    contract = call.find(Subscription, params["from_subscription"], "subscription", where)
    if contract.stated.get("schedule"):
        message = "This subscription is already attached to a schedule."
        raise invalid(f"{message} {contract.stated['schedule']}", where)
    if contract.price.base:
        message = "The offline Stripe follows no phases in another currency than their prices'."
        raise invalid(message, where)
    items = tuple((one.price.id, one.quantity or 0) for one in contract.items)
    schedule = Schedule(
        id=shop.new_id("sub_sched"),
        customer=contract.customer,
        created=shop.now,
        phases=(Phase(contract.period_start, contract.period_end, items),),
        subscription=contract,
        metadata=merged(None, params.get("metadata", {})),
    )
    shop.open_schedule(schedule)
    return schedule


def _phases(call: Call, said: Sequence[Mapping[str, Any]], start: int) -> tuple[Phase, ...]:
    phases = []
    for place, one in enumerate(said):
        where = f"phases[{place}]"
        items = tuple(_item(call, item, where, n) for n, item in enumerate(one["items"]))
        end = _end(call, one, items[0][0], start, where)
        if end <= start:
            raise invalid("A phase must end after it starts.", f"{where}[end_date]")
        phase = Phase(
            start=start,
            end=end,
            items=items,
            proration=one.get("proration_behavior", "create_prorations"),
            metadata=merged(None, one.get("metadata", {})),
            trial_end=end if one.get("trial") else None,
        )
        phases.append(phase)
        start = end
    return tuple(phases)


def _item(call: Call, said: Mapping[str, Any], where: str, place: int) -> tuple[str, int]:
    inside = f"{where}[items][{place}]"
    price = call.find(Price, said["price"], "price", f"{inside}[price]")
    if not price.plan.recurring:
        raise invalid("The price of a phase must be recurring.", f"{inside}[price]")
    check_price(price, f"{inside}[price]")
    return price.id, quantity_of(said, inside)


def _end(call: Call, said: Mapping[str, Any], price_id: str, start: int, where: str) -> int:
    """When a phase ends; one that does not say lasts for one period of its price."""
    if said.get("end_date") and said.get("duration"):
        raise invalid("You may only specify one of these parameters: duration, end_date.", where)
    if said.get("end_date"):
        return int(said["end_date"])
    plan = call.find(Price, price_id, "price", where).plan
    own: Mapping[str, Any] = {
        "interval": plan.interval or "month",
        "interval_count": plan.interval_count,
    }
    lasts: Mapping[str, Any] = said.get("duration") or own
    return after_interval(start, lasts["interval"], lasts.get("interval_count", 1))


def _schedule(call: Call) -> Schedule:
    return call.the(Schedule, "subscription_schedule")


def _followed(call: Call) -> Schedule:
    schedule = _schedule(call)
    if schedule.status not in OPEN:
        raise invalid(f"This schedule is {schedule.status} and can no longer be changed.")
    return schedule


def _update(call: Call) -> Found:
    schedule, params = _followed(call), call.params
    schedule.end_behavior = params.get("end_behavior", schedule.end_behavior)
    schedule.metadata = merged(schedule.metadata, params.get("metadata", {}))
    if params.get("phases"):
        start = params["phases"][0].get("start_date", schedule.phases[0].start)
        phases = _phases(call, params["phases"], start)
        if schedule.place >= len(phases):
            raise invalid("The phase that runs cannot be left out.", "phases")
        schedule.phases = phases
    return schedule


def _release(call: Call) -> Found:
    schedule = _followed(call)
    call.shop.release(schedule)
    return schedule


def _cancel(call: Call) -> Found:
    schedule = _followed(call)
    call.shop.cancel_schedule(schedule)
    return schedule


def _schedules(call: Call) -> Found:
    return call.listed(Schedule, customer=lambda schedule: schedule.customer.id)


_S = "/v1/subscription_schedules"
ENDPOINTS = (
    Endpoint("POST", _S, _CREATE, _create),
    Endpoint("GET", _S, Group({**DATED_PAGE, "customer": text}), _schedules),
    Endpoint("GET", f"{_S}/<id>", NOTHING, _schedule),
    Endpoint("POST", f"{_S}/<id>", _UPDATE, _update),
    Endpoint("POST", f"{_S}/<id>/cancel", NOTHING, _cancel),
    Endpoint("POST", f"{_S}/<id>/release", NOTHING, _release),
)
