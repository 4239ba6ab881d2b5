"""Our webhook endpoint at Stripe: made, checked, rotated, upgraded; and what the key may do."""

__all__ = [
    "checking",
    "comparing",
    "key",
    "making",
    "mending",
    "remote",
    "rotation",
    "second",
    "upgrade",
]
