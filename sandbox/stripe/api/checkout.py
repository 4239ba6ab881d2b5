"""Checkout sessions: opened, listed, expired."""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.simulate.contract_records import Customer, Price, Subscription
from sandbox.simulate.records import HostedSession, Session
from sandbox.stripe.api.basket import LINE, lines_of
from sandbox.stripe.api.calls import Call, Endpoint, Found
from sandbox.stripe.api.collecting import RULES as COLLECTING
from sandbox.stripe.api.collecting import SALES_ONLY, collected
from sandbox.stripe.api.customers import living
from sandbox.stripe.api.embedding import RULES as EMBEDDING
from sandbox.stripe.api.embedding import embedding_of
from sandbox.stripe.api.lists import line_items_of
from sandbox.stripe.api.minimums import check_session
from sandbox.stripe.api.offers import DISCOUNTS, discounts_of
from sandbox.stripe.api.parameters import (
    DATED_PAGE,
    NOTHING,
    PAGE,
    Group,
    Many,
    currency,
    flag,
    merged,
    metadata,
    one_of,
    text,
    whole,
)
from sandbox.stripe.api.setup_sessions import open_setup_session
from sandbox.stripe.checkouts import LIFETIME_SECONDS, Terms
from sandbox.stripe.contracts import RUNNING
from sandbox.stripe.errors import invalid, missing_parameter
from sandbox.stripe.paying.setup_sessions import AnySession, SetupSession

LIFETIME_SECONDS_MIN = 30 * 60
# Asked for before it left, answered after it arrived.
_SLACK_SECONDS = 60
_SESSION = Group(
    {
        **COLLECTING,
        **EMBEDDING,
        "allow_promotion_codes": flag,
        "client_reference_id": text,
        "currency": currency,
        "customer": text,
        "discounts": DISCOUNTS,
        "customer_creation": one_of("always", "if_required"),
        "customer_email": text,
        "expires_at": whole,
        "invoice_creation": Group({"enabled": flag}, required=("enabled",)),
        "line_items": Many(LINE),
        "metadata": metadata,
        "mode": one_of("payment", "setup", "subscription"),
        "setup_intent_data": Group({"description": text, "metadata": metadata}),
        "payment_intent_data": Group(
            {
                "description": text,
                "metadata": metadata,
                "setup_future_usage": one_of("off_session", "on_session"),
            }
        ),
        "payment_method_collection": one_of("always", "if_required"),
        "payment_method_types": Many(one_of("card", "sepa_debit"), most=2),
        "submit_type": one_of("auto", "book", "donate", "pay", "subscribe"),
        "subscription_data": Group({"metadata": metadata, "trial_period_days": whole}),
    },
    required=("mode",),
)
# What is told as it was said.
_STATED = ("customer_creation", "payment_method_types", "submit_type")
# What Stripe does not take in every mode, and in which it does.
_ONLY = {
    "allow_promotion_codes": ("payment", "subscription"),
    "customer_creation": ("payment", "setup"),
    "discounts": ("payment", "subscription"),
    "invoice_creation": ("payment",),
    "line_items": ("payment", "subscription"),
    "payment_intent_data": ("payment",),
    "payment_method_collection": ("subscription",),
    "setup_intent_data": ("setup",),
    "subscription_data": ("subscription",),
    **dict.fromkeys(SALES_ONLY, ("payment", "subscription")),
}
_SUBMITS = {
    "payment": ("auto", "book", "donate", "pay"),
    "setup": (),
    "subscription": ("auto", "subscribe"),
}


def _create(call: Call) -> Found:
    params = call.params
    _check_mode(params)
    customer = living(call, params["customer"], "customer") if params.get("customer") else None
    for other in ("customer_creation", "customer_email"):
        if customer and params.get(other):
            raise invalid(f"You may only specify one of these parameters: customer, {other}.")
    lives, embedding = _lifetime(call), embedding_of(call)
    if params["mode"] == "setup":
        return open_setup_session(call, customer, lives, embedding)
    lines = lines_of(call, params["line_items"], params.get("currency"))
    price = _check_prices(params, [sold for sold, _ in lines])
    recurring = price.plan.recurring
    discounts = params.get("discounts", [])
    if len(discounts) > 1 or (discounts and "allow_promotion_codes" in params):
        message = "You may specify one discount, or `allow_promotion_codes`, not both."
        raise invalid(message, "discounts")
    if customer and recurring:
        _check_currency(call, customer, price.currency)
    trial = params.get("subscription_data", {}).get("trial_period_days", 0)
    session = call.shop.open_checkout(
        Terms(
            lines=lines,
            success_url=params.get("success_url") or "",
            customer=customer,
            cancel_url=params.get("cancel_url"),
            embedding=embedding,
            reference=params.get("client_reference_id"),
            email=params.get("customer_email"),
            metadata=merged(None, params.get("metadata", {})),
            intent_metadata=_words(params, "payment_intent_data"),
            intent_stated=_said_of_intent(params),
            contract_metadata=_words(params, "subscription_data"),
            trial_days=trial,
            invoicing=params.get("invoice_creation", {}).get("enabled", False),
            discounts=discounts_of(call, discounts),
            promotion_codes=params.get("allow_promotion_codes"),
            always_customer=params.get("customer_creation") == "always",
            expires_at=params.get("expires_at", 0),
            lives_seconds=lives,
            stated=collected(params, customer)
            | {name: params[name] for name in _STATED if params.get(name)},
        )
    )
    check_session(session.amount_total, price.currency)
    return session


