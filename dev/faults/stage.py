"""What a fault needs: the product, chance, the load, an administrator's hand on both engines.

It leaves nothing changed: what it opens or holds ends with its block.
"""

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psutil  # type: ignore[import-untyped]  # It ships no types.
import psycopg2
import redis

from dev.faults.load import Load
from dev.faults.product import Product
from dev.faults.stripe import StandIn

WORKER_APPLICATION = "fiko-worker"
# Long enough for a helper process to start on a machine that does much else.
AWAIT_SECONDS_MAX = 40.0
POLL_SECONDS = 0.02


class FaultError(Exception):
    """A fault could not be injected as meant, so the run proves less than it says."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where faults happen; `stripe` is whom the product asks, where it may ask anybody."""

    product: Product
    load: Load
    chance: random.Random
    stripe: StandIn | None = None

    def pause(self, least_seconds: float, most_seconds: float) -> None:
        """Let the product be as it is for a time that follows from the seed."""
        time.sleep(self.chance.uniform(least_seconds, most_seconds))

    @contextlib.contextmanager
    def database(self) -> Iterator[Any]:
        """A cursor of the database's superuser; every statement is its own transaction."""
        with closing(
            psycopg2.connect(self.product.settings["DATABASE_URL"], connect_timeout=5)
        ) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor

    def redis(self) -> "closing[redis.Redis]":
        """A client of Redis, to be closed."""
        url = self.product.settings["REDIS_URL"]
        return closing(redis.Redis.from_url(url, socket_timeout=5, retry=None))

    @contextlib.contextmanager
    def redis_full(self) -> Iterator[None]:
        """Redis without room for another byte, until the block ends."""
        with self.redis() as client:
            before = str(client.config_get("maxmemory")["maxmemory"])
            client.config_set("maxmemory", "1mb")
            try:
                yield
            finally:
                client.config_set("maxmemory", before)

    def finished(self) -> int:
        """How many events have had their effect, or are known to have none."""
        with self.database() as cursor:
            cursor.execute(
                "SELECT count(*) FROM webhook_events WHERE status IN ('applied', 'ignored')"
            )
            return int(cursor.fetchone()[0])

    @contextlib.contextmanager
    def worker_held_in_a_transaction(self) -> Iterator["Held"]:
        """A worker child that has written and cannot go on, until the block ends or lets go.

        A table lock holds it, the same that a migration would take; nobody else is told.
        Raises `FaultError` when no worker comes by in time.
        """
        with closing(psycopg2.connect(self.product.settings["DATABASE_URL"])) as connection:
            with connection.cursor() as cursor:
                cursor.execute("LOCK TABLE ledger_entries IN SHARE MODE")
            backend, port = self._await_row(_BLOCKED)
            yield Held(self._owner_of(port), backend, connection.rollback)

    def await_idle(self, backend: int) -> None:
        """Wait until a backend has ended its transaction."""
        self._await_row(_IDLE, backend)

    def await_true(self, question: Callable[[], bool], what: str) -> None:
        """Wait until something holds; raises `FaultError`, naming it, when it does not."""
        deadline = time.monotonic() + AWAIT_SECONDS_MAX
        while not question():
            if time.monotonic() > deadline:
                raise FaultError(f"{what}, in {AWAIT_SECONDS_MAX:.0f} s")
            time.sleep(POLL_SECONDS)

    def _await_row(self, query: str, *values: object) -> Any:  # noqa: ANN401 - psycopg2's rows.
        row = None

        def is_there() -> bool:
            nonlocal row
            cursor.execute(query, (WORKER_APPLICATION, *values))
            row = cursor.fetchone()
            return row is not None

        with self.database() as cursor:
            self.await_true(is_there, "no worker came to the place where it was to be hit")
        return row

    def _owner_of(self, port: int) -> psutil.Process:
        for child in self.product.children("worker"):
            with contextlib.suppress(psutil.Error):
                if any(
                    connection.laddr.port == port for connection in child.net_connections("tcp")
                ):
                    return child
        raise FaultError("the worker behind a blocked transaction was not found")


@dataclass(frozen=True, slots=True)
class Held:
    """A worker child in the middle of its transaction, its backend's process id, and the key."""

    child: psutil.Process
    backend: int
    let_go: Callable[[], None]


_BLOCKED = (
    "SELECT pid, client_port FROM pg_stat_activity WHERE application_name = %s"
    " AND wait_event_type = 'Lock' AND backend_xid IS NOT NULL"
)
_IDLE = (
    "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND pid = %s AND state = 'idle'"
)
