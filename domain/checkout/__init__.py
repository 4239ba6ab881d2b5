"""What a buyer orders and where they may return to."""

__all__ = ["redirects", "selling"]
