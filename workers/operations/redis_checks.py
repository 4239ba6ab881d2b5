"""What `doctor` says of Redis: whether it keeps what it is given, in how many copies."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import redis
from sqlalchemy import Engine

from db.operations import redis_seen
from db.queue import durability, servers, stream
from db.queue.durability import Replica, Verdict
from settings import Settings
from workers.operations.findings import Finding, Level

# Enough for a replica on another continent; `doctor` is run by a person who waits.
_REPLICA_TIMEOUT_SECONDS = 2.0
# Every restart is a change, and without a key nobody can say that it cost nothing.
_TOLD_FOR = timedelta(days=3)
_DISK = {"appendonly": "yes", "appendfsync": "always"}


def look(client: redis.Redis, settings: Settings) -> list[Finding]:
    """The findings about this Redis; raises `redis.RedisError` or OSError where it is away."""
    verdict = durability.ask(client, copies=settings.redis_copies)
    findings = [_of_primary(verdict, settings)]
    if not verdict.is_unfit:
        findings += _of_replicas(durability.replicas(client), settings)
    return findings


def history(engine: Engine, settings: Settings) -> list[Finding]:
    """Whether another Redis took over, and Stripe has not been asked what that one lacks."""
    with engine.connect() as connection:
        change = redis_seen.last_change(connection)
    if change is None or change.is_reread or datetime.now(UTC) - change.at > _TOLD_FOR:
        return []
    says = f"another took over at {change.at:%Y-%m-%d %H:%M} UTC, and may lack events"
    cure = "Stripe's list is read by itself; without a worker and `beat` nobody reads it"
    if not settings.stripe_secret_key:
        cure = "set STRIPE_SECRET_KEY, with which Stripe's list is read, or resend them at Stripe"
    return [Finding("redis", Level.WARN, says, cure)]


def _of_primary(verdict: Verdict, settings: Settings) -> Finding:
    if verdict.durable:
        return Finding("redis", Level.OK, verdict.why)
    if verdict.is_unfit:
        cure = "name a server without cluster mode, or Sentinels (redis+sentinel://)"
        return Finding("redis", Level.FAIL, f"{verdict.why}; nothing in it is applied", cure)
    level = Level.FAIL if settings.intake == "stream" else Level.WARN
    cure = "set appendonly yes, appendfsync always, maxmemory-policy noeviction"
    if verdict.passes:
        cure = "see INFO replication of the server that REDIS_URL leads to"
    return Finding("redis", level, f"{verdict.why}; events go to the inbox first", cure)


def _of_replicas(replicas: list[Replica], settings: Settings) -> Iterator[Finding]:
    if replicas and not settings.redis_copies:
        says = f"{len(replicas)} replicas, none of which is waited for (REDIS_COPIES is 0)"
        cure = "set REDIS_COPIES=1, or what was answered last is lost with the primary"
        yield Finding("redis copies", Level.WARN, says, cure)
    if settings.redis_copies:
        for replica in replicas:
            yield _of_replica(replica, settings)


def _of_replica(replica: Replica, settings: Settings) -> Finding:
    name = f"replica {replica.host}:{replica.port}"
    if not replica.is_live:
        cure = "start it, or see why it lags"
        return Finding("redis copies", Level.WARN, f"{name} is not live", cure)
    url = servers.url_of_server(settings.redis_url, replica.host, replica.port)
    try:
        with closing(stream.connect(url, timeout_seconds=_REPLICA_TIMEOUT_SECONDS)) as client:
            wrong = [
                f"{setting} {wanted}"
                for setting, wanted in _DISK.items()
                if client.config_get(setting).get(setting) != wanted
            ]
    except redis.ResponseError:
        says = f"{name} does not tell its settings"
        return Finding("redis copies", Level.WARN, says, f"see that it has {_wanted()}")
    except (redis.RedisError, OSError) as error:
        says = f"{name} cannot be asked from here ({type(error).__name__})"
        return Finding("redis copies", Level.WARN, says, f"see that it has {_wanted()}")
    if wrong:
        says = f"{name} does not write every copy to disk before it confirms"
        return Finding("redis copies", Level.FAIL, says, f"set {' and '.join(wrong)} there")
    return Finding("redis copies", Level.OK, f"{name} writes every copy to disk")


def _wanted() -> str:
    return " and ".join(f"{name} {value}" for name, value in _DISK.items())
