"""What a checkout session is to ask of its buyer besides the money: addresses, consent, numbers.

It is checked and told as Stripe tells it. The page asks for none of it.
"""

from collections.abc import Mapping
from typing import Any

from sandbox.simulate.contract_records import Customer
from sandbox.stripe.api.parameters import Group, Many, Rule, flag, one_of, text
from sandbox.stripe.errors import invalid

_KEPT = one_of("auto", "never")
_SWITCH = one_of("disabled", "enabled")
_UPDATES = Group({"address": _KEPT, "name": _KEPT, "shipping": _KEPT})
RULES: Mapping[str, Rule] = {
    "automatic_tax": Group(
        {"enabled": flag, "liability": Group({"type": one_of("self")}, required=("type",))},
        required=("enabled",),
    ),
    "billing_address_collection": one_of("auto", "required"),
    "consent_collection": Group(
        {
            "payment_method_reuse_agreement": Group(
                {"position": one_of("auto", "hidden")}, required=("position",)
            ),
            "promotions": one_of("auto", "none"),
            "terms_of_service": one_of("none", "required"),
        }
    ),
    "customer_update": _UPDATES,
    "locale": text,
    "phone_number_collection": Group({"enabled": flag}, required=("enabled",)),
    "saved_payment_method_options": Group(
        {
            "allow_redisplay_filters": Many(one_of("always", "limited", "unspecified"), most=3),
            "payment_method_remove": _SWITCH,
            "payment_method_save": _SWITCH,
        }
    ),
    "tax_id_collection": Group(
        {"enabled": flag, "required": one_of("if_supported", "never")}, required=("enabled",)
    ),
}
# Of these, what a session in `setup` mode does not take.
SALES_ONLY = ("automatic_tax", "phone_number_collection", "saved_payment_method_options")
# How a part is told whose request leaves some of it out.
_WHOLE: Mapping[str, Mapping[str, Any]] = {
    "automatic_tax": {"liability": {"type": "self"}},
    "consent_collection": {
        "payment_method_reuse_agreement": None,
        "promotions": "none",
        "terms_of_service": "none",
    },
    "saved_payment_method_options": {
        "allow_redisplay_filters": ["always"],
        "payment_method_remove": "disabled",
        "payment_method_save": None,
    },
    "tax_id_collection": {"required": "never"},
}


def collected(params: Mapping[str, Any], customer: Customer | None) -> dict[str, Any]:
    """What a session tells of what it is to ask for. Refuses what a customer stands against."""
    _check_updates(params, customer)
    return {
        name: {**_WHOLE.get(name, {}), **said} if isinstance(said, dict) else said
        for name, said in params.items()
        if name in RULES and name != "customer_update" and said
    }


def _check_updates(params: Mapping[str, Any], customer: Customer | None) -> None:
    updates = params.get("customer_update", {})
    if customer is None:
        if updates:
            raise invalid("`customer_update` can only be used with `customer`.", "customer_update")
        return
    placed = "auto" in (updates.get("address"), updates.get("shipping"))
    taxed = params.get("automatic_tax", {}).get("enabled")
    if taxed and not placed and not customer.stated.get("address"):
        message = (
            "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a "
            "valid address to the Customer or set either `customer_update[address]` to 'auto' or "
            "`customer_update[shipping]` to 'auto' to save the address entered in Checkout to the "
            "Customer."
        )
        raise invalid(message, None, "customer_tax_location_invalid")
    numbered = params.get("tax_id_collection", {}).get("enabled")
    if numbered and updates.get("name") != "auto":
        message = (
            "Tax ID collection requires updating business name on the customer. To enable tax ID "
            "collection for an existing customer, please set `customer_update[name]` to `auto`."
        )
        raise invalid(message, "customer_update[name]")
