"""Connections to PostgreSQL: their limits and deadline, which server is believed, what is prepared."""

__all__ = ["copies", "guard", "limits", "prepared", "timelines", "watched"]
