"""Draws refunds and disputes as full Stripe objects. Pure; no tokens here."""

from sandbox.simulate.money_records import Dispute, Refund
from sandbox.simulate.objects import Json


def refund_object(refund: Refund) -> Json:
    """Draw a refund as it stands."""
    drawn: Json = {
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": f"txn_{refund.id[3:]}",
        "charge": refund.charge.id,
        "created": refund.created,
        "currency": refund.charge.intent.currency,
        "destination_details": {
            "card": {
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            },
            "type": "card",
        },
        "metadata": dict(refund.metadata),
        "payment_intent": refund.charge.intent.id,
        "reason": refund.reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": refund.status,
        "transfer_reversal": None,
    }
    if refund.failure_reason:
        drawn["failure_balance_transaction"] = f"txn_f{refund.id[3:]}"
        drawn["failure_reason"] = refund.failure_reason
    return drawn


_EVIDENCE = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
)
_NO_EVIDENCE: Json = dict.fromkeys(_EVIDENCE)
_DISPUTE_FEE: Json = {
    "amount": 1500,
    "application": None,
    "description": "Dispute fee",
    "type": "stripe_fee",
}


def dispute_object(dispute: Dispute) -> Json:
    """Draw a dispute as it stands, with the movements of money so far."""
    intent = dispute.charge.intent
    movements = [
        {
            "id": movement_id,
            "object": "balance_transaction",
            "amount": amount,
            "available_on": when,
            "created": when,
            "balance_type": "payments",
            "currency": dispute.currency,
            "fee": 1500 if amount < 0 else 0,
            "fee_details": [_DISPUTE_FEE | {"currency": dispute.currency}] if amount < 0 else [],
            "net": amount - (1500 if amount < 0 else 0),
            "reporting_category": "dispute" if amount < 0 else "dispute_reversal",
            "source": dispute.id,
            "status": "available",
            "type": "adjustment",
        }
        for movement_id, amount, when in dispute.movements
    ]
    return {
        "id": dispute.id,
        "object": "dispute",
        "amount": dispute.amount,
        "balance_transactions": movements,
        "charge": dispute.charge.id,
        "created": dispute.created,
        "currency": dispute.currency,
        "enhanced_eligibility_types": [],
        "evidence": {
            **_NO_EVIDENCE,
            "enhanced_evidence": {},
            "customer_email_address": intent.customer.email,
        },
        "evidence_details": {
            "due_by": dispute.created + 9 * 86400,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": dispute.inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": intent.id,
        "payment_method_details": {
            "card": {
                "brand": "visa",
                "case_type": "inquiry" if dispute.inquiry else "chargeback",
                "network": "visa",
                "network_reason_code": "10.4",
            },
            "type": "card",
        },
        "reason": "fraudulent",
        "status": dispute.status,
    }
