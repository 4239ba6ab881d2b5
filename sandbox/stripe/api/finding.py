"""Finds the payment method, and the price to sell, that a parameter names."""

from sandbox.simulate.contract_records import Price
from sandbox.stripe.api.calls import Call
from sandbox.stripe.cards import card_named
from sandbox.stripe.errors import invalid, no_such
from sandbox.stripe.paying.methods import Method


def find_method(call: Call, method_id: str, param: str) -> Method:
    """The payment method that a parameter names; Stripe's test names make one."""
    card = card_named(method_id)
    if card and method_id.startswith("pm_card_"):
        return call.shop.add_method(card)
    method = call.shop.get(Method, method_id)
    if method is None:
        raise no_such("PaymentMethod", method_id, param)
    if method.detached:
        message = (
            "The provided PaymentMethod was previously used with a PaymentIntent without Customer "
            "attachment, shared with a connected account without Customer attachment, or was "
            "detached from a Customer. It may not be used again."
        )
        raise invalid(message, param)
    return method


def find_price(call: Call, price_id: str, param: str) -> Price:
    """The price that a parameter names, to sell at it."""
    price = call.find(Price, price_id, "price", param)
    if not price.active:
        message = "The price specified is inactive. This field only accepts active prices."
        raise invalid(message, param, "price_inactive")
    check_price(price, param)
    return price


def sold_in(price: Price, currency: str, param: str) -> Price:
    """A price as it is sold in a currency."""
    found = price.sold_in(currency)
    if found is None:
        message = f"The price specified only supports `{price.currency}`."
        raise invalid(f"{message} This doesn't match the expected currency: `{currency}`.", param)
    return found


def check_price(price: Price, param: str) -> None:
    """Refuse a price that nothing here can be sold at."""
    if not price.sellable:
        kind = "tiered" if price.scheme.tiers else "metered"
        message = f"The price specified is {kind}. The offline Stripe sells nothing at such prices."
        raise invalid(message, param)
