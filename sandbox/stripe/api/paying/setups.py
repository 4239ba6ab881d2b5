"""Setup intents: a card is kept for later."""

from typing import Any

from sandbox.stripe.api.calls import Call, Endpoint, Found
from sandbox.stripe.api.customers import living
from sandbox.stripe.api.finding import find_method
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
    web_url,
)
from sandbox.stripe.api.paying.methods import declined
from sandbox.stripe.api.setup_sessions import check_is_free
from sandbox.stripe.errors import invalid
from sandbox.stripe.paying.methods import Method, method_object
from sandbox.stripe.paying.setups import Setup, setup_object
from sandbox.stripe.views import Declined, NeedsAuthentication

_TYPES = Many(text, most=30)
_CONFIRM: dict[str, Any] = {
    "payment_method": text,
    "return_url": web_url,
    "use_stripe_sdk": flag,
}
_CHANGEABLE: dict[str, Any] = {
    "customer": text,
    "description": text,
    "metadata": metadata,
    "payment_method": text,
}
_CREATE: dict[str, Any] = {
    **_CHANGEABLE,
    **_CONFIRM,
    "allowed_payment_method_types": _TYPES,
    "automatic_payment_methods": Group(
        {"enabled": flag, "allow_redirects": one_of("always", "never")}, required=("enabled",)
    ),
    "confirm": flag,
    "payment_method_types": _TYPES,
    "usage": one_of("off_session", "on_session"),
}
_REASONS = one_of("abandoned", "duplicate", "requested_by_customer")


def _create(call: Call) -> Found:
    params, shop = call.params, call.shop
    named = params.get("customer")
    setup = Setup(
        id=shop.new_id("seti"),
        created=shop.now,
        customer=living(call, named, "customer") if named else None,
        usage=params.get("usage", "off_session"),
        metadata=merged(None, params.get("metadata", {})),
        stated={"description": params["description"]} if params.get("description") else {},
    )
    _choose(call, setup)
    shop.open_setup(setup)
    return _confirmed(call, setup) if params.get("confirm") else setup


def _choose(call: Call, setup: Setup) -> None:
    named = call.params.get("payment_method")
    if named:
        setup.method, setup.status = find_method(call, named, "payment_method"), _READY


def _confirmed(call: Call, setup: Setup) -> Setup:
    method = setup.method
    if method is None:
        message = "You cannot confirm this SetupIntent because it's missing a payment method."
        raise invalid(message, None, "setup_intent_unexpected_state")
    match call.shop.confirm_setup(setup, method, absent=False):
        case Declined(message, code):
            objects = {
                "payment_method": method_object(method),
                "setup_intent": setup_object(setup),
            }
            raise declined(method.card, message, code, **objects)
        case NeedsAuthentication():
            redirect = {
                "return_url": call.params.get("return_url"),
                "url": f"{call.base_url}/authenticate/{setup.id}",
            }
            shown = {"redirect_to_url": redirect, "type": "redirect_to_url"}
            setup.stated = setup.stated | {"next_action": shown}
    return setup


def _setup(call: Call) -> Setup:
    return call.the(Setup, "setup_intent")


def _unfinished(call: Call) -> Setup:
    setup = _setup(call)
    if setup.status in {"succeeded", "canceled"}:
        message = f"This SetupIntent has a status of {setup.status}."
        raise invalid(message, None, "setup_intent_unexpected_state")
    return setup


def _update(call: Call) -> Found:
    setup, params = _unfinished(call), call.params
    if "metadata" in params:
        setup.metadata = merged(setup.metadata, params["metadata"])
    if params.get("customer"):
        setup.customer = living(call, params["customer"], "customer")
    if "description" in params:
        setup.stated = setup.stated | {"description": params["description"]}
    _choose(call, setup)
    return setup


def _confirm(call: Call) -> Found:
    setup = _unfinished(call)
    check_is_free(call, setup)
    _choose(call, setup)
    setup.stated.pop("next_action", None)
    return _confirmed(call, setup)


def _cancel(call: Call) -> Found:
    setup = _unfinished(call)
    check_is_free(call, setup)
    call.shop.cancel_setup(setup, call.params.get("cancellation_reason"))
    return setup


def _setups(call: Call) -> Found:
    return call.listed(
        Setup,
        customer=lambda setup: setup.customer and setup.customer.id,
        payment_method=lambda setup: _id(setup.method),
    )


def _id(method: Method | None) -> str | None:
    return method.id if method else None


_READY = "requires_confirmation"
_S = "/v1/setup_intents"
ENDPOINTS = (
    Endpoint("POST", _S, Group(_CREATE), _create),
    Endpoint("GET", _S, Group({**DATED_PAGE, "customer": text, "payment_method": text}), _setups),
    Endpoint("GET", f"{_S}/<id>", NOTHING, _setup),
    Endpoint("POST", f"{_S}/<id>", Group(_CHANGEABLE), _update),
    Endpoint("POST", f"{_S}/<id>/confirm", Group(_CONFIRM), _confirm),
    Endpoint("POST", f"{_S}/<id>/cancel", Group({"cancellation_reason": _REASONS}), _cancel),
)
