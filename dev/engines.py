"""The embedded engines, by the name under which the rest of the project imports them."""

from dev.engine import Engine, EngineError
from dev.postgres import PostgresEngine
from dev.valkey import ValkeyEngine

__all__ = ["Engine", "EngineError", "PostgresEngine", "ValkeyEngine"]
