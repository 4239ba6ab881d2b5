"""Visits to the customer portal, with deep links."""

from collections.abc import Mapping
from typing import Any

from sandbox.simulate.contract_records import Customer, Subscription
from sandbox.stripe.api.calls import Call, Endpoint, Found
from sandbox.stripe.api.configurations import the_configuration
from sandbox.stripe.api.customers import living
from sandbox.stripe.api.parameters import Group, one_of, text, web_url
from sandbox.stripe.contracts import RUNNING
from sandbox.stripe.errors import invalid, missing_parameter
from sandbox.stripe.goods import Visit
from sandbox.stripe.portals import DEFAULT_ID, PortalConfiguration

_FLOWS = ("subscription_cancel", "subscription_update", "payment_method_update")
_OF_SUBSCRIPTION = Group({"subscription": text}, required=("subscription",))
_AFTER = Group(
    {
        "type": one_of("portal_homepage", "redirect"),
        "redirect": Group({"return_url": web_url}, required=("return_url",)),
    },
    required=("type",),
)
_VISIT = Group(
    {
        "configuration": text,
        "customer": text,
        "return_url": web_url,
        "flow_data": Group(
            {
                "type": one_of(*_FLOWS),
                "after_completion": _AFTER,
                "subscription_cancel": _OF_SUBSCRIPTION,
                "subscription_update": _OF_SUBSCRIPTION,
            },
            required=("type",),
        ),
        "locale": text,
    },
    required=("customer",),
)


def _visit(call: Call) -> Found:
    params = call.params
    customer = living(call, params["customer"], "customer")
    flow: Mapping[str, Any] = params.get("flow_data") or {}
    kind = flow.get("type")
    offered = _offered(call, kind)
    named = (flow.get(kind or "") or {}).get("subscription")
    if kind in ("subscription_cancel", "subscription_update"):
        if not named:
            raise missing_parameter(f"flow_data[{kind}]")
        _check_flow(call, customer, kind, named)
    visit = Visit(
        id=call.shop.new_id("bps"),
        customer=customer,
        created=call.shop.now,
        return_url=params.get("return_url") or offered.return_url,
        configuration_id=offered.id,
        flow=kind,
        flow_subscription=named,
        after_flow=_after(flow.get("after_completion") or {}),
    )
    call.shop.keep(visit)
    return visit


def _offered(call: Call, flow: str | None) -> PortalConfiguration:
    """The configuration of a visit, which must offer what its flow leads to."""
    named = call.params.get("configuration") or DEFAULT_ID
    offered = the_configuration(call, named, "configuration")
    if not offered.active:
        raise invalid(f"The configuration {named} is inactive.", "configuration")
    if flow and not offered.features[flow]["enabled"]:
        message = f"The feature `{flow}` is disabled in the portal configuration {named}."
        raise invalid(message, "flow_data[type]")
    return offered


def _after(completion: Mapping[str, Any]) -> str | None:
    """Where a flow leads once it is done; None for a page of the portal's own."""
    if completion.get("type") != "redirect":
        return None
    if not completion.get("redirect"):
        raise missing_parameter("flow_data[after_completion][redirect]")
    url: str = completion["redirect"]["return_url"]
    return url


def _check_flow(call: Call, customer: Customer, kind: str, named: str) -> None:
    where = f"flow_data[{kind}][subscription]"
    subscription = call.find(Subscription, named, "subscription", where)
    if subscription.customer is not customer:
        message = f"The subscription {named} does not belong to the customer {customer.id}."
        raise invalid(message, where)
    if subscription.status not in RUNNING:
        raise invalid(f"The subscription {named} is {subscription.status}.", where)
    if kind == "subscription_cancel" and subscription.cancel_at is not None:
        raise invalid(f"The subscription {named} is already set to be canceled.", where)


ENDPOINTS = (Endpoint("POST", "/v1/billing_portal/sessions", _VISIT, _visit),)
