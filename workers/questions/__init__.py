"""Asking Stripe what its events leave open: in tasks of their own, never inside a drain."""

__all__ = ["asking", "busy_retry", "fetch", "own_account", "superseded", "turn"]
