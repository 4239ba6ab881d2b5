"""Draws payment intents, charges and cards as full Stripe objects. Pure; no tokens here."""

from dataclasses import replace

from sandbox.simulate.contract_records import Customer
from sandbox.simulate.money_records import Charge, Intent
from sandbox.simulate.objects import Json, address

# The error of an intent whose buyer failed to authenticate; no charge was ever tried.
UNAUTHENTICATED = "payment_intent_authentication_failure"

_REMOTE_NOTHING: Json = {
    "application": None,
    "application_fee_amount": None,
    "livemode": False,
    "on_behalf_of": None,
    "review": None,
    "shipping": None,
    "statement_descriptor": None,
    "statement_descriptor_suffix": None,
    "transfer_data": None,
    "transfer_group": None,
}


# Declines that are codes of their own.
_OWN_CODES = frozenset({"expired_card", "incorrect_cvc", "processing_error"})


def _billing_details(customer: Customer) -> Json:
    return {
        "address": address(customer),
        "email": customer.email or None,
        "name": customer.name or None,
        "phone": None,
        "tax_id": None,
    }


def _payer(intent: Intent) -> Customer:
    """The customer with the card that the intent was tried with."""
    if not intent.method_id:
        return intent.customer
    return replace(
        intent.customer,
        method_id=intent.method_id,
        card_brand=intent.card_brand,
        card_last4=intent.card_last4,
    )


def _decline(intent: Intent) -> Json | None:
    if intent.decline_code is None:
        return None
    return {
        "advice_code": "try_again_later",
        "charge": intent.charge.id if intent.charge else None,
        **_reason(intent),
        "message": intent.decline_message,
        "payment_method": card_object(_payer(intent), intent.created),
        "type": "card_error",
    }


def _reason(intent: Intent) -> Json:
    if intent.decline_code == UNAUTHENTICATED:
        return {"code": UNAUTHENTICATED}
    if intent.decline_code in _OWN_CODES:
        return {"code": intent.decline_code}
    return {
        "code": "card_declined",
        "decline_code": intent.decline_code,
        "doc_url": "https://stripe.com/docs/error-codes/card-declined",
    }


