"""What the scheduler starts: sweep, reading Stripe's list, a look at Redis, access, pruning."""

__all__ = ["access", "prune", "reconcile", "redis_change", "sweep"]
