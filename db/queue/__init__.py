"""Where events wait and what became of them: the stream, the inbox, attempts, pauses."""

__all__ = [
    "attempts",
    "backlog",
    "copies",
    "deliveries",
    "durability",
    "formats",
    "heartbeat",
    "inbox",
    "inbox_reads",
    "inbox_rows",
    "leases",
    "loop_stream",
    "movement",
    "pauses",
    "servers",
    "stream",
]