def card_object(customer: Customer, created: int) -> Json:
    """Draw the customer's card as a payment method."""
    return {
        "id": customer.method_id,
        "object": "payment_method",
        "allow_redisplay": "limited",
        "billing_details": _billing_details(customer),
        "card": {
            "brand": customer.card_brand,
            "checks": {
                "address_line1_check": None,
                "address_postal_code_check": "pass",
                "cvc_check": "pass",
            },
            "country": customer.country or "US",
            "display_brand": customer.card_brand,
            "exp_month": 8,
            "exp_year": 2031,
            "fingerprint": customer.method_id[-16:],
            "funding": "credit",
            "generated_from": None,
            "last4": customer.card_last4,
            "networks": {"available": [customer.card_brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": created,
        "customer": customer.reference,
        "livemode": False,
        "metadata": {},
        "type": "card",
    }


def intent_object(intent: Intent) -> Json:
    """Draw a payment intent as it stands."""
    received = intent.amount if intent.status == "succeeded" else 0
    held = intent.status == "requires_capture"
    drawn: Json = {
        "id": intent.id,
        "object": "payment_intent",
        **_REMOTE_NOTHING,
        "amount": intent.amount,
        "amount_capturable": intent.amount if held else 0,
        "amount_details": {"tip": {}},
        "amount_received": received,
        "automatic_payment_methods": None,
        "canceled_at": intent.canceled_at,
        "cancellation_reason": None,
        "capture_method": "manual" if intent.manual else "automatic",
        "client_secret": f"{intent.id}_secret_simulated",
        "confirmation_method": "automatic",
        "created": intent.created,
        "currency": intent.currency,
        "customer": intent.customer.reference,
        "description": intent.description,
        "last_payment_error": _decline(intent),
        "latest_charge": intent.charge.id if intent.charge else None,
        "metadata": dict(intent.metadata),
        "next_action": None,
        "payment_method": _method_of(intent),
        "payment_method_configuration_details": None,
        "payment_method_options": {
            "card": {
                "installments": None,
                "mandate_options": None,
                "network": None,
                "request_three_d_secure": "automatic",
            }
        },
        "payment_method_types": [intent.method_type],
        "processing": None,
        "receipt_email": None,
        "setup_future_usage": "off_session" if intent.invoice_id else None,
        "source": None,
        "status": intent.status,
    }
    if not intent.customer.version.basil:
        drawn["invoice"] = intent.invoice_id
    if intent.customer.version.customer_accounts:
        drawn["customer_account"] = intent.customer.account_reference
    return drawn | intent.stated


def _method_of(intent: Intent) -> str | None:
    if intent.status in {"succeeded", "requires_capture"}:
        return _payer(intent).method_id or None
    return None if intent.status == "requires_payment_method" else intent.method_id or None


def _method_details(intent: Intent) -> Json:
    if intent.method_type != "card":
        debit = {"bank_code": "37040044", "branch_code": None, "country": "DE", "last4": "3000"}
        return {"sepa_debit": debit, "type": "sepa_debit"}
    payer = _payer(intent)
    return {
        "card": {
            "amount_authorized": intent.amount,
            "authorization_code": "123456",
            "brand": payer.card_brand,
            "checks": {
                "address_line1_check": None,
                "address_postal_code_check": "pass",
                "cvc_check": "pass",
            },
            "country": payer.country or "US",
            "exp_month": 8,
            "exp_year": 2031,
            "extended_authorization": {"status": "disabled"},
            "fingerprint": payer.method_id[-16:],
            "funding": "credit",
            "incremental_authorization": {"status": "unavailable"},
            "installments": None,
            "last4": payer.card_last4,
            "mandate": None,
            "multicapture": {"status": "unavailable"},
            "network": payer.card_brand,
            "network_token": {"used": False},
            "overcapture": {"maximum_amount_capturable": intent.amount, "status": "unavailable"},
            "three_d_secure": None,
            "wallet": None,
        },
        "type": "card",
    }


def _outcome(charge: Charge) -> Json:
    good = charge.status != "failed"
    return {
        "advice_code": None if good else "try_again_later",
        "network_status": "approved_by_network" if good else "declined_by_network",
        "reason": None if good else charge.intent.decline_code,
        "risk_level": "normal",
        "risk_score": 21,
        "seller_message": "Payment complete." if good else "The bank declined the payment.",
        "type": "authorized" if good else "issuer_declined",
    }


def _failure(intent: Intent) -> str:
    own = intent.decline_code in _OWN_CODES
    return str(intent.decline_code) if own else "card_declined"


def charge_object(charge: Charge) -> Json:
    """Draw a charge as it stands; `amount_refunded` is cumulative."""
    intent = charge.intent
    failed = charge.status == "failed"
    captured = charge.status == "succeeded" and intent.status != "requires_capture"
    drawn: Json = {
        "id": charge.id,
        "object": "charge",
        **_REMOTE_NOTHING,
        "amount": intent.amount,
        "amount_captured": intent.amount if captured else 0,
        "amount_refunded": charge.amount_refunded,
        "application_fee": None,
        "balance_transaction": None if failed else f"txn_{charge.id[3:]}",
        "billing_details": _billing_details(intent.customer),
        "calculated_statement_descriptor": "SIMULATED ACCOUNT",
        "captured": captured,
        "created": charge.created,
        "currency": intent.currency,
        "customer": intent.customer.reference,
        "description": intent.description,
        "disputed": charge.disputed,
        "failure_balance_transaction": None,
        "failure_code": _failure(intent) if failed else None,
        "failure_message": intent.decline_message if failed else None,
        "fraud_details": {},
        "metadata": dict(intent.metadata),
        "outcome": _outcome(charge),
        "paid": charge.status == "succeeded",
        "payment_intent": intent.id,
        "payment_method": _payer(intent).method_id or None,
        "payment_method_details": _method_details(intent),
        "receipt_email": intent.customer.email or None,
        "receipt_number": None,
        "receipt_url": None if failed else f"https://pay.stripe.com/receipts/payment/{charge.id}",
        "refunded": charge.amount_refunded >= intent.amount > 0,
        "source": None,
        "source_transfer": None,
        "status": charge.status,
    }
    if not intent.customer.version.basil:
        drawn["invoice"] = intent.invoice_id
    return drawn
