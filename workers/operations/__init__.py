"""What operators' commands do: they get the stores and Stripe's client as arguments."""

__all__ = [
    "account_checks",
    "api_version",
    "audit",
    "by_hand",
    "catalogue_sync",
    "doctor",
    "explain",
    "findings",
    "rebuild",
    "replay",
    "reverify",
    "subscription_check",
    "wording",
]
