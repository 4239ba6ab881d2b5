"""Coupons and promotion codes, and how a request names the discounts it wants."""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.simulate.coupons import Coupon, Discount
from sandbox.stripe.api.calls import Call, Endpoint, Found
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
    whole,
)
from sandbox.stripe.errors import invalid, missing_parameter
from sandbox.stripe.offers import Code, Offer

_PERCENT_MAX = 100
DISCOUNTS = Many(Group({"coupon": text, "promotion_code": text}), most=20)
_COUPON = Group(
    {
        "amount_off": amount,
        "currency": currency,
        "duration": one_of("forever", "once", "repeating"),
        "duration_in_months": whole,
        "id": text,
        "metadata": metadata,
        "name": text,
        "percent_off": whole,
    }
)
_CODE = Group(
    {
        "active": flag,
        "code": text,
        "max_redemptions": whole,
        "metadata": metadata,
        "promotion": Group({"coupon": text, "type": one_of("coupon")}, required=("coupon", "type")),
    },
    required=("promotion",),
)


def discounts_of(call: Call, wanted: Sequence[Mapping[str, Any]]) -> tuple[Discount, ...]:
    """The discounts that a parameter asks for, put to use."""
    return tuple(_discount(call, named, f"discounts[{n}]") for n, named in enumerate(wanted))


def _discount(call: Call, named: Mapping[str, Any], param: str) -> Discount:
    if bool(named.get("coupon")) == bool(named.get("promotion_code")):
        raise invalid("You must specify either `coupon` or `promotion_code`.", param)
    if named.get("coupon"):
        offer = call.find(Offer, named["coupon"], "coupon", f"{param}[coupon]")
        offer.redeemed += 1
        return call.shop.discount(offer.coupon)
    code = call.find(Code, named["promotion_code"], "promotion code", f"{param}[promotion_code]")
    if not code.redeemable:
        raise invalid("This promotion code cannot be redeemed.", f"{param}[promotion_code]")
    return call.shop.redeem(code)


def _create_coupon(call: Call) -> Found:
    params = call.params
    if params.get("id") in call.shop.records:
        raise invalid("Coupon already exists.", "id", "resource_already_exists")
    percent, money = params.get("percent_off", 0), params.get("amount_off", 0)
    if bool(percent) == bool(money):
        raise invalid("You must pass either `percent_off` or `amount_off`.", "percent_off")
    if not 0 <= percent <= _PERCENT_MAX:
        raise invalid("Percents must be from 1 to 100.", "percent_off")
    if money and not params.get("currency"):
        raise missing_parameter("currency")
    duration, months = params.get("duration", "once"), params.get("duration_in_months")
    if (duration == "repeating") != bool(months):
        message = "`duration_in_months` belongs to the duration `repeating`, and only there."
        raise invalid(message, "duration_in_months")
    coupon_id = params.get("id") or call.shop.new_id("co", 8)
    taken = params.get("currency") or ""
    offer = Offer(
        coupon_id,
        Coupon(coupon_id, percent, money, taken, duration, months),
        call.shop.now,
        params.get("name"),
        merged(None, params.get("metadata", {})),
    )
    call.shop.offer(offer)
    return offer


def _create_code(call: Call) -> Found:
    params = call.params
    offer = call.find(Offer, params["promotion"]["coupon"], "coupon", "promotion[coupon]")
    word = params.get("code") or call.shop.new_id("c", 8)[2:].upper()
    if call.shop.code_of(word):
        message = "An active promotion code with `code: "
        raise invalid(f"{message}{word}` already exists.", "code", "resource_already_exists")
    code = Code(
        call.shop.new_id("promo"),
        word,
        offer,
        call.shop.now,
        params.get("active", True),
        params.get("max_redemptions"),
        merged(None, params.get("metadata", {})),
    )
    call.shop.promise(code)
    return code


def _update_coupon(call: Call) -> Found:
    offer = call.the(Offer, "coupon")
    changes = dict(call.params)
    if "metadata" in changes:
        changes["metadata"] = merged(offer.metadata, changes["metadata"])
    call.shop.change_offer(offer, changes)
    return offer


def _delete_coupon(call: Call) -> Found:
    offer = call.the(Offer, "coupon")
    call.shop.withdraw(offer)
    return {"id": offer.id, "object": "coupon", "deleted": True}


def _update_code(call: Call) -> Found:
    code = call.the(Code, "promotion code")
    changes = dict(call.params)
    if changes.get("active") and not code.active:
        if call.shop.get(Offer, code.offer.id) is None:
            message = "This promotion code cannot be activated because its coupon is deleted."
            raise invalid(message, "active")
        if call.shop.code_of(code.code):
            message = f"An active promotion code with `code: {code.code}` already exists."
            raise invalid(message, "active", "resource_already_exists")
    if "metadata" in changes:
        changes["metadata"] = merged(code.metadata, changes["metadata"])
    call.shop.change_code(code, changes)
    return code


def _coupons(call: Call) -> Found:
    return call.listed(Offer)


def _codes(call: Call) -> Found:
    typed = call.params.get("code")
    return call.listed(
        Code,
        lambda code: not typed or code.code.lower() == typed.lower(),
        active=lambda code: code.redeemable,
        coupon=lambda code: code.offer.id,
    )


_C, _P = "/v1/coupons", "/v1/promotion_codes"
ENDPOINTS = (
    Endpoint("POST", _C, _COUPON, _create_coupon),
    Endpoint("GET", _C, Group(DATED_PAGE), _coupons),
    Endpoint("GET", f"{_C}/<id>", NOTHING, lambda call: call.the(Offer, "coupon")),
    Endpoint("POST", f"{_C}/<id>", Group({"metadata": metadata, "name": text}), _update_coupon),
    Endpoint("DELETE", f"{_C}/<id>", NOTHING, _delete_coupon),
    Endpoint("POST", _P, _CODE, _create_code),
    Endpoint("POST", f"{_P}/<id>", Group({"active": flag, "metadata": metadata}), _update_code),
    Endpoint(
        "GET", _P, Group({**DATED_PAGE, "active": flag, "code": text, "coupon": text}), _codes
    ),
    Endpoint("GET", f"{_P}/<id>", NOTHING, lambda call: call.the(Code, "promotion code")),
)
