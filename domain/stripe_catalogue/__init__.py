"""What must change at Stripe so that it sells the catalogue."""

__all__ = ["catalogue_sync", "stripe_catalogue", "sync_actions"]
