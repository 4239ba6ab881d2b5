"""What Stripe reported of subscriptions, and which report stands."""

__all__ = ["comparison", "simulated", "states", "versions"]
