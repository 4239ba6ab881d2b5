"""A primary and its standby: copies, promotion, and the old primary that comes back."""

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fakeredis
import psycopg2
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

import settings
from db import migrate
from db.connections import copies
from db.connections.guard import Guard
from db.connections.timelines import KEY, Timelines
from db.connections.watched import NotReplicatedError
from db.engine import make_engine
from dev.up.engines import PostgresEngine, StandbyEngine
from domain.events import Delivery
from ingest.context import ReceiverContext, open_context
from ingest.intake.group_commit import GroupCommit
from ingest.intake.intake import NotStoredError

STANDBY = "p2"
ANSWER_SECONDS_MAX = 6.0


@dataclass
class Pair:
    """Two servers; `standby` follows `primary` until it is promoted."""

    primary: PostgresEngine
    standby: StandbyEngine

    @property
    def url(self) -> str:
        """Both, the first one first."""
        first, second = self.primary.address, self.standby.address
        hosts = f"127.0.0.1:{first.port},127.0.0.1:{second.port}"
        return f"postgresql://billing:{first.password}@{hosts}/billing"

    def settings(self, **variables: str) -> settings.Settings:
        """Settings of a receiver on both."""
        given = {"DATABASE_URL": self.url, "REDIS_URL": "redis://127.0.0.1:1/0"}
        return settings.load(environ=given | {"INTAKE": "inbox"} | variables)


