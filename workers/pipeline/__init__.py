"""The way of an event from the queues to the tables: drain, batch, apply."""

__all__ = [
    "apply",
    "batch",
    "drain",
    "failure",
    "give_back",
    "prepared_event",
    "report",
    "takeover",
]
