"""Connections to PostgreSQL: limits, deadlines, which server is believed, what is prepared."""

__all__ = ["copies", "guard", "limits", "prepared", "timelines", "watched"]
