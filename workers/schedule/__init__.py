"""What the scheduler starts: the sweep, and the reading of Stripe's list of events."""

__all__ = ["reconcile", "sweep"]
