"""Subscriptions and their items."""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.simulate.billing import whole_line
from sandbox.simulate.contract_records import Subscription
from sandbox.simulate.objects import subscription_object
from sandbox.stripe.api.billing.signing import (
    ITEM_PRICE,
    PRORATIONS,
    SIGN,
    create,
    moment_of,
    price_of,
    quantity_of,
)
from sandbox.stripe.api.calls import Call, Endpoint, Found
from sandbox.stripe.api.finding import find_method
from sandbox.stripe.api.lists import items_of
from sandbox.stripe.api.offers import DISCOUNTS, discounts_of
from sandbox.stripe.api.parameters import (
    DATED_PAGE,
    NOTHING,
    PAGE,
    Group,
    Many,
    flag,
    merged,
    metadata,
    one_of,
    text,
    whole,
)
from sandbox.stripe.api.searching import searching
from sandbox.stripe.billing.changing import Change
from sandbox.stripe.contracts import RUNNING
from sandbox.stripe.errors import card_declined, invalid, missing_parameter, no_such

_STATUSES = (
    *("active", "all", "canceled", "ended", "incomplete", "incomplete_expired", "past_due"),
    *("paused", "trialing", "unpaid"),
)
CHANGED_ITEMS = Many(
    Group(
        {
            "deleted": flag,
            "id": text,
            "metadata": metadata,
            "price": text,
            "price_data": ITEM_PRICE,
            "quantity": whole,
        }
    ),
    most=20,
)
_UPDATE = Group(
    {
        "billing_cycle_anchor": one_of("now", "unchanged"),
        "cancel_at": text,
        "cancel_at_period_end": flag,
        "default_payment_method": text,
        "description": text,
        "discounts": DISCOUNTS,
        "items": CHANGED_ITEMS,
        "metadata": metadata,
        "off_session": flag,
        "pause_collection": Group(
            {
                "behavior": one_of("keep_as_draft", "mark_uncollectible", "void"),
                "resumes_at": whole,
            },
            required=("behavior",),
        ),
        "payment_behavior": one_of("allow_incomplete", "error_if_incomplete"),
        "proration_behavior": PRORATIONS,
        "proration_date": whole,
        "trial_end": text,
    }
)
_CANCEL = Group({"invoice_now": flag, "prorate": flag})


def _subscription(call: Call) -> Subscription:
    return call.the(Subscription, "subscription")


def _subscriptions(call: Call) -> Found:
    status = call.params.get("status")
    ended = ("canceled", "incomplete_expired")
    return call.listed(
        Subscription,
        lambda subscription: (
            status in ("all", subscription.status)
            or (status == "ended" and subscription.status in ended)
            # Without a status, what was canceled is left out.
            or (status is None and subscription.status != "canceled")
        ),
        customer=lambda subscription: subscription.customer.id,
        price=lambda subscription: subscription.price.listed.id,
    )


def _running(call: Call) -> Subscription:
    subscription = _subscription(call)
    if subscription.status not in RUNNING:
        message = f"This subscription is {subscription.status} and can no longer be changed."
        raise invalid(message, None, "resource_missing")
    return subscription


def _update(call: Call) -> Found:
    subscription = _running(call)
    params, shop = call.params, call.shop
    before = subscription_object(subscription)
    if "metadata" in params:
        subscription.metadata = merged(subscription.metadata, params["metadata"])
    if "description" in params:
        subscription.stated = subscription.stated | {"description": params["description"]}
    if params.get("default_payment_method"):
        subscription.method_id = _own_method(call, subscription)
    shop.report(subscription, before, by_stripe=False)
    _end(call, subscription)
    if "discounts" in params:
        shop.reduce_contract(subscription, discounts_of(call, params["discounts"]))
    if "pause_collection" in params:
        pause = params["pause_collection"]
        shop.pause_collecting(subscription, pause.get("behavior"), pause.get("resumes_at"))
    if params.get("trial_end"):
        said = params["trial_end"]
        at = shop.now if said == "now" else moment_of(said, shop.now, "trial_end")
        shop.end_trial(subscription, at)
    if params.get("items"):
        _change(call, subscription, params["items"])
    elif params.get("billing_cycle_anchor") == "now":
        shop.begin_period(subscription)
        shop.bill_now(subscription, [whole_line(shop, subscription)])
    return subscription


