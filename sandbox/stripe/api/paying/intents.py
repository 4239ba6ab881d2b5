"""Payment intents: made, confirmed with a card, captured, canceled, listed, searched."""

from typing import Any

from sandbox.simulate.contract_records import Customer
from sandbox.simulate.money_records import Intent
from sandbox.simulate.payment_objects import charge_object, intent_object
from sandbox.stripe.api.calls import Call, Endpoint, Found
from sandbox.stripe.api.customers import living
from sandbox.stripe.api.finding import find_method
from sandbox.stripe.api.minimums import check_amount
from sandbox.stripe.api.parameters import (
    DATED_PAGE,
    NOTHING,
    Group,
    Many,
    amount,
    currency,
    flag,
    merged,
    metadata,
    one_of,
    text,
    web_url,
)
from sandbox.stripe.api.paying.methods import declined
from sandbox.stripe.api.searching import searching
from sandbox.stripe.errors import Refusal, invalid
from sandbox.stripe.paying.methods import Method, method_object
from sandbox.stripe.views import Declined, NeedsAuthentication

_TYPES = Many(text, most=30)
_CONFIRM: dict[str, Any] = {
    "error_on_requires_action": flag,
    "off_session": flag,
    "payment_method": text,
    "return_url": web_url,
    "use_stripe_sdk": flag,
}
_CHANGEABLE: dict[str, Any] = {
    "amount": amount,
    "currency": currency,
    "customer": text,
    "description": text,
    "metadata": metadata,
    "payment_method": text,
    "receipt_email": text,
    "setup_future_usage": one_of("off_session", "on_session"),
    "statement_descriptor": text,
    "statement_descriptor_suffix": text,
}
# Older versions name what is allowed `payment_method_types`.
_CREATE: dict[str, Any] = {
    **_CHANGEABLE,
    **_CONFIRM,
    "allowed_payment_method_types": _TYPES,
    "automatic_payment_methods": Group(
        {"enabled": flag, "allow_redirects": one_of("always", "never")}, required=("enabled",)
    ),
    "capture_method": one_of("automatic", "automatic_async", "manual"),
    "confirm": flag,
    "confirmation_method": one_of("automatic", "manual"),
    "payment_method_types": _TYPES,
}
# What is drawn as it was said.
_STATED = (
    *("receipt_email", "setup_future_usage", "statement_descriptor"),
    "statement_descriptor_suffix",
)
_OPEN = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})
_REASONS = one_of("abandoned", "duplicate", "fraudulent", "requested_by_customer")


def _create(call: Call) -> Found:
    params, shop = call.params, call.shop
    check_amount(params["amount"], params["currency"])
    named = params.get("customer")
    customer = living(call, named, "customer") if named else shop.add_customer(guest=True)
    method = _method(call)
    _check_owner(method, customer)
    intent = shop.start_intent(
        customer,
        params["amount"],
        description=params.get("description") or "",
        metadata=merged(None, params.get("metadata", {})),
        currency=params["currency"],
    )
    intent.manual = params.get("capture_method") == "manual"
    intent.stated = {name: params[name] for name in _STATED if name in params}
    shop.begin(intent, method)
    if not params.get("confirm"):
        return intent
    if method is None:
        raise _no_method()
    return _confirmed(call, intent, method)


def _method(call: Call) -> Method | None:
    named = call.params.get("payment_method")
    return find_method(call, named, "payment_method") if named else None


def _check_owner(method: Method | None, customer: Customer) -> None:
    owner = method.customer if method else None
    if owner is not None and owner is not customer:
        message = (
            "The provided PaymentMethod belongs to a Customer and cannot be used with this "
            "PaymentIntent unless that Customer is named."
        )
        raise invalid(message, "payment_method")


def _no_method() -> Refusal:
    message = (
        "You cannot confirm this PaymentIntent because it's missing a payment method. You can "
        "either update the PaymentIntent with a payment method and then confirm it again, or "
        "confirm it again directly with a payment method or ConfirmationToken."
    )
    return invalid(message, None, "payment_intent_unexpected_state")


