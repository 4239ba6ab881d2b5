"""One transaction of the pipeline: locks, what is known, what is written; catalogue and debits."""

__all__ = ["by_hand", "catalogue", "debits", "rows", "unit_of_work"]
