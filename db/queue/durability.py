"""Whether a Redis keeps what it is given: asked of the server itself, never assumed."""

from dataclasses import dataclass

import redis

# Above this share of its memory the backlog has grown far enough; the inbox takes the rest.
MEMORY_SHARE_MAX = 0.7

_WANTED = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the stream may go first, and why."""

    durable: bool
    why: str


def ask(client: redis.Redis) -> Verdict:
    """Ask Redis for its settings. Raises `redis.RedisError` or OSError when it cannot be asked."""
    try:
        # One at a time: Redis before 7 takes a single name.
        settings = {name: _setting(client, name) for name in _WANTED}
        memory = client.info("memory")
    except redis.ResponseError:
        return Verdict(durable=False, why="Redis does not tell its settings")
    for name, wanted in _WANTED.items():
        if settings[name] != wanted:
            return Verdict(durable=False, why=f"Redis has {name} not set to {wanted}")
    limit = int(memory.get("maxmemory", 0))
    if limit and int(memory.get("used_memory", 0)) > limit * MEMORY_SHARE_MAX:
        return Verdict(durable=False, why=f"Redis memory is over {MEMORY_SHARE_MAX:.0%} full")
    return Verdict(durable=True, why="Redis writes every entry to disk and evicts none")


def _setting(client: redis.Redis, name: str) -> str:
    settings = client.config_get(name)
    return str(settings.get(name, ""))
