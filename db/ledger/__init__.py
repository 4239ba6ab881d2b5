"""The ledger and what it is derived from: `unit_of_work.apply` is the pipeline's way in."""

__all__ = ["by_hand", "catalogue", "debits", "locks", "rederiving", "rows", "unit_of_work"]
