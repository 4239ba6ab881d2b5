"""What a payment is, what it is worth, and whose it is: facts, claims, valuation, derivation."""

__all__ = [
    "claims",
    "credit_notes",
    "derivation",
    "details",
    "line_plans",
    "lines",
    "objects",
    "reversals",
    "sold",
]
