"""What users and their apps are told of changes: written with the change, read by who tells it."""

__all__ = ["changes", "deliveries", "destinations", "hints", "messages", "pruning"]
