"""What the scheduler starts: the sweep, the reading of Stripe's list, access that ends."""

__all__ = ["access", "reconcile", "sweep"]
