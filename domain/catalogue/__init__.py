"""What is sold: plans and their versions, the file they come from, what a new file changes."""

__all__ = ["changes", "features", "file", "plans"]
