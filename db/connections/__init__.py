"""Connections to PostgreSQL: their limits, their deadline, and which server is believed."""

__all__ = ["copies", "guard", "limits", "timelines", "watched"]
