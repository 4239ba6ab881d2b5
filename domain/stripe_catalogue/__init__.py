"""What must change at Stripe so that it sells the catalogue."""

__all__ = ["actions", "plan", "remote"]
