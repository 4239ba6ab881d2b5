"""A Stripe account that sells, in memory, and the check of what the receiver made of it.

Never imported by anything that runs in production, and never by `domain`: the expected figures
are kept by the seller's own arithmetic, so a mistake in ours cannot hide in both.
"""

__all__ = [
    "access",
    "account",
    "asked",
    "billing",
    "bringing",
    "compare",
    "contract_records",
    "coupons",
    "credit_note_objects",
    "cycles",
    "deals",
    "delivery",
    "discount_objects",
    "drawings",
    "engine",
    "expected",
    "invoice_objects",
    "lives",
    "money_records",
    "objects",
    "payment_objects",
    "payments",
    "plans",
    "play",
    "reading",
    "records",
    "reversal_objects",
    "reversing",
    "scene",
    "selling",
    "session_objects",
    "subscriptions",
    "thin",
    "verification",
    "versions",
    "wire",
]