def _confirmed(call: Call, intent: Intent, method: Method) -> Intent:
    absent = call.params.get("off_session", False)
    absent = absent or call.params.get("error_on_requires_action", False)
    match call.shop.confirm(intent, method, absent=absent):
        case Declined(message, code):
            objects: dict[str, Any] = {
                "payment_intent": intent_object(intent),
                "payment_method": method_object(method),
            }
            if intent.charge:
                objects["charge"] = charge_object(intent.charge)["id"]
            raise declined(method.card, message, code, **objects)
        case NeedsAuthentication():
            _ask(call, intent)
        case None:
            if intent.stated.get("setup_future_usage") and not intent.customer.guest:
                call.shop.attach(method, intent.customer)
    return intent


def _ask(call: Call, intent: Intent) -> None:
    back = call.params.get("return_url")
    page = f"{call.base_url}/authenticate/{intent.id}"
    redirect = {"return_url": back, "url": page}
    shown = {"redirect_to_url": redirect, "type": "redirect_to_url"}
    intent.stated = intent.stated | {"next_action": shown}


def _intent(call: Call) -> Intent:
    return call.the(Intent, "payment_intent")


def _in(call: Call, statuses: frozenset[str], what: str) -> Intent:
    intent = _intent(call)
    if intent.status not in statuses:
        message = (
            f"This PaymentIntent could not be {what} because it has a status of {intent.status}."
        )
        raise invalid(message, None, "payment_intent_unexpected_state")
    return intent


def _update(call: Call) -> Found:
    intent, params = _in(call, _OPEN, "updated"), call.params
    check_amount(
        params.get("amount", intent.amount), params.get("currency", intent.currency), "amount"
    )
    intent.amount = params.get("amount", intent.amount)
    intent.currency = params.get("currency", intent.currency)
    intent.description = params.get("description", intent.description)
    if "metadata" in params:
        intent.metadata = merged(intent.metadata, params["metadata"])
    if params.get("customer"):
        intent.customer = living(call, params["customer"], "customer")
    intent.stated |= {name: params[name] for name in _STATED if name in params}
    method = _method(call)
    _check_owner(method, intent.customer)
    call.shop.begin(intent, method)
    return intent


def _confirm(call: Call) -> Found:
    intent = _in(call, _OPEN, "confirmed")
    method = _method(call) or call.shop.get(Method, intent.method_id)
    if method is None or (intent.status == "requires_payment_method" and not _method(call)):
        raise _no_method()
    _check_owner(method, intent.customer)
    intent.stated.pop("next_action", None)
    return _confirmed(call, intent, method)


def _capture(call: Call) -> Found:
    intent = _in(call, frozenset({"requires_capture"}), "captured")
    wanted = call.params.get("amount_to_capture", intent.amount)
    if not 0 < wanted <= intent.amount:
        message = (
            f"The remaining amount which can be captured for this PaymentIntent is {intent.amount}."
        )
        raise invalid(message, "amount_to_capture", "amount_too_large")
    call.shop.capture_intent(intent, wanted)
    return intent


def _cancel(call: Call) -> Found:
    intent = _in(call, _OPEN | {"requires_capture", "processing"}, "canceled")
    call.shop.cancel_intent(intent, call.params.get("cancellation_reason"))
    return intent


def _intents(call: Call) -> Found:
    return call.listed(Intent, customer=lambda intent: intent.customer.reference)


_P = "/v1/payment_intents"
_FOUND_BY = ("amount", "created", "currency", "customer", "status")
ENDPOINTS = (
    Endpoint("POST", _P, Group(_CREATE, required=("amount", "currency")), _create),
    Endpoint("GET", _P, Group({**DATED_PAGE, "customer": text}), _intents),
    searching(_P, Intent, intent_object, _FOUND_BY),
    Endpoint("GET", f"{_P}/<id>", NOTHING, _intent),
    Endpoint("POST", f"{_P}/<id>", Group(_CHANGEABLE), _update),
    Endpoint("POST", f"{_P}/<id>/confirm", Group(_CONFIRM), _confirm),
    Endpoint("POST", f"{_P}/<id>/capture", Group({"amount_to_capture": amount}), _capture),
    Endpoint("POST", f"{_P}/<id>/cancel", Group({"cancellation_reason": _REASONS}), _cancel),
)
