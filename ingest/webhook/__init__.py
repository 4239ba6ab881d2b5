"""The receiver: a signed event is checked, stored and answered."""

__all__ = ["entry", "webhook"]
