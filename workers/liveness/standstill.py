"""Keeps events moving when nothing else does: the broker is away or hangs, or beat is gone.

A thread of the worker's main process looks every few seconds. Sweeps that run are a sign that
scheduler, broker and workers are well, and then it looks no further. Else it looks for what waits
in the stream and the inbox. When the same has waited for seconds and nothing moved meanwhile, or
Redis takes no writes, the thread runs the command `drain_inbox`, whatever the reason. That is a
process of its own, because the pool's processes are forked from this one and must not share its
connections. Several workers may do so at once, because each entry and row goes to one of them.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import redis
from sqlalchemy.exc import SQLAlchemyError

import settings
import telemetry
from db.engine import make_engine
from db.queue import movement, stream
from db.queue.heartbeat import Heartbeat
from db.queue.stream import EventStream

INTERVAL_SECONDS = 2.0
# One failed probe may be a hiccup.
SILENCES_MIN = 2
# A batch may take as long, and no sweep be in time, on a machine that is busy and well.
STILL_SECONDS_MIN = 5.0

log = telemetry.get_logger("standstill")

_MANAGE = Path(__file__).resolve().parents[2] / "manage.py"


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen at one look.

    `mark` stays the same for as long as the same waits and nothing moves; it is None while nothing
    waits, or things move. `is_away` says that Redis takes no writes.
    """

    mark: movement.Mark | None = None
    is_away: bool = False


class Standstill:
    """Tells from one sight after the other when nothing moves any more, and why."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what was seen."""
        self._silences = 0
        self._mark: movement.Mark | None = None
        self._since = 0.0

    def reason(self, sight: Sight) -> str | None:
        """Why to drain without the broker now; None where there is no reason."""
        self._silences = self._silences + 1 if sight.is_away else 0
        if self._silences >= SILENCES_MIN:
            return "redis takes no writes"
        if sight.is_away:
            return None
        if sight.mark is None or sight.mark != self._mark:
            self._mark, self._since = sight.mark, self._clock()
            return None
        is_long = self._clock() - self._since >= STILL_SECONDS_MIN
        return "events wait and nothing moves" if is_long else None


class Lookout:
    """Looks at Redis, and where no sweep runs at both queues."""

    def __init__(self, configured: settings.Settings) -> None:
        client = stream.connect(configured.redis_url)
        self._client = client
        self._events = EventStream(client)
        self._heartbeat = Heartbeat(client)
        self._beat: int | None = None
        # Kept: to connect costs both sides more than all that a worker does at rest. Of the pool's
        # processes, which are forked from this one at any time, none uses it.
        self._engine = make_engine(configured, pool_size=1, application_name="fiko-standstill")

    def look(self) -> Sight:
        """What is to be seen now."""
        if not self._events.takes_writes():
            return Sight(is_away=True)
        try:
            before, self._beat = self._beat, self._heartbeat.last()
            if self._beat != before:
                return Sight()
            return Sight(movement.of_stream(self._client) or self._in_inbox())
        except (redis.RedisError, OSError):
            return Sight(is_away=True)

    def _in_inbox(self) -> movement.Mark | None:
        try:
            with self._engine.connect() as connection:
                return movement.of_inbox(connection)
        except SQLAlchemyError:
            return None  # Without the database nothing could be drained.


def wait_for_redis(run_drain: Callable[[], object]) -> None:
    """Call `run_drain`, which returns when Redis is back, where Redis takes no writes now.

    Celery cannot start without Redis. Call this before Celery forks; it leaves no connection open.
    """
    with closing(stream.connect(settings.load(needs=("redis_url",)).redis_url)) as client:
        is_there = EventStream(client).takes_writes()
    if not is_there:
        run_drain()


def start_watch() -> None:
    """Start the thread that looks; it ends with the process.

    Call it before Celery starts, which waits for its broker as long as that takes.
    """
    lookout = Lookout(settings.load(needs=("database_url", "redis_url")))
    threading.Thread(
        target=watch,
        args=(lookout.look, lambda reason: drain_aside(reason, until="sweeps")),
        name="standstill",
        daemon=True,
    ).start()


def watch(
    look: Callable[[], Sight],
    run_drain: Callable[[str], object],
    *,
    interval_seconds: float = INTERVAL_SECONDS,
    stop: threading.Event | None = None,
    standstill: Standstill | None = None,
) -> None:
    """Call `run_drain`, which returns when others do the work again, whenever nothing moves."""
    stopped = stop or threading.Event()
    seen = standstill or Standstill()
    while not stopped.wait(interval_seconds):
        if reason := seen.reason(look()):
            run_drain(reason)
            seen.begin_anew()


def drain_aside(reason: str, *, until: str) -> None:
    """Run `drain_inbox` in a process of its own; return when it has ended.

    It ends when Redis takes writes again, or (`until` is `sweeps`) when sweeps run again too, or
    (`once`) when nothing is left.
    """
    log.warning("events are drained without the broker", reason=reason)
    subprocess.run(  # noqa: S603 - ours.
        [sys.executable, str(_MANAGE), *("drain_inbox", "--until", until), *_own_pid()],
        check=False,
    )
    log.info("the drain without the broker is over")


def _own_pid() -> tuple[str, str]:
    """Whose end is the end of the drain too."""
    return "--parent", str(os.getpid())


def until_back(
    is_back: Callable[[], bool],
    drain_once: Callable[[], object],
    *,
    interval_seconds: float = INTERVAL_SECONDS,
) -> None:
    """Drain again and again until all is well, and then once more.

    The last drain is for what waits in Redis, because Celery takes longer to come back.
    """
    while not is_back():
        drain_once()
        time.sleep(interval_seconds)
    drain_once()


class Return:
    """Whether all that a drain aside stands in for is back; ask at a steady interval."""

    def __init__(
        self, events: EventStream, heartbeat: Heartbeat, *, until: str, parent: int | None = None
    ) -> None:
        """`parent` is the process whose end is the end of this too."""
        self._events = events
        self._heartbeat = heartbeat
        self._until = until
        self._first: int | None = None
        self._parent = parent

    def is_complete(self) -> bool:
        """Redis takes writes and, where that is wanted, a sweep has run since the first time.

        It is over as well when the worker that began this has ended.
        """
        if self._until == "once":
            return True
        if self._parent is not None and os.getppid() != self._parent:
            return True
        if not self._events.takes_writes():
            return False
        return self._until != "sweeps" or self._has_swept()

    def _has_swept(self) -> bool:
        try:
            last = self._heartbeat.last()
        except (redis.RedisError, OSError):
            return False
        if self._first is None:
            # Nobody may have swept ever; then the first one is news.
            self._first = last or 0
        return (last or 0) != self._first
