"""What a buyer orders and where they may return to."""

__all__ = ["order", "redirects"]
