"""Signs of life: who holds an entry and lives, and what is done when something stands still."""

__all__ = ["deafness", "identity", "pulse", "without_redis"]
