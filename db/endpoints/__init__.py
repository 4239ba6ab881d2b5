"""Our webhook endpoint at Stripe, how far its changes are, and what a shadow endpoint told."""

__all__ = ["changes", "own", "shadow", "shadow_differences", "shadow_reads"]
