"""Test clocks over the API: made, advanced, deleted with their customers.

The account has one clock, which runs on and only goes forward. A test clock is a handle on it: what
it is advanced by, everybody lives through. Time does not stand still between two calls.
"""

from sandbox.simulate.contract_records import Customer, Subscription
from sandbox.simulate.engine import after_interval
from sandbox.stripe.api.calls import Call, Endpoint, Found
from sandbox.stripe.api.parameters import NOTHING, PAGE, Group, text, whole
from sandbox.stripe.clocks import Clock, clock_object
from sandbox.stripe.contracts import RUNNING
from sandbox.stripe.errors import invalid

# Asked for before it left, answered after it arrived.
_SLACK_SECONDS = 300
# So many of the shortest contract's periods may pass at once.
_INTERVALS_MAX = 2
_LONGEST_SECONDS = 2 * 366 * 86400


def _create(call: Call) -> Found:
    shop, wanted = call.shop, call.params["frozen_time"]
    if wanted < shop.now - _SLACK_SECONDS:
        message = (
            f"The offline Stripe's clock only goes forward: it is at {shop.now}, so a test clock "
            "cannot begin earlier."
        )
        raise invalid(message, "frozen_time")
    call.put_forward(wanted)
    clock = Clock(shop.new_id("clock"), shop.now, max(wanted, shop.now), call.params.get("name"))
    shop.keep(clock)
    shop.emit("test_helpers.test_clock.created", clock_object(clock), None)
    return clock


def _clock(call: Call) -> Clock:
    clock = call.the(Clock, "test_clock")
    # Whoever asks again finds it there.
    if clock.status == "advancing":
        clock.status = "ready"
    return clock


def _advance(call: Call) -> Found:
    clock, shop, wanted = call.the(Clock, "test_clock"), call.shop, call.params["frozen_time"]
    if wanted <= clock.frozen_time:
        message = "The frozen time to advance to must be after the current frozen time."
        raise invalid(message, "frozen_time")
    if wanted > _furthest(call, clock):
        message = (
            "You cannot advance a test clock by more than two intervals of the shortest "
            "subscription of its customers."
        )
        raise invalid(message, "frozen_time")
    clock.frozen_time, clock.status = wanted, "advancing"
    shop.emit("test_helpers.test_clock.advancing", clock_object(clock), None)
    call.put_forward(wanted)
    shop.emit("test_helpers.test_clock.ready", {**clock_object(clock), **_READY}, None)
    return clock


def _furthest(call: Call, clock: Clock) -> int:
    contracts = [
        one
        for one in call.shop.every(Subscription)
        if one.status in RUNNING and one.customer.stated.get("test_clock") == clock.id
    ]
    reached = [
        after_interval(
            clock.frozen_time,
            one.price.plan.interval or "month",
            _INTERVALS_MAX * one.price.plan.interval_count,
        )
        for one in contracts
    ]
    return min(reached, default=clock.frozen_time + _LONGEST_SECONDS)


def _delete(call: Call) -> Found:
    clock, shop = call.the(Clock, "test_clock"), call.shop
    for customer in list(shop.every(Customer)):
        if customer.stated.get("test_clock") == clock.id and not customer.deleted:
            shop.remove_customer(customer)
    del shop.records[clock.id]
    shop.emit("test_helpers.test_clock.deleted", clock_object(clock), None)
    return {"id": clock.id, "object": "test_helpers.test_clock", "deleted": True}


def _clocks(call: Call) -> Found:
    return call.listed(Clock)


_READY = {"status": "ready", "status_details": {}}
_C = "/v1/test_helpers/test_clocks"
_TIME = Group({"frozen_time": whole}, required=("frozen_time",))
ENDPOINTS = (
    Endpoint("POST", _C, Group({"frozen_time": whole, "name": text}, ("frozen_time",)), _create),
    Endpoint("GET", _C, Group(PAGE), _clocks),
    Endpoint("GET", f"{_C}/<id>", NOTHING, _clock),
    Endpoint("POST", f"{_C}/<id>/advance", _TIME, _advance),
    Endpoint("DELETE", f"{_C}/<id>", NOTHING, _delete),
)
