"""Questions to Stripe about what its events leave open: asked by own tasks, never by a drain."""

__all__ = [
    "answering",
    "asking",
    "busy_retry",
    "fetch",
    "fetching",
    "own_account",
    "superseded",
    "turn",
]
