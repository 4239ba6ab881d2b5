"""The embedded engines, by the name under which the rest of the project imports them."""

from dev.up.engine import Engine
from dev.up.errors import EngineError
from dev.up.postgres import PostgresEngine
from dev.up.standby import StandbyEngine
from dev.up.valkey import ValkeyEngine

__all__ = ["Engine", "EngineError", "PostgresEngine", "StandbyEngine", "ValkeyEngine"]
