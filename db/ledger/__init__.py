"""One transaction of the pipeline: locks, what is known, what is written; catalogue and debits."""

__all__ = ["by_hand", "catalogue", "debits", "records", "unit_of_work"]
