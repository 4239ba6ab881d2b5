"""Faults that end processes: SIGKILL at the worst moment, SIGTERM as a deploy does."""

import contextlib
import signal
import time
from collections.abc import Iterator

from dev.faults.product import ProductError
from dev.faults.stage import FaultError, Stage

KILL = signal.SIGKILL
# A supervisor in production gives a stopping process about this long.
DEPLOY_STOP_SECONDS_MAX = 20.0


def worker_child_mid_transaction(stage: Stage) -> None:
    """Kill a worker child that has written into its transaction and not yet committed."""
    with stage.worker_held_in_a_transaction() as held:
        held.child.kill()


def worker_child_after_commit(stage: Stage) -> None:
    """Kill a worker child whose batch is committed and still in the stream.

    Redis is told to hold writes back, so the acknowledgement waits while the commit goes through.
    """
    with stage.redis() as client:
        try:
            with stage.worker_held_in_a_transaction() as held:
                client.client_pause(2_500, all=False)
                held.let_go()
                stage.await_idle(held.backend)
                held.child.kill()
        finally:
            client.client_unpause()


def worker_child(stage: Stage) -> None:
    """Kill a worker child wherever it is."""
    children = stage.product.children("worker")
    if not children:
        raise FaultError("the worker has no children to kill")
    stage.chance.choice(children).kill()


def worker(stage: Stage) -> None:
    """Kill the worker's main process; its children go with it."""
    stage.product.main("worker").kill()


def worker_again_and_again(stage: Stage) -> None:
    """Kill the worker's main process every 1 to 4 s, mostly while it still starts."""
    for _ in range(6):
        with contextlib.suppress(ProductError):  # It is not there yet.
            stage.product.main("worker").kill()
        stage.pause(1, 4)


def receiver_before_its_answer(stage: Stage) -> None:
    """Kill the receiver between asking Redis to store and answering the sender.

    Redis is held still for a moment shorter than the receiver waits. What was asked of it
    is in its socket then, and is stored after the one who asked has died.
    """
    stage.product.signal("redis", signal.SIGSTOP)
    time.sleep(0.15)
    for process in stage.product.children("receiver"):
        process.kill()
    stage.product.signal("redis", signal.SIGCONT)


def receiver_amid_packets(stage: Stage) -> None:
    """Kill the receiver, three times, while Redis has just begun to answer packets of many."""
    for _ in range(3):
        with packets_under_way(stage):
            for process in stage.product.children("receiver"):
                process.kill()
        stage.product.await_whole()


def redis_amid_packets(stage: Stage) -> None:
    """Kill Redis, three times, when it has just begun to answer packets of many."""
    for _ in range(3):
        with packets_under_way(stage):
            stage.product.main("redis").kill()
        stage.product.await_whole()


@contextlib.contextmanager
def packets_under_way(stage: Stage) -> Iterator[None]:
    """A burst fills packets while Redis stands still; the block runs as it goes through them.

    Redis stands still for less than the receiver waits for it, and is then let go for a moment
    that follows from the seed: some entries are on disk, some answers sent.
    """
    stage.product.signal("redis", signal.SIGSTOP)
    # Every lane sends at once, and is not answered: nothing more is sent before Redis goes on.
    with stage.load.burst():
        time.sleep(0.15)
        stage.product.signal("redis", signal.SIGCONT)
        stage.pause(0, 0.003)
        yield


def receiver(stage: Stage) -> None:
    """Kill the receiver's main process; the one that serves goes with it."""
    stage.product.main("receiver").kill()


def beat(stage: Stage) -> None:
    """Kill the scheduler."""
    stage.product.main("beat").kill()


def redis_server(stage: Stage) -> None:
    """Kill Redis; it is started again within a second."""
    stage.product.main("redis").kill()


def redis_server_for_long(stage: Stage) -> None:
    """Kill Redis and keep it away for some seconds."""
    with stage.product.unattended():
        stage.product.main("redis").kill()
        stage.pause(4, 8)


def postgres_server(stage: Stage) -> None:
    """Kill PostgreSQL, leader and backends; it recovers from its log."""
    stage.product.signal("postgres", KILL)


def postgres_server_for_long(stage: Stage) -> None:
    """Kill PostgreSQL and keep it away for some seconds."""
    with stage.product.unattended():
        stage.product.signal("postgres", KILL)
        stage.pause(4, 8)


def both_servers(stage: Stage) -> None:
    """Kill Redis and PostgreSQL and keep both away: nothing may be accepted meanwhile."""
    with stage.product.unattended():
        stage.product.signal("postgres", KILL)
        stage.product.main("redis").kill()
        time.sleep(0.5)
        before = len(stage.load.accepted)
        stage.pause(2, 4)
        if len(stage.load.accepted) != before:
            raise FaultError("an event was accepted while no store was there")


def everything(stage: Stage) -> None:
    """Kill every process at once, as a power cut does."""
    with stage.product.unattended():
        for role in ("worker", "receiver", "redis", "postgres", "beat"):
            stage.product.signal(role, KILL)
        stage.pause(0.5, 2)


def deploy(stage: Stage) -> None:
    """Replace receiver, worker and scheduler one after the other by SIGTERM, as a deploy does."""
    for role in ("receiver", "worker", "beat"):
        leader = stage.product.main(role)
        began = time.monotonic()
        leader.terminate()
        stage.await_true(lambda leader=leader: not leader.is_running(), f"{role} did not stop")  # type: ignore[misc]  # A lambda's default has no type.
        if time.monotonic() - began > DEPLOY_STOP_SECONDS_MAX:
            raise FaultError(f"{role} took too long to stop")
        stage.product.await_whole()
