"""Faults that leave every process alive and useless: stopped, slow, full, or in another time."""

import contextlib
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, closing

import psutil  # type: ignore[import-untyped]  # It ships no types.
import psycopg2

from dev.faults.stage import Stage

STOP_SECONDS = 10.0
# Applying so many of those that came meanwhile shows that nobody waits for Redis.
BACKLOG_EVENTS = 50
# Longer than the receiver waits for Redis.
LATE_SECONDS = 0.7
LATE_TIMES = 6
CLOCK_STEP_SECONDS = 240
CLOCK_JUMP_SECONDS = 3_600


def stopped(role: str) -> Callable[[Stage], None]:
    """A fault: SIGSTOP of a whole role for 10 s."""

    def stop(stage: Stage) -> None:
        stage.product.signal(role, signal.SIGSTOP)
        time.sleep(STOP_SECONDS)
        stage.product.signal(role, signal.SIGCONT)

    return stop


def stopped_for_good(role: str) -> Callable[[Stage], None]:
    """A fault: SIGSTOP of a whole role, which somebody has to notice and put an end to."""

    def stop(stage: Stage) -> None:
        leader = stage.product.main(role)
        stage.product.signal(role, signal.SIGSTOP)
        stage.await_true(lambda: not leader.is_running(), f"a {role} that hangs was not ended")

    return stop


def worker_child_stopped(stage: Stage) -> None:
    """Stop a worker child in the middle of a transaction, its locks held, for 10 s."""
    with stage.worker_held_in_a_transaction() as held:
        held.child.suspend()
    time.sleep(STOP_SECONDS)
    with contextlib.suppress(psutil.Error):
        held.child.resume()


def backend_stopped(stage: Stage) -> None:
    """Stop the PostgreSQL process that serves a worker, in its transaction, for 10 s."""
    with stage.worker_held_in_a_transaction() as held:
        backend = psutil.Process(held.backend)
        backend.suspend()
    time.sleep(STOP_SECONDS)
    with contextlib.suppress(psutil.Error):
        backend.resume()


def redis_slow(stage: Stage) -> None:
    """Make Redis hold every command back for some seconds."""
    with stage.redis() as client:
        client.client_pause(stage.chance.randint(2_000, 4_000))


def redis_late(stage: Stage) -> None:
    """Keep Redis from answering in time, again and again, as a slow disk does.

    Unlike one that holds commands back for whoever still waits, it does what it was told when
    nobody waits any more.
    """
    for _ in range(LATE_TIMES):
        stage.product.signal("redis", signal.SIGSTOP)
        time.sleep(LATE_SECONDS)
        stage.product.signal("redis", signal.SIGCONT)
        time.sleep(LATE_SECONDS)


def redis_full(stage: Stage) -> None:
    """Take Redis' memory away: it refuses writes. Events must be applied all the same."""
    with stage.redis_full():
        _await_progress(stage)


def _await_progress(stage: Stage) -> None:
    time.sleep(1)  # What was under way is over.
    finished = stage.finished()
    stage.await_true(
        lambda: stage.finished() > finished + BACKLOG_EVENTS,
        "nothing is applied while Redis is full",
    )


def redis_full_at_start(stage: Stage) -> None:
    """The same, and the worker is killed besides, so that it has to start without Redis."""
    worker = stage.product.main("worker")
    with stage.redis_full():
        worker.kill()
        _await_progress(stage)


def wake_ups_lost(stage: Stage) -> None:
    """Delete every message between the processes; events must not travel in them."""
    with stage.redis() as client:
        for _ in range(20):
            client.delete("billing")
            time.sleep(0.05)


def log_rewritten(stage: Stage) -> None:
    """Let Redis rewrite its file under load."""
    with stage.redis() as client:
        client.bgrewriteaof()
        time.sleep(1)


def connections_gone(stage: Stage) -> None:
    """Take every connection that PostgreSQL has to give, and cut off those in use."""
    url = stage.product.settings["DATABASE_URL"]
    with ExitStack() as held, stage.database() as admin:
        for _ in range(2):
            admin.execute(_CUT_OFF)
            with contextlib.suppress(psycopg2.OperationalError):
                while True:
                    held.enter_context(closing(psycopg2.connect(url, connect_timeout=5)))
        stage.pause(4, 7)


def database_restarted(stage: Stage) -> None:
    """Shut PostgreSQL down fast, as an operator would; every transaction is broken off."""
    stage.product.main("postgres").send_signal(signal.SIGINT)


def clock_off(stage: Stage) -> None:
    """Set the sender's clock off from the receiver's: by 4 minutes each way, then by an hour.

    The first is to be borne. The second must be refused, and what was refused comes again.
    """
    for offset in (CLOCK_STEP_SECONDS, -CLOCK_STEP_SECONDS):
        stage.load.clock_offset_seconds = offset
        before = len(stage.load.accepted)
        stage.await_true(
            lambda before=before: len(stage.load.accepted) > before,  # type: ignore[misc]  # As in crashes.
            "nothing is accepted from a clock that is four minutes off",
        )
    for offset in (CLOCK_JUMP_SECONDS, -CLOCK_JUMP_SECONDS):
        stage.load.clock_offset_seconds = offset
        time.sleep(1.5)
    stage.load.clock_offset_seconds = 0


_CUT_OFF = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE pid <> pg_backend_pid() AND application_name LIKE 'fiko%'"
)
