"""Access as the tables give it: what users hold, and who is to hear that it changed."""

__all__ = ["held", "shown", "states"]
