"""What operators ask of the tables: audits, rebuilds, replays, stories, health."""

__all__ = [
    "audit",
    "customers",
    "differences",
    "explain",
    "fact_tables",
    "health",
    "loose_ends",
    "rebuild",
    "rebuild_plan",
    "reconcile",
    "redis_seen",
    "replay",
    "signatures",
    "subscription_check",
]
