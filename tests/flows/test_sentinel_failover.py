"""The primary dies and Sentinels name another: receiver, worker, scheduler go on by themselves."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import orjson
import pytest
from sqlalchemy import Engine, text

import settings
from db.bodies import compress
from db.engine import make_engine
from domain.events import Delivery
from ingest.context import open_context
from ingest.intake.intake import Intake, NotStoredError
from tests.ingest.builders import ENVIRONMENT
from tests.pipeline import empty
from tests.redis_group import Member, a_group, await_true

ROOT = Path(__file__).resolve().parents[2]
PAUSE_SECONDS = 0.02
RESTART_SECONDS = 0.5
# Down for 1 s, an election, a promotion, the longest pause of the receiver's breaker, and as much
# again on a machine that does much else.
FAILOVER_SECONDS_MAX = 25.0
DELAY_SECONDS_MAX = 30.0


class Supervised:
    """A worker or the scheduler in a process of its own, started again whenever it ends."""

    def __init__(self, role: str, variables: dict[str, str]) -> None:
        self._command = [sys.executable, str(ROOT / "manage.py"), role]
        self._environment = {"PATH": os.environ["PATH"], "HOME": "/", "PYTHONPATH": str(ROOT)}
        self._environment |= variables
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(RESTART_SECONDS):
            process = subprocess.Popen(self._command, env=self._environment)
            while process.poll() is None and not self._is_over.wait(0.1):
                pass
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Sender:
    """Sends one event after the other, and remembers where each was stored and when."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.stores: dict[str, str] = {}

    def send(self) -> str | None:
        """One event of a type that we do not handle; where it went."""
        event_id = f"evt_{time.time_ns()}"
        event = {"id": event_id, "object": "event", "type": "price.created", "created": 1}
        body = compress(orjson.dumps(event | {"data": {"object": {"id": "price_1"}}}))
        received_ms = int(time.time() * 1000)
        with contextlib.suppress(NotStoredError):
            delivery = Delivery(event_id, "price.created", 1, received_ms, body)
            self.stores[event_id] = self._intake.accept(delivery)
        return self.stores.get(event_id)

    def send_until_in_stream(self, seconds_max: float) -> None:
        """Send until the stream takes them, and for a moment longer."""
        deadline = time.monotonic() + seconds_max
        in_a_row = 0
        while in_a_row < 50:
            assert time.monotonic() < deadline, Counter(self.stores.values())
            in_a_row = in_a_row + 1 if self.send() == "stream" else 0
            time.sleep(PAUSE_SECONDS)


def finished(engine: Engine) -> dict[str, float]:
    """Every event that is done with, and how long that took."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT id, CAST(extract(epoch FROM applied_at - received_at) AS float8) AS took"
                " FROM webhook_events WHERE applied_at IS NOT NULL"
            )
        )
        return {row.id: row.took for row in rows}


@pytest.mark.faults
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("lose", "find_again"),
    [(Member.kill, Member.start), (Member.suspend, Member.resume)],
    ids=["killed", "frozen"],
)
def test_a_failover_needs_nobody(
    database_url: str,
    tmp_path: Path,
    lose: Callable[[Member], None],
    find_again: Callable[[Member], None],
) -> None:
    """What was answered is applied, before and after, and in the stream again soon."""
    engine = make_engine(database_url, pool_size=1)
    empty(engine)
    with a_group(tmp_path, replicas=2, sentinels=3) as group, ExitStack() as stack:
        variables = ENVIRONMENT | {
            "DATABASE_URL": database_url.replace("+psycopg2", ""),
            "REDIS_URL": group.url,
            "REDIS_COPIES": "1",
        }
        stack.enter_context(Supervised("worker", variables))
        stack.enter_context(Supervised("beat", variables))
        context = open_context(settings.load(environ=variables))
        stack.callback(context.engine.dispose)
        stack.callback(context.redis.close)
        sender = Sender(context.intake)
        sender.send_until_in_stream(FAILOVER_SECONDS_MAX)
        await_true(lambda: finished(engine).keys() == sender.stores.keys(), "nothing is applied")
        lose(group.primary)
        sender.send_until_in_stream(FAILOVER_SECONDS_MAX)
        # Its old data must count for nothing, and as a replica it takes no events.
        find_again(group.primary)
        sender.send_until_in_stream(FAILOVER_SECONDS_MAX)
        await_true(lambda: finished(engine).keys() == sender.stores.keys(), "not all was applied")
        await_true(group.primary.is_copying, "the old primary has not become a replica")
    took = finished(engine)
    engine.dispose()
    assert Counter(sender.stores.values())["inbox"] > 0
    assert max(took.values()) < DELAY_SECONDS_MAX
