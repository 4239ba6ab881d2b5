"""Where a contestant keeps things: a database with its tables, and a Redis of the same owner.

Everything here is asked of the tables from outside, so that it holds for another checkout of the
product too.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psycopg2
import redis

from db.queue.stream import WAKE_UP
from sandbox.simulate.engine import Event

ROOT = Path(__file__).resolve().parents[1]
REWRITE_SECONDS_MAX = 30.0
POLL_SECONDS = 0.05
_REWRITES = ("aof_rewrite_in_progress", "aof_rewrite_scheduled")


class StandError(Exception):
    """What is measured did not start or did not do its work; the text is for a person."""


class Store(Protocol):
    """What a contestant of `whole` keeps its effects in, whoever's tables they are."""

    def empty(self) -> None:
        """Forget every event and effect."""

    def applied(self) -> int | None:
        """How many events had their effect; None where whatever was answered has had it."""

    def require_applied(self, chosen: Sequence[Event]) -> None:
        """Raise `StandError` unless each of these, and nothing else, had its effect."""

    def committed(self) -> Mapping[str, float]:
        """When each effect was there for others to see, as Unix time by event id, if known."""


@dataclass(frozen=True, slots=True)
class Place:
    """A database with the product's tables and the sample catalogue, and a Redis.

    `root` is the checkout whose code works here: this one, or one that is measured beside it.
    """

    database_url: str
    redis_url: str
    root: Path = ROOT

    @contextmanager
    def cursor(self) -> Iterator[psycopg2.extensions.cursor]:
        """A cursor whose statements each stand alone."""
        plain = self.database_url.replace("+psycopg2", "", 1)
        with closing(psycopg2.connect(plain)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor

    @contextmanager
    def redis(self) -> Iterator[redis.Redis]:
        """A client with time enough for anything."""
        with closing(redis.Redis.from_url(self.redis_url, socket_timeout=60)) as client:
            yield client

    def empty(self) -> None:
        """Forget every event and effect; the catalogue stays, and what there is one row of."""
        with self.cursor() as cursor:
            cursor.execute(_TABLES, (list(KEPT),))
            tables = ", ".join(f'"{row[0]}"' for row in cursor.fetchall())
            # The ledger lets nobody truncate it, so its triggers are not asked.
            cursor.execute(f"SET session_replication_role = replica; TRUNCATE {tables}")
        with self.redis() as client:
            # Not all of it: the scheduler's lock and Celery's bindings are to stay.
            client.delete(*streams(client), WAKE_UP, CELERY_QUEUE)

    def compact(self) -> None:
        """Have Redis write its file anew now: amid a measurement that would be felt.

        Raises `StandError` where it does not end.
        """
        deadline = time.monotonic() + REWRITE_SECONDS_MAX
        with self.redis() as client:
            _await_rewrite(client, deadline)
            client.bgrewriteaof()
            _await_rewrite(client, deadline)

    def applied(self) -> int:
        """How many events had their effect."""
        return self.number("SELECT count(*) FROM webhook_events WHERE applied_at IS NOT NULL")

    def require_applied(self, chosen: Sequence[Event]) -> None:
        """Raise `StandError` unless the inbox has just these, each of them applied."""
        with self.cursor() as cursor:
            cursor.execute("SELECT status, count(*) FROM webhook_events GROUP BY status")
            found = {str(status): int(count) for status, count in cursor.fetchall()}
        if found != {"applied": len(chosen)}:
            raise StandError(f"{len(chosen)} events should be applied; the inbox has {found}")

    def committed(self) -> Mapping[str, float]:
        """When the effect of each event was there for others to see, as Unix time, by id."""
        with self.cursor() as cursor:
            cursor.execute(_COMMITTED)
            return {str(event_id): float(at) for event_id, at in cursor.fetchall()}

    def ignored_types(self) -> frozenset[str]:
        """The types that whoever works here stored without an effect."""
        with self.cursor() as cursor:
            cursor.execute("SELECT DISTINCT type FROM webhook_events WHERE status = 'ignored'")
            return frozenset(str(row[0]) for row in cursor.fetchall())

    def number(self, query: str) -> int:
        """What a query counts."""
        with self.cursor() as cursor:
            cursor.execute(query)
            row = cursor.fetchone()
            return int(row[0]) if row else 0


def _await_rewrite(client: redis.Redis, deadline: float) -> None:
    while any(client.info("persistence")[name] for name in _REWRITES):
        if time.monotonic() > deadline:
            raise StandError("Redis did not end the rewriting of its file")
        time.sleep(POLL_SECONDS)


def streams(client: redis.Redis) -> list[bytes]:
    """The names of the streams in a Redis; whose code made them, and how it calls them, is open."""
    return list(client.scan_iter("billing:*", _type="stream"))


CELERY_QUEUE = "celery"
# What events neither make nor change.
KEPT = frozenset(
    {
        *("alembic_version", "plans", "plan_prices", "prices_without_tokens", "stripe_prices"),
        *("catalogue_revision", "reconcile_progress", "stripe_turn", "own_account"),
    }
)

_TABLES = """
SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> ALL(%s)
"""
_COMMITTED = """
SELECT id, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8
FROM webhook_events WHERE applied_at IS NOT NULL
"""
