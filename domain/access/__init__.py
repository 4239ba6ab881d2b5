"""What a user may use: from what they hold, the catalogue, its policies and a time."""

__all__ = ["access", "holdings", "limits", "reasons", "unlocking"]