def _update(call: Call) -> Found:
    session = _the_session(call)
    if "metadata" in call.params:
        session.metadata = merged(session.metadata, call.params["metadata"])
    return session


def _words(params: Mapping[str, Any], group: str) -> dict[str, str]:
    return merged(None, params.get(group, {}).get("metadata", {}))


def _said_of_intent(params: Mapping[str, Any]) -> dict[str, Any]:
    data = params.get("payment_intent_data", {})
    return {name: data[name] for name in ("description", "setup_future_usage") if data.get(name)}


def _check_mode(params: Mapping[str, Any]) -> None:
    mode = params["mode"]
    if params.get("submit_type") not in (None, *_SUBMITS[mode]):
        message = f"You can not pass `submit_type: {params['submit_type']}` in `{mode}` mode."
        raise invalid(message, "submit_type")
    for name, modes in _ONLY.items():
        if name in params and mode not in modes:
            raise invalid(f"You can not pass `{name}` in `{mode}` mode.", name)
    if mode in _ONLY["line_items"] and not params.get("line_items"):
        raise missing_parameter("line_items")
    days = params.get("subscription_data", {}).get("trial_period_days")
    if days is not None and days < 1:
        message = "The minimum number of trial period days is 1."
        raise invalid(message, "subscription_data[trial_period_days]")


def _check_prices(params: Mapping[str, Any], prices: Sequence[Price]) -> Price:
    """The price that decides what the session is: the first that renews, or the first at all."""
    price = next((one for one in prices if one.plan.recurring), prices[0])
    _check_price(params, price)
    for other in prices:
        if other.currency != price.currency:
            raise invalid("All prices of a session must be in one currency.", "line_items")
        plan, main = other.plan, price.plan
        if plan.recurring and (plan.interval, plan.interval_count) != (
            main.interval,
            main.interval_count,
        ):
            raise invalid("All recurring prices must have the same interval.", "line_items")
    return price


def _check_price(params: Mapping[str, Any], price: Price) -> None:
    if price.plan.recurring and params["mode"] == "payment":
        message = "You specified `payment` mode but passed a recurring price."
        raise invalid(
            f"{message} Either switch to `subscription` mode or use only one-time prices."
        )
    if not price.plan.recurring and params["mode"] == "subscription":
        raise invalid("You must provide at least one recurring price in `subscription` mode.")


def _check_currency(call: Call, customer: Customer, wanted: str) -> None:
    for subscription in call.shop.every(Subscription):
        other = subscription.price.currency
        if subscription.customer is customer and subscription.status in RUNNING and other != wanted:
            raise invalid(
                "You cannot combine currencies on a single customer. This customer has an active "
                f"subscription with currency {other}."
            )


def _lifetime(call: Call) -> int:
    at = call.params.get("expires_at")
    if at is None:
        return LIFETIME_SECONDS
    # The asker goes by the wall clock, which this account's own may be ahead of.
    lives = int(at) - call.wall_now
    if not LIFETIME_SECONDS_MIN - _SLACK_SECONDS <= lives <= LIFETIME_SECONDS + _SLACK_SECONDS:
        message = "The `expires_at` timestamp must be between 30 minutes and 24 hours from now."
        raise invalid(message, "expires_at")
    return lives


def _sessions(call: Call) -> Found:
    return call.listed(
        HostedSession,
        customer=lambda session: session.customer.reference,
        status=lambda session: session.status,
        subscription=_subscription_of,
        payment_intent=_intent_of,
    )


def _subscription_of(session: HostedSession) -> str | None:
    sold = session.subscription if isinstance(session, Session) else None
    return sold.id if sold else None


def _intent_of(session: HostedSession) -> str | None:
    intent = session.intent if isinstance(session, Session) else None
    return intent.id if intent else None


def _the_session(call: Call) -> AnySession:
    return call.shop.get(SetupSession, call.id) or call.the(Session, "checkout.session")


def _expire(call: Call) -> Found:
    session = _the_session(call)
    if session.status != "open":
        message = 'Only Checkout Sessions with a status in ["open"] can be expired.'
        raise invalid(f"{message} This Checkout Session has a status of {session.status}.")
    call.shop.expire(session, by_stripe=False)
    return session


def _line_items(call: Call) -> Found:
    return call.page(line_items_of(_the_session(call)), lambda item: str(item["id"]))


_LIST = {
    **DATED_PAGE,
    "customer": text,
    "payment_intent": text,
    "status": one_of("open", "complete", "expired"),
    "subscription": text,
}
_SESSIONS = "/v1/checkout/sessions"
ENDPOINTS = (
    Endpoint("POST", _SESSIONS, _SESSION, _create),
    Endpoint("GET", _SESSIONS, Group(_LIST), _sessions),
    Endpoint("GET", f"{_SESSIONS}/<id>", NOTHING, _the_session),
    Endpoint("POST", f"{_SESSIONS}/<id>", Group({"metadata": metadata}), _update),
    Endpoint("POST", f"{_SESSIONS}/<id>/expire", NOTHING, _expire),
    Endpoint("GET", f"{_SESSIONS}/<id>/line_items", Group(PAGE), _line_items),
)
