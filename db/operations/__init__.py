"""What operators ask of the tables: audits, rebuilds, replays, stories, health."""

__all__ = [
    "audit",
    "differences",
    "explain",
    "fact_tables",
    "health",
    "loose_ends",
    "rebuild",
    "rebuild_plan",
    "reconcile",
    "replay",
    "subscription_check",
]
