"""Loses one machine after the other of a product that runs on many, and counts what came of it.

Each machine has an address of its own and processes that are lost together. Real Valkeys with
Sentinels, PostgreSQLs with standbys, RabbitMQs, receivers, workers, schedulers; the load and the
judges are those of `dev.faults`. Never imported by anything that runs in production.
"""

__all__ = ["enclosure", "rabbits"]
