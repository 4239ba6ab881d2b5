"""Whether a Redis keeps what it is given: asked of the server itself, never assumed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis

# Above this share of its memory the backlog has grown far enough; the inbox takes the rest.
MEMORY_SHARE_MAX = 0.7

# A replica that is well tells once a second how far it is.
REPLICA_SILENCE_SECONDS_MAX = 2

_WANTED = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
_UNTOLD = "Redis does not tell its settings"
_REPLICA = re.compile(r"slave\d+")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the stream may go first, and why.

    `passes` says that replicas alone are missing, which may be back in a moment. `is_unfit`, that
    no setting would make this server one for us.
    """

    durable: bool
    why: str
    passes: bool = False
    is_unfit: bool = False


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica as its primary sees it."""

    host: str
    port: int
    is_live: bool


def ask(client: redis.Redis, *, copies: int = 0) -> Verdict:
    """Ask Redis for its settings, its role and its replicas, of which `copies` must be there.

    Raises `redis.RedisError` or OSError when it cannot be asked.
    """
    try:
        # One at a time: Redis before 7 takes a single name.
        settings = {name: _setting(client, name) for name in _WANTED}
        memory, cluster = client.info("memory"), client.info("cluster")
        replication = client.info("replication")
    except redis.ResponseError:
        return Verdict(durable=False, why=_UNTOLD)
    if int(cluster.get("cluster_enabled", 0)):
        why = "Redis runs in cluster mode (cluster_enabled:1), in which Celery cannot work"
        return Verdict(durable=False, why=why, is_unfit=True)
    return _settings_verdict(settings, memory) or _copies_verdict(replication, copies)


def replicas(client: redis.Redis) -> list[Replica]:
    """The replicas that a primary has. Raises as `ask` does."""
    return _replicas(client.info("replication"))


def _settings_verdict(settings: Mapping[str, str], memory: Mapping[str, Any]) -> Verdict | None:
    for name, wanted in _WANTED.items():
        if settings[name] != wanted:
            return Verdict(durable=False, why=f"Redis has {name} not set to {wanted}")
    limit = int(memory.get("maxmemory", 0))
    if limit and int(memory.get("used_memory", 0)) > limit * MEMORY_SHARE_MAX:
        return Verdict(durable=False, why=f"Redis memory is over {MEMORY_SHARE_MAX:.0%} full")
    return None


def _copies_verdict(replication: Mapping[str, Any], copies: int) -> Verdict:
    role = replication.get("role")
    if role is None:
        return Verdict(durable=False, why=_UNTOLD)
    if role != "master":
        why = "Redis is a replica, which takes no writes"
        return Verdict(durable=False, why=why, passes=True)
    why = "Redis writes every entry to disk and evicts none"
    if not copies:
        return Verdict(durable=True, why=why)
    live = sum(replica.is_live for replica in _replicas(replication))
    if live < copies:
        why = f"REDIS_COPIES is {copies}, and {live} replicas are live"
        return Verdict(durable=False, why=why, passes=True)
    # How many more there are is left out: it would be news whenever one comes or goes.
    return Verdict(durable=True, why=f"{why}, {copies} replicas confirm")


def _replicas(replication: Mapping[str, Any]) -> list[Replica]:
    told = [value for name, value in replication.items() if _REPLICA.fullmatch(name)]
    return [
        Replica(
            host=str(each["ip"]),
            port=int(each["port"]),
            is_live=each.get("state") == "online"
            and int(each.get("lag", 0)) <= REPLICA_SILENCE_SECONDS_MAX,
        )
        for each in told
    ]


def _setting(client: redis.Redis, name: str) -> str:
    settings = client.config_get(name)
    return str(settings.get(name, ""))