def run(engine: PostgresEngine, *statements: str) -> Any:
    """Run statements on this server itself; the first column of the last one's first row."""
    with closing(psycopg2.connect(engine.url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            row = cursor.fetchone() if cursor.description else None
            return row and row[0]


def wait_for(condition: Callable[[], object], seconds: float = 15.0) -> None:
    """Wait until this holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def confirmed_by(engine: PostgresEngine, names: str) -> None:
    """Set which standbys must confirm a commit of this server."""
    run(engine, f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
    run(engine, "SELECT pg_reload_conf()")
    wait_for(lambda: run(engine, "SHOW synchronous_standby_names") == names)


def follows(pair: Pair) -> bool:
    """Whether the standby confirms commits now."""
    asked = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
    return bool(run(pair.primary, asked))


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """A migrated primary whose commits its standby confirms."""
    with tempfile.TemporaryDirectory(prefix="billing-") as place:
        first, second = Path(place) / "1", Path(place) / "2"
        for directory in (Path(place), first, second):
            directory.mkdir(exist_ok=True)
            directory.chmod(0o711)  # The engines' user passes through, and sees nothing.
        with PostgresEngine(first) as primary:
            migrate.upgrade(primary.url.replace("postgresql", "postgresql+psycopg2", 1))
            with StandbyEngine(second, primary, STANDBY) as standby:
                made = Pair(primary, standby)
                confirmed_by(primary, STANDBY)
                wait_for(lambda: follows(made))
                yield made


@contextmanager
def standby_stopped(pair: Pair) -> Iterator[None]:
    """The only standby is away."""
    pair.standby.stop()
    try:
        yield
    finally:
        pair.standby.start()
        wait_for(lambda: follows(pair))


@contextmanager
def a_receiver(pair: Pair, **variables: str) -> Iterator[ReceiverContext]:
    """A receiver that puts events into the inbox."""
    opened = open_context(pair.settings(**variables), send_wake_up=lambda: None)
    yield opened
    opened.engine.dispose()


async def both_ways(receiver: ReceiverContext) -> list[Any]:
    """What becomes of a request by the view and of one by the event loop, at the same time."""
    group = GroupCommit(receiver.intake)
    group.start(asyncio.get_running_loop())
    by_view = asyncio.to_thread(receiver.intake.accept, a_delivery("evt_waits"))
    by_loop = group.accept(a_delivery("evt_loop"))
    answers = await asyncio.gather(by_view, by_loop, return_exceptions=True)
    group.stop()
    return list(answers)


def a_delivery(event_id: str) -> Delivery:
    """Some event."""
    return Delivery(event_id, "customer.created", 1, 1, b"{}")


def test_one_standby_confirms(pair: Pair) -> None:
    """By its settings and in fact; two would be too many to ask for."""
    engine = make_engine(pair.settings(DATABASE_COPIES="1"))
    with engine.connect() as connection:
        found = copies.ask(connection)
        assert found == copies.Copies(promised=1, live=1)
        copies.require(connection, 1)
    engine.dispose()
    two = make_engine(pair.settings(DATABASE_COPIES="2"))
    with pytest.raises(OperationalError, match="DATABASE_COPIES=2"):
        two.connect()


@pytest.mark.parametrize(
    ("names", "level", "number"),
    [
        ("", "on", 0),
        ("p2", "on", 1),
        ("p2, p3", "remote_apply", 1),
        ("ANY 2 (p2,p3,p4)", "on", 2),
        ("first 1 (p2,p3)", "on", 1),
        ("2 (p2,p3)", "on", 2),
        ("*", "local", 0),
        ("*", "remote_write", 0),
    ],
)
def test_how_many_confirm_is_read_as_postgresql_reads_it(
    names: str, level: str, number: int
) -> None:
    """A commit that does not wait for a disk is confirmed by none."""
    assert copies.promised(names, level) == number


def test_without_its_only_standby_the_inbox_gives_no_false_answer(pair: Pair) -> None:
    """A commit waits for the standby without bound; the receiver does not, and says no."""
    with a_receiver(pair) as receiver, standby_stopped(pair):
        began = time.monotonic()
        refused = asyncio.run(both_ways(receiver))
        assert [type(answer) for answer in refused] == [NotStoredError, NotStoredError]
        assert time.monotonic() - began < ANSWER_SECONDS_MAX
        # Nothing of it is left at the server, where it would hold a place.
        asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        wait_for(lambda: run(pair.primary, asked) == 0)
    with a_receiver(pair) as receiver:
        assert receiver.intake.accept(a_delivery("evt_waits")) == "inbox"


def test_copies_that_are_wanted_are_missed_at_once(pair: Pair) -> None:
    """Nobody waits for a commit that cannot be confirmed."""
    with a_receiver(pair, DATABASE_COPIES="1") as receiver:
        assert receiver.intake.accept(a_delivery("evt_copied")) == "inbox"
        with standby_stopped(pair):
            time.sleep(copies.LOOK_EVERY_SECONDS)
            began = time.monotonic()
            with pytest.raises(NotStoredError):
                receiver.intake.accept(a_delivery("evt_alone"))
            assert time.monotonic() - began < 1.0
        assert receiver.intake.accept(a_delivery("evt_alone")) == "inbox"


def test_a_cancelled_wait_for_a_standby_is_no_commit(pair: Pair) -> None:
    """PostgreSQL reports success and a warning; so an operator could make a false 200."""
    engine = make_engine(pair.settings())
    asked = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"

    def cancel() -> None:
        wait_for(lambda: run(pair.primary, asked))

    with engine.connect() as connection, standby_stopped(pair):
        connection.execute(text("CREATE TABLE cancelled (id int)"))
        canceller = threading.Thread(target=cancel)
        canceller.start()
        with pytest.raises(OperationalError) as said:
            connection.commit()
        canceller.join()
        assert isinstance(said.value.orig, NotReplicatedError)
    run(pair.primary, "DROP TABLE cancelled")
    engine.dispose()


def a_guarded(pair: Pair, server: fakeredis.FakeServer) -> Engine:
    """An engine as `make_engine` makes it, of a process of its own that shares a Redis."""
    engine = make_engine(pair.settings(), guarded=False)
    client: Any = fakeredis.FakeRedis(server=server)
    Guard(Timelines(client)).watch(engine)
    return engine


def system_of(engine: PostgresEngine) -> str:
    """What PostgreSQL calls the cluster, of which each copy is one."""
    return str(run(engine, "SELECT system_identifier FROM pg_control_system()"))


def port_of(engine: Engine) -> int:
    """Whom this engine is connected to now."""
    with engine.connect() as connection:
        return int(connection.execute(text("SHOW port")).scalar_one())


def test_a_primary_that_comes_back_gets_nothing(pair: Pair) -> None:
    """It is first in the list, takes writes and waits for no standby any more."""
    shared = fakeredis.FakeServer()
    early = a_guarded(pair, shared)
    old, new = pair.primary.address.port, pair.standby.address.port
    assert port_of(early) == old
    confirmed_by(pair.primary, "")
    pair.primary.kill()
    run(pair.standby, "SELECT pg_promote()")
    assert port_of(early) == new

    pair.primary.start()
    assert pair.primary.address.port == old
    late = a_guarded(pair, shared)
    assert port_of(late) == new
    # A build without the guard goes to it, and so does one that nobody tells.
    careless = make_engine(pair.settings(), guarded=False)
    assert port_of(careless) == old
    apart = fakeredis.FakeServer()
    untold = a_guarded(pair, apart)
    assert port_of(untold) == old
    # Once it hears of the other, it leaves this one: also with the connection that it has.
    told: Any = fakeredis.FakeRedis(server=apart)
    told.zadd(KEY, {system_of(pair.standby): 2})
    wait_for(lambda: port_of(untold) == new)
    # With no other host in the list there is none to go to, and that is said.
    pair.standby.stop()
    with pytest.raises(OperationalError, match="on timeline 1, another was promoted to 2"):
        port_of(a_guarded(pair, shared))
    for engine in (early, late, careless, untold):
        engine.dispose()
