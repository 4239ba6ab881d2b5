"""What users set out to buy, what they may buy, and what came of it."""

__all__ = [
    "checkout_lease",
    "eligibility",
    "purchases",
    "second_plans",
    "sessions",
    "superseded",
    "trials",
]
