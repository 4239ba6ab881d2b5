"""Charges, refunds and disputes."""

from sandbox.simulate.money_records import Charge, Dispute, Intent, Refund
from sandbox.simulate.payment_objects import charge_object
from sandbox.stripe.api.calls import Call, Endpoint, Found
from sandbox.stripe.api.parameters import (
    DATED_PAGE,
    NOTHING,
    Group,
    merged,
    metadata,
    one_of,
    text,
    whole,
)
from sandbox.stripe.api.searching import searching
from sandbox.stripe.errors import invalid, missing_parameter

_REFUND = Group(
    {
        "amount": whole,
        "charge": text,
        "metadata": metadata,
        "payment_intent": text,
        "reason": one_of("duplicate", "fraudulent", "requested_by_customer"),
    }
)
_CARD = "payment_method_details.card"
_CHARGE_FIELDS = (
    *("amount", "billing_details.address.postal_code", "created", "currency", "customer"),
    *("disputed", "refunded", "status"),
    *(f"{_CARD}.{name}" for name in ("brand", "exp_month", "exp_year", "fingerprint", "last4")),
)


def _charges(call: Call) -> Found:
    return call.listed(
        Charge,
        customer=lambda charge: charge.intent.customer.reference,
        payment_intent=lambda charge: charge.intent.id,
    )


def _charge(call: Call) -> Charge:
    """The charge that a refund names, or that of the intent it names."""
    params = call.params
    if params.get("charge"):
        return call.find(Charge, params["charge"], "charge", "charge")
    if not params.get("payment_intent"):
        raise missing_parameter("payment_intent")
    intent = call.find(Intent, params["payment_intent"], "payment_intent", "payment_intent")
    if intent.charge is None:
        message = f"This PaymentIntent ({intent.id}) does not have a successful charge to refund."
        raise invalid(message, "payment_intent")
    return intent.charge


def _refund(call: Call) -> Found:
    charge, params = _charge(call), call.params
    left = charge.intent.amount - charge.amount_refunded
    if charge.status != "succeeded":
        raise invalid(f"Charge {charge.id} has not succeeded, so it cannot be refunded.")
    if charge.disputed:
        message = f"Charge {charge.id} has been charged back; cannot issue a refund."
        raise invalid(message, None, "charge_disputed")
    if left == 0:
        message = f"Charge {charge.id} has already been refunded."
        raise invalid(message, None, "charge_already_refunded")
    amount = params.get("amount", left)
    if amount < 1:
        message = "Invalid positive integer"
        raise invalid(message, "amount", "parameter_invalid_integer")
    if amount > left:
        message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
        raise invalid(message, "amount")
    return call.shop.refund(
        charge,
        amount,
        reason=params.get("reason"),
        metadata=merged(None, params.get("metadata", {})),
    )


def _of_payment(call: Call, kind: type[Refund | Dispute]) -> Found:
    """Refunds or disputes, of the charge or the intent asked for."""
    return call.listed(
        kind,
        charge=lambda reversal: reversal.charge.id,
        payment_intent=lambda reversal: reversal.charge.intent.id,
    )


_OF_PAYMENT = Group({**DATED_PAGE, "charge": text, "payment_intent": text})
ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/charges",
        Group({**DATED_PAGE, "customer": text, "payment_intent": text}),
        _charges,
    ),
    searching("/v1/charges", Charge, charge_object, _CHARGE_FIELDS),
    Endpoint("GET", "/v1/charges/<id>", NOTHING, lambda call: call.the(Charge, "charge")),
    Endpoint("POST", "/v1/refunds", _REFUND, _refund),
    Endpoint("GET", "/v1/refunds", _OF_PAYMENT, lambda call: _of_payment(call, Refund)),
    Endpoint("GET", "/v1/refunds/<id>", NOTHING, lambda call: call.the(Refund, "refund")),
    Endpoint("GET", "/v1/disputes", _OF_PAYMENT, lambda call: _of_payment(call, Dispute)),
    Endpoint("GET", "/v1/disputes/<id>", NOTHING, lambda call: call.the(Dispute, "dispute")),
)
