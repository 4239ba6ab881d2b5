"""The way of an event from the queues to the tables: drain, batch, apply."""
