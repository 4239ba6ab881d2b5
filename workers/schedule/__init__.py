"""What the scheduler starts: sweep, reading of Stripe's list, a look at Redis, access that ends."""

__all__ = ["access", "reconcile", "redis_change", "sweep"]
