"""Telling destinations of changes: outgoing webhooks, and who hears them."""

__all__ = ["addresses", "deliver", "destinations", "sending"]
