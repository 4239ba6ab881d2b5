"""The receiver: a signed event is checked, stored and answered."""

__all__ = ["fast_path", "receiver", "webhook_problems"]
