"""Plans, the older twins of recurring prices: read only."""

from sandbox.simulate.contract_records import Price
from sandbox.simulate.objects import plan_object
from sandbox.stripe.api.calls import Call, Endpoint, Found
from sandbox.stripe.api.parameters import DATED_PAGE, NOTHING, Group, flag, text
from sandbox.stripe.errors import no_such


def _plans(call: Call) -> Found:
    page = call.listed(
        Price,
        lambda price: price.plan.recurring,
        active=lambda price: price.active,
        product=lambda price: price.product,
    )
    return page.drawn_by(plan_object)


def _plan(call: Call) -> Found:
    price = call.shop.get(Price, call.id)
    if price is None or not price.plan.recurring:
        raise no_such("plan", call.id, "id")
    return plan_object(price)


ENDPOINTS = (
    Endpoint("GET", "/v1/plans", Group({**DATED_PAGE, "active": flag, "product": text}), _plans),
    Endpoint("GET", "/v1/plans/<id>", NOTHING, _plan),
)
