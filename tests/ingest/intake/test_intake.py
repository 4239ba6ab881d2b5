"""The intake: which store goes first, what happens when one fails, how long it is left alone."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis

from db.bodies import compress
from db.queue.stream import Appended, EventStream
from domain.events import Delivery
from ingest.intake.circuit_breaker import Breaker
from ingest.intake.durability import CHECK_EVERY_SECONDS, DurabilityCheck
from ingest.intake.intake import Intake, NotStoredError
from tests.ingest.conftest import Stores

DURABLE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: float = 0.0

    def __call__(self) -> float:
        """The time in seconds."""
        return self.now


@dataclass
class TalkativeRedis:
    """The part of Redis that tells its settings."""

    settings: dict[str, str] = field(default_factory=lambda: dict(DURABLE))
    memory: dict[str, int] = field(default_factory=lambda: {"maxmemory": 0, "used_memory": 5})
    error: Exception | None = None
    asked: int = 0

    def config_get(self, name: str) -> dict[str, str]:
        """CONFIG GET."""
        self.asked += 1
        if self.error:
            raise self.error
        return {name: self.settings[name]} if name in self.settings else {}

    def info(self, section: str) -> dict[str, Any]:
        """INFO of a primary without replicas."""
        sections = {"memory": self.memory, "cluster": {"cluster_enabled": 0}}
        return sections.get(section, {"role": "master"})


@pytest.fixture
def clock() -> Clock:
    """A clock to move by hand."""
    return Clock()


@pytest.fixture
def told() -> TalkativeRedis:
    """A Redis that says it is durable."""
    return TalkativeRedis()


@pytest.fixture
def intake_of(stores: Stores, told: TalkativeRedis, clock: Clock) -> Callable[[str], Intake]:
    """Makes an intake for one value of INTAKE."""

    def make(setting: str) -> Intake:
        client: Any = told
        engine: Any = stores.inbox
        return Intake(
            stream=EventStream(stores.redis),
            durability=DurabilityCheck(client, setting, clock),
            engine=engine,
            send_wake_up=stores.wake_ups.send_wake_up,
            breaker=Breaker(clock),
        )

    return make


def a_delivery(number: int = 1) -> Delivery:
    """A verified event."""
    return Delivery(f"evt_{number}", "invoice.paid", 1, 2, compress(b"{}"))


def test_auto_puts_a_durable_redis_first(
    intake_of: Callable[[str], Intake], stores: Stores
) -> None:
    """The stream is as safe as the database there, and faster."""
    intake_of("auto").accept(a_delivery())
    assert (stores.in_stream(), stores.in_inbox(), stores.wake_ups.sent) == (["evt_1"], [], 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [("appendonly", "no"), ("appendfsync", "everysec"), ("maxmemory-policy", "allkeys-lru")],
)
def test_auto_puts_the_inbox_first_where_redis_forgets(
    intake_of: Callable[[str], Intake],
    stores: Stores,
    told: TalkativeRedis,
    name: str,
    value: str,
) -> None:
    """Redis only carries the wake-up then."""
    told.settings[name] = value
    intake_of("auto").accept(a_delivery())
    assert (stores.in_stream(), stores.in_inbox(), stores.wake_ups.sent) == ([], ["evt_1"], 1)


def test_auto_puts_the_inbox_first_where_redis_will_not_say(
    intake_of: Callable[[str], Intake], stores: Stores, told: TalkativeRedis
) -> None:
    """Hosted Redis often forbids CONFIG; what is not known is not trusted."""
    told.error = redis.exceptions.NoPermissionError("no")
    intake_of("auto").accept(a_delivery())
    assert (stores.in_stream(), stores.in_inbox(), stores.wake_ups.sent) == ([], ["evt_1"], 1)


def test_auto_spares_a_redis_that_fills_up(
    intake_of: Callable[[str], Intake], stores: Stores, told: TalkativeRedis
) -> None:
    """Above 70 % of its memory the inbox takes the events."""
    told.memory = {"maxmemory": 100, "used_memory": 71}
    intake_of("auto").accept(a_delivery())
    assert (stores.in_stream(), stores.in_inbox()) == ([], ["evt_1"])


def test_auto_never_trusts_a_forgetful_redis_even_when_the_database_is_gone(
    intake_of: Callable[[str], Intake], stores: Stores, told: TalkativeRedis
) -> None:
    """Neither store is durable, so nothing may be promised."""
    told.settings["appendonly"] = "no"
    stores.inbox.refuses = True
    with pytest.raises(NotStoredError):
        intake_of("auto").accept(a_delivery())
    assert stores.in_stream() == []


def test_redis_is_asked_once_in_a_while_and_not_for_every_event(
    intake_of: Callable[[str], Intake], stores: Stores, told: TalkativeRedis, clock: Clock
) -> None:
    """A change of its settings is noticed within half a minute."""
    intake = intake_of("auto")
    intake.accept(a_delivery(1))
    asked = told.asked
    told.settings["appendfsync"] = "no"
    intake.accept(a_delivery(2))
    assert told.asked == asked
    clock.now += CHECK_EVERY_SECONDS
    intake.accept(a_delivery(3))
    assert (stores.in_stream(), stores.in_inbox()) == (["evt_1", "evt_2"], ["evt_3"])


def test_redis_is_asked_again_after_an_error(
    intake_of: Callable[[str], Intake], stores: Stores, told: TalkativeRedis, clock: Clock
) -> None:
    """It may have come back as another: with other settings."""
    intake = intake_of("auto")
    intake.accept(a_delivery(1))
    stores.server.connected = False
    intake.accept(a_delivery(2))
    stores.server.connected = True
    told.settings["appendonly"] = "no"
    clock.now += 2
    intake.accept(a_delivery(3))
    assert (stores.in_stream(), stores.in_inbox()) == (["evt_1"], ["evt_2", "evt_3"])


@pytest.mark.parametrize(("setting", "in_stream"), [("stream", True), ("inbox", False)])
def test_a_forced_intake_asks_nobody(
    intake_of: Callable[[str], Intake],
    stores: Stores,
    told: TalkativeRedis,
    setting: str,
    *,
    in_stream: bool,
) -> None:
    """INTAKE=stream and INTAKE=inbox are the operator's word."""
    told.settings.clear()
    intake_of(setting).accept(a_delivery())
    assert told.asked == 0
    assert bool(stores.in_stream()) is in_stream
    assert bool(stores.in_inbox()) is not in_stream
    assert stores.wake_ups.sent == 1


