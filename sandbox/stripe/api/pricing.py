"""How a price comes to its amount: tiers, and what is metered. Kept and shown, and never sold."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.simulate.contract_records import Price, Scheme, Tier
from sandbox.stripe.api.calls import Call, Json
from sandbox.stripe.api.parameters import (
    Group,
    Many,
    Rule,
    amount,
    currency,
    one_of,
    text,
    whole,
)
from sandbox.stripe.api.periods import INTERVALS
from sandbox.stripe.billing.meters import Meter
from sandbox.stripe.errors import invalid, missing_parameter

_DECIMAL = re.compile(r"\d{1,12}(\.\d{1,12})?")


def _decimal(name: str, value: Any) -> str:  # noqa: ANN401 - as decoded.
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise invalid(f"Invalid decimal: {value}", name, "parameter_invalid_decimal")
    return value


def _up_to(name: str, value: Any) -> int | str:  # noqa: ANN401 - as decoded.
    return "inf" if value == "inf" else whole(name, value)


_TIER = Group(
    {
        "flat_amount": amount,
        "flat_amount_decimal": _decimal,
        "unit_amount": amount,
        "unit_amount_decimal": _decimal,
        "up_to": _up_to,
    },
    required=("up_to",),
)
RULES: Mapping[str, Rule] = {
    "billing_scheme": one_of("per_unit", "tiered"),
    "recurring": Group(
        {
            "interval": one_of(*INTERVALS),
            "interval_count": whole,
            "meter": text,
            "usage_type": one_of("licensed", "metered"),
        },
        required=("interval",),
    ),
    "tiers": Many(_TIER),
    "tiers_mode": one_of("graduated", "volume"),
    "unit_amount": amount,
}


_OPTION = Group({"unit_amount": amount}, required=("unit_amount",))


def in_currencies(name: str, value: Any) -> dict[str, int]:  # noqa: ANN401 - as decoded.
    """Amounts by currency."""
    if not isinstance(value, dict):
        raise invalid("Invalid object", name)
    return {
        currency(f"{name}[{code}]", code): int(_OPTION(f"{name}[{code}]", said)["unit_amount"])
        for code, said in value.items()
    }


def check_options(options: Mapping[str, int], own: str, scheme: Scheme) -> None:
    """Refuse further currencies that say nothing new, or too little for tiers."""
    if own in options:
        message = "`currency_options` cannot have the currency of the price itself."
        raise invalid(message, f"currency_options[{own}]")
    if options and scheme.tiers:
        message = "The offline Stripe keeps tiers in one currency only."
        raise invalid(message, "currency_options")


def scheme_of(call: Call) -> Scheme:
    """How a price that a request describes comes to its amount."""
    params = call.params
    meter = _meter(call, params.get("recurring") or {})
    if params.get("billing_scheme") != "tiered":
        for name in ("tiers", "tiers_mode"):
            if name in params:
                message = f"You can only pass `{name}` when `billing_scheme` is `tiered`."
                raise invalid(message, name)
        if "unit_amount" not in params:
            raise missing_parameter("unit_amount")
        return Scheme(meter=meter)
    for name in ("recurring", "tiers", "tiers_mode"):
        if not params.get(name):
            raise missing_parameter(name)
    if "unit_amount" in params:
        message = "You can not pass `unit_amount` when `billing_scheme` is `tiered`."
        raise invalid(message, "unit_amount")
    return Scheme(_tiers(params["tiers"]), params["tiers_mode"], meter)


def is_metered(call: Call) -> bool:
    """Whether a price that a request describes is for what was used."""
    recurring = call.params.get("recurring") or {}
    return bool(recurring.get("usage_type") == "metered")


def _meter(call: Call, recurring: Json) -> str | None:
    named = recurring.get("meter")
    if not is_metered(call):
        if named:
            message = (
                "`recurring[meter]` can only be used when `recurring[usage_type]` is `metered`."
            )
            raise invalid(message, "recurring[meter]")
        return None
    if named:
        return call.find(Meter, named, "billing meter", "recurring[meter]").id
    if call.version.basil:
        message = "Metered prices must be backed by a meter: pass `recurring[meter]`."
        raise invalid(message, "recurring[meter]", "parameter_missing")
    return None


def _tiers(said: Sequence[Json]) -> tuple[Tier, ...]:
    tiers = tuple(_tier(one, f"tiers[{place}]") for place, one in enumerate(said))
    bounds = [one.up_to for one in tiers if one.up_to is not None]
    if tiers[-1].up_to is not None or len(bounds) != len(tiers) - 1:
        raise invalid("The last tier, and only the last, must have `up_to` set to `inf`.", "tiers")
    if bounds != sorted(set(bounds)) or 0 in bounds:
        raise invalid("Each tier must reach further than the one before it.", "tiers")
    return tiers


def _tier(said: Json, where: str) -> Tier:
    unit, flat = _one(said, "unit_amount", where), _one(said, "flat_amount", where)
    if unit is None and flat is None:
        raise missing_parameter(f"{where}[unit_amount]")
    return Tier(None if said["up_to"] == "inf" else said["up_to"], unit, flat)


def _one(said: Json, name: str, where: str) -> str | None:
    """An amount that is said whole or in decimals, in decimals."""
    if name in said and f"{name}_decimal" in said:
        message = f"You may only specify one of these parameters: {name}, {name}_decimal."
        raise invalid(message, f"{where}[{name}]")
    given = said.get(name, said.get(f"{name}_decimal"))
    return None if given is None else str(given)


def tiers_of(price: Price) -> list[Json] | None:
    """Draw the tiers of a price."""
    drawn = [
        {
            "flat_amount": _whole(tier.flat),
            "flat_amount_decimal": tier.flat,
            "unit_amount": _whole(tier.unit),
            "unit_amount_decimal": tier.unit,
            "up_to": tier.up_to,
        }
        for tier in price.scheme.tiers
    ]
    return drawn or None


def _whole(decimal: str | None) -> int | None:
    return int(decimal) if decimal and decimal.isdigit() else None
