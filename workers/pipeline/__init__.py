"""The way of an event from the queues to the tables: drain, batch, apply."""

__all__ = [
    "apply",
    "batch",
    "collecting",
    "drain",
    "failure",
    "give_back",
    "prepared_event",
    "report",
    "takeover",
]