def test_a_failed_redis_is_left_alone_for_a_while(
    intake_of: Callable[[str], Intake],
    stores: Stores,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Waiting for its timeout once is enough; afterwards the pauses grow to five seconds."""
    tried: list[float] = []

    def put(_stream: EventStream, _deliveries: Sequence[Delivery]) -> Appended:
        tried.append(clock.now)
        raise redis.exceptions.TimeoutError

    monkeypatch.setattr(EventStream, "put_each", put)
    intake = intake_of("stream")
    for _ in range(200):
        intake.accept(a_delivery())
        clock.now += 0.1
    assert len(stores.in_inbox()) == 200
    pauses = [round(later - earlier) for earlier, later in itertools.pairwise(tried)]
    assert pauses == [1, 2, 4, 5, 5]


def test_redis_is_used_again_once_it_answers(
    intake_of: Callable[[str], Intake], stores: Stores, clock: Clock
) -> None:
    """The fallback ends by itself."""
    intake = intake_of("stream")
    stores.server.connected = False
    intake.accept(a_delivery(1))
    stores.server.connected = True
    intake.accept(a_delivery(2))
    clock.now += 1.1
    intake.accept(a_delivery(3))
    intake.accept(a_delivery(4))
    assert (stores.in_inbox(), stores.in_stream()) == (["evt_1", "evt_2"], ["evt_3", "evt_4"])


@pytest.mark.parametrize(
    "error",
    [
        redis.exceptions.OutOfMemoryError("OOM"),
        redis.exceptions.ResponseError("MISCONF"),
        redis.exceptions.ReadOnlyError("READONLY"),
        OSError("reset"),
    ],
)
def test_whatever_redis_refuses_with_the_inbox_takes_over(
    intake_of: Callable[[str], Intake],
    stores: Stores,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Full, read-only or broken is all the same to the receiver."""

    def put(_stream: EventStream, _deliveries: Sequence[Delivery]) -> Appended:
        raise error

    monkeypatch.setattr(EventStream, "put_each", put)
    intake_of("stream").accept(a_delivery())
    assert stores.in_inbox() == ["evt_1"]


def test_a_lost_wake_up_does_not_store_an_event_twice_or_lose_it(
    intake_of: Callable[[str], Intake], stores: Stores
) -> None:
    """Inbox first, then Redis turns out to be gone: the event is stored, once."""
    stores.server.connected = False
    intake_of("inbox").accept(a_delivery())
    assert (stores.in_inbox(), stores.wake_ups.sent) == (["evt_1"], 0)


def test_only_one_thread_at_a_time_tries_a_store_that_failed(clock: Clock) -> None:
    """The others go on with the other store."""
    breaker = Breaker(clock)
    assert breaker.failed()
    assert not breaker.failed()
    clock.now += 10
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    assert breaker.succeeded()
    assert [breaker.allows() for _ in range(3)] == [True, True, True]