def _own_method(call: Call, subscription: Subscription) -> str:
    method = find_method(call, call.params["default_payment_method"], "default_payment_method")
    if method.customer is not subscription.customer:
        message = f"The customer does not have a payment method with the ID {method.id}."
        raise invalid(message, "default_payment_method", "resource_missing")
    return method.id


def _end(call: Call, subscription: Subscription) -> None:
    params, shop = call.params, call.shop
    scheduled = subscription.cancel_at is not None
    if params.get("cancel_at_period_end") is True and not scheduled:
        shop.cancel_at_end(subscription)
    if params.get("cancel_at_period_end") is False and scheduled:
        shop.undo_cancel(subscription)
    if "cancel_at" not in params:
        return
    if params["cancel_at"] is None:
        shop.undo_cancel(subscription)
    else:
        shop.cancel_at(subscription, moment_of(params["cancel_at"], shop.now, "cancel_at"))


def _change(call: Call, subscription: Subscription, said: Sequence[Mapping[str, Any]]) -> None:
    changes = changes_of(call, subscription, said)
    behavior = call.params.get("proration_behavior", "create_prorations")
    billed = behavior == "always_invoice" and subscription.status != "trialing"
    dearer = any((one.price or subscription.price).unit_minor for one in changes)
    if billed and dearer and not call.shop.pays(subscription.customer, subscription):
        raise card_declined("Your card was declined.", "generic_decline")
    call.shop.change_items(subscription, changes, behavior)


def changes_of(
    call: Call, subscription: Subscription, said: Sequence[Mapping[str, Any]]
) -> list[Change]:
    """What a request wants of a contract's items."""
    changes = [_wanted(call, subscription, one, f"items[{n}]") for n, one in enumerate(said)]
    gone = {one.item_id for one in changes if one.deleted}
    added = any(not one.item_id for one in changes)
    if not added and not {item.id for item in subscription.items} - gone:
        raise invalid("A subscription must have at least one active item.", "items")
    return changes


def _wanted(call: Call, subscription: Subscription, said: Mapping[str, Any], where: str) -> Change:
    named = said.get("id") or ""
    if named and named not in {item.id for item in subscription.items}:
        raise no_such("subscription item", named, f"{where}[id]")
    price = None
    if said.get("price") or said.get("price_data"):
        price = price_of(call, said, where).sold_in(subscription.price.currency)
        if price is None or not price.plan.recurring:
            message = "The price must renew, in the subscription's currency."
            raise invalid(message, f"{where}[price]")
    if not named and price is None:
        raise missing_parameter(f"{where}[price]")
    quantity = quantity_of(said, where) if "quantity" in said else None
    return Change(named, price, quantity, bool(said.get("deleted")))


def _cancel(call: Call) -> Found:
    subscription = _subscription(call)
    if subscription.ended_at is not None:
        message = f"No such subscription: '{subscription.id}'"
        raise invalid(message, "id", "resource_missing")
    call.shop.cancel_now(
        subscription,
        prorate=call.params.get("prorate", False),
        bill=call.params.get("invoice_now", False),
    )
    return subscription


def _items(call: Call) -> Found:
    wanted = call.params["subscription"]
    subscription = call.find(Subscription, wanted, "subscription", "subscription")
    return call.page(items_of(subscription), lambda item: str(item["id"]))


_S = "/v1/subscriptions"
ENDPOINTS = (
    Endpoint(
        "GET",
        _S,
        Group({**DATED_PAGE, "customer": text, "price": text, "status": one_of(*_STATUSES)}),
        _subscriptions,
    ),
    Endpoint("POST", _S, SIGN, create),
    searching(_S, Subscription, subscription_object, ("canceled_at", "created", "status")),
    Endpoint("GET", f"{_S}/<id>", NOTHING, _subscription),
    Endpoint("POST", f"{_S}/<id>", _UPDATE, _update),
    Endpoint("DELETE", f"{_S}/<id>", _CANCEL, _cancel),
    Endpoint(
        "GET",
        "/v1/subscription_items",
        Group({**PAGE, "subscription": text}, required=("subscription",)),
        _items,
    ),
)
