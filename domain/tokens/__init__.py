"""What the ledger must say: entries for payments, corrections by hand."""

__all__ = ["adjustments", "entries"]
