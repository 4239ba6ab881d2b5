"""The checkout service: a session, its status, the customer portal; asks Stripe in time."""

__all__ = ["portal", "status", "stripe_errors", "views"]
