"""A replica has what was answered: with REDIS_COPIES a lost primary takes nothing with it."""

import itertools
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from db.bodies import compress
from db.engine import make_engine
from db.queue import durability
from db.queue.copies import WAIT_SECONDS_MAX
from db.queue.stream import EventStream, connect
from domain.events import Delivery
from ingest.context import REDIS_TIMEOUT_SECONDS
from ingest.intake.durability import DurabilityCheck
from ingest.intake.intake import Intake
from tests.pipeline import empty
from tests.redis_group import Group, Member, a_group, await_true

PACKET = 10
# Longer than a packet takes that waits for nobody, on a machine that does much else.
SLOW_SECONDS = WAIT_SECONDS_MAX * 2 / 3


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """The inbox, empty."""
    made = make_engine(database_url, pool_size=2)
    empty(made)
    yield made
    made.dispose()


@dataclass
class Receiver:
    """An intake that is told of events, and remembers what it has answered."""

    intake: Intake
    engine: Engine
    answered: set[str] = field(default_factory=set)
    slow: int = 0
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def receive(self, packets: int, *, pause_seconds: float = 0.0) -> None:
        """Take so many packets, one after the other."""
        for _ in range(packets):
            deliveries = [
                Delivery(f"evt_{next(self._numbers)}", "invoice.paid", 1, 2, compress(b"{}"))
                for _ in range(PACKET)
            ]
            began = time.monotonic()
            outcomes = self.intake.accept_each(deliveries)
            self.slow += time.monotonic() - began > SLOW_SECONDS
            self.answered |= {
                delivery.event_id
                for delivery, store in zip(deliveries, outcomes, strict=True)
                if store
            }
            time.sleep(pause_seconds)

    def in_inbox(self) -> set[str]:
        """The ids of the events in the inbox."""
        with self.engine.connect() as connection:
            return set(connection.execute(text("SELECT id FROM webhook_events")).scalars())

    def lost(self, survivor: Member) -> set[str]:
        """What was answered and is nowhere any more."""
        return self.answered - survivor.event_ids() - self.in_inbox()


@contextmanager
def a_receiver(server: Member, engine: Engine, copies: int) -> Iterator[Receiver]:
    """A receiver at this server."""
    timeout_seconds = REDIS_TIMEOUT_SECONDS + WAIT_SECONDS_MAX
    with closing(connect(server.url, timeout_seconds=timeout_seconds)) as client:
        intake = Intake(
            stream=EventStream(client, copies=copies),
            durability=DurabilityCheck(client, "auto", copies=copies),
            engine=engine,
            send_wake_up=lambda: None,
        )
        yield Receiver(intake, engine)


def stalled_then_lost(group: Group, engine: Engine, copies: int) -> tuple[Receiver, set[str]]:
    """The link to the replica stalls for two seconds of traffic, then the primary is lost."""
    with a_receiver(group.primary, engine, copies) as receiver:
        receiver.receive(20)
        assert len(receiver.answered) == 20 * PACKET
        assert group.replicas[0].event_ids()
        group.links[0].stall()
        receiver.receive(45, pause_seconds=0.05)
        group.primary.kill()
        return receiver, receiver.lost(group.promote())


def test_a_stalled_replica_and_a_lost_primary_lose_nothing(tmp_path: Path, engine: Engine) -> None:
    """What the replica has not confirmed is in the inbox, and no packet after the first waits."""
    with a_group(tmp_path) as group:
        receiver, lost = stalled_then_lost(group, engine, copies=1)
    assert lost == set()
    assert len(receiver.answered) == 65 * PACKET
    # One when it stalls, one after each pause that ended before the primary knew of it; and some
    # that waited for nothing but a machine that does much else.
    assert receiver.slow <= 10


def test_without_copies_the_same_fault_is_a_loss(tmp_path: Path, engine: Engine) -> None:
    """So the test above can fail."""
    with a_group(tmp_path) as group:
        receiver, lost = stalled_then_lost(group, engine, copies=0)
    assert len(receiver.answered) == 65 * PACKET
    assert len(lost) > 300


@pytest.mark.parametrize(("copies", "is_kept"), [(1, True), (0, False)])
def test_a_primary_that_returns_gets_no_event_to_itself(
    tmp_path: Path, engine: Engine, copies: int, *, is_kept: bool
) -> None:
    """For a while there are two primaries; then the old one is made a replica and is wiped."""
    with a_group(tmp_path) as group, a_receiver(group.primary, engine, copies) as receiver:
        receiver.receive(5)
        group.primary.kill()
        promoted = group.promote()
        receiver.receive(5)
        group.primary.start()
        await_true(lambda: group.primary.event_ids() != set(), "the old primary is back")
        time.sleep(1.1)  # Until the breaker tries it again.
        receiver.receive(40)
        group.primary.order("REPLICAOF", "127.0.0.1", promoted.address.port)
        await_true(group.primary.is_copying, "the old primary has not become a replica")
        lost = receiver.lost(promoted)
    assert len(receiver.answered) == 50 * PACKET
    assert (lost == set()) is is_kept
    assert is_kept or len(lost) > 300


def test_a_replica_that_is_back_is_waited_for_again(tmp_path: Path, engine: Engine) -> None:
    """The stream goes first again a few seconds later, by itself."""
    with a_group(tmp_path) as group, a_receiver(group.primary, engine, 1) as receiver:
        group.replicas[0].suspend()
        receiver.receive(50, pause_seconds=0.05)
        assert receiver.in_inbox()
        group.replicas[0].resume()

        def is_in_both() -> bool:
            receiver.receive(1)
            newest = f"evt_{len(receiver.answered) - 1}"
            return newest in group.replicas[0].event_ids()

        await_true(is_in_both, "the stream is not used again")


def test_a_replica_that_does_not_write_to_disk_is_no_copy(tmp_path: Path, engine: Engine) -> None:
    """It has the events in memory only, and the server can tell."""
    with (
        a_group(tmp_path, more="appendonly no\n") as group,
        a_receiver(group.primary, engine, 1) as receiver,
    ):
        receiver.receive(1)
        assert receiver.in_inbox() == receiver.answered
        assert len(receiver.answered) == PACKET


def test_the_durability_check_asks_role_and_replicas(tmp_path: Path) -> None:
    """One replica is one copy, and a replica is no primary."""
    with a_group(tmp_path) as group, group.primary.client() as client:
        assert durability.ask(client, copies=1).durable
        verdict = durability.ask(client, copies=2)
        assert (verdict.durable, verdict.passes) == (False, True)
        assert verdict.why == "REDIS_COPIES is 2, and 1 replicas are live"
        [replica] = durability.replicas(client)
        assert replica.port == group.replicas[0].address.port
        with group.replicas[0].client() as other:
            verdict = durability.ask(other)
        assert (verdict.durable, verdict.passes) == (False, True)
