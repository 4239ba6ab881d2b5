"""What operators run, with the stores and Stripe in hand."""

__all__ = [
    "audit",
    "by_hand",
    "catalogue_sync",
    "doctor",
    "explain",
    "rebuild",
    "replay",
    "subscription_check",
    "wording",
]
