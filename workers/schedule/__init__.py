"""What runs by the clock: the sweep, and the reading of Stripe's list."""

__all__ = ["reconcile", "sweep"]
