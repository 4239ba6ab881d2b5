"""Tells browsers of changes as they happen: Server-Sent Events on the receiver's event loop."""

__all__ = ["stream_entry", "views"]
