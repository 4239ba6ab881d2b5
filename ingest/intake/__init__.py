"""Where an event is stored: the stream first, the inbox second."""

__all__ = ["durability", "group_commit", "intake", "wake_up"]
