"""The account itself: its events and its balance."""

from collections.abc import Sequence

from sandbox.simulate.objects import stripe_list
from sandbox.stripe.api.calls import Call, Endpoint, Found, Json
from sandbox.stripe.api.parameters import DATED_PAGE, NOTHING, Group, Many, flag, text
from sandbox.stripe.errors import invalid, no_access, no_such
from sandbox.stripe.log import Posted

_TYPES_MAX = 20


def _events(call: Call) -> Found:
    params = call.params
    if params.get("type") and params.get("types"):
        raise invalid("You may only specify one of these parameters: type, types.")
    wanted = params.get("types") or ([params["type"]] if params.get("type") else [])
    delivered = params.get("delivery_success")
    events = [
        one
        for one in reversed(call.log.posted)
        if not one.event.thin_only
        and _fits(one.event.type, wanted)
        and delivered in (None, one.delivery == "delivered")
    ]
    return call.page(call.dated(events, lambda one: one.event.created), lambda one: one.event.id)


def _fits(kind: str, wanted: Sequence[str]) -> bool:
    return not wanted or any(
        kind == pattern or (pattern.endswith("*") and kind.startswith(pattern[:-1]))
        for pattern in wanted
    )


def _event(call: Call) -> Posted:
    posted = call.log.get(call.id)
    if posted is None or posted.event.thin_only:
        raise no_such("event", call.id, "id")
    return posted


def _balance(call: Call) -> Json:
    del call
    nothing = {"amount": 0, "currency": "usd", "source_types": {"card": 0}}
    return {"object": "balance", "available": [nothing], "livemode": False, "pending": [nothing]}


def _account(call: Call) -> Json:
    return {
        "id": call.shop.account_id,
        "object": "account",
        "business_profile": None,
        "business_type": None,
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "account"},
        "country": "US",
        "created": 1_700_000_000,
        "default_currency": "usd",
        "details_submitted": True,
        "email": None,
        "external_accounts": stripe_list([], f"/v1/accounts/{call.shop.account_id}"),
        "metadata": {},
        "payouts_enabled": True,
        "settings": None,
        "type": "standard",
    }


def _own_account(call: Call) -> Json:
    if call.id != call.shop.account_id:
        raise no_access(call.id)
    return _account(call)


def _accounts(call: Call) -> Found:
    return call.page([_account(call)], lambda account: str(account["id"]))


ENDPOINTS = (
    Endpoint("GET", "/v1/account", NOTHING, _account),
    Endpoint("GET", "/v1/accounts", Group(DATED_PAGE), _accounts),
    Endpoint("GET", "/v1/accounts/<id>", NOTHING, _own_account),
    Endpoint(
        "GET",
        "/v1/events",
        Group(
            {
                **DATED_PAGE,
                "delivery_success": flag,
                "type": text,
                "types": Many(text, most=_TYPES_MAX),
            }
        ),
        _events,
    ),
    Endpoint("GET", "/v1/events/<id>", NOTHING, _event),
    Endpoint("GET", "/v1/balance", NOTHING, _balance),
)
