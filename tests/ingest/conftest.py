"""A receiver to test: settings, and stores that work, refuse or remember."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import structlog
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

import settings
from db.outbox.hints import Hints
from db.queue.stream import STREAM, EventStream
from domain.events import Delivery
from ingest.app import create_app
from ingest.context import ReceiverContext
from ingest.http.auth import Authenticator
from ingest.intake.durability import DurabilityCheck
from ingest.intake.intake import Intake
from tests.ingest.builders import ENVIRONMENT
from tests.ingest.event_loop import ThroughTheLoop

# The Flask view, for any WSGI server, and the event loop that granian serves.
WAYS = ("view", "event loop")


@dataclass
class Inbox:
    """Stands for the engine and the inbox table: remembers what it is given, or refuses."""

    refuses: bool = False
    stored: list[Delivery] = field(default_factory=list)

    @contextmanager
    def begin(self) -> Iterator[None]:
        """A transaction."""
        if self.refuses:
            raise OperationalError("INSERT", {}, Exception("gone"))
        yield

    def store(self, _connection: None, deliveries: Sequence[Delivery], *, source: str) -> int:
        """In place of `db.queue.inbox.store`."""
        assert source == "webhook"
        self.stored += deliveries
        return len(deliveries)


@dataclass
class WakeUps:
    """Counts how often a drain was asked for."""

    sent: int = 0
    broken: bool = False

    def send_wake_up(self) -> None:
        """Ask for a drain."""
        self.sent += 1
        if self.broken:
            raise ConnectionRefusedError


@dataclass
class Stores:
    """The stores behind a receiver, and what they hold."""

    server: fakeredis.FakeServer
    redis: Any
    inbox: Inbox
    wake_ups: WakeUps

    def in_stream(self) -> list[str]:
        """The ids of the events in the stream."""
        client: Any = fakeredis.FakeRedis(server=self.server)
        was, self.server.connected = self.server.connected, True
        found = [fields[b"id"].decode() for _, fields in client.xrange(STREAM)]
        self.server.connected = was
        return found

    def in_inbox(self) -> list[str]:
        """The ids of the events in the inbox."""
        return [delivery.event_id for delivery in self.inbox.stored]


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Undoes what a test does to the logs: its stderr is gone when the next one runs."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Stores:
    """A working Redis and a working inbox, both empty."""
    server = fakeredis.FakeServer()
    inbox = Inbox()
    monkeypatch.setattr("ingest.intake.intake.inbox.store", inbox.store)
    return Stores(server, fakeredis.FakeRedis(server=server), inbox, WakeUps())


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., settings.Settings]:
    """Makes settings from variables, away from any .env of the machine."""
    monkeypatch.chdir(tmp_path)

    def make(**variables: str) -> settings.Settings:
        return settings.load(environ=ENVIRONMENT | variables)

    return make


@pytest.fixture
def way() -> str:
    """Which way in is taken: `WAYS` names both; a module may take each in turn."""
    return "view"


@pytest.fixture
def client_of(
    stores: Stores, configured: Callable[..., settings.Settings], way: str
) -> Iterator[Callable[..., FlaskClient]]:
    """Makes a client of a receiver on these stores, with these variables set."""

    def make(**variables: str) -> FlaskClient:
        found = configured(**variables)
        durability = DurabilityCheck(stores.redis, found.intake)
        engine: Any = stores.inbox
        intake = Intake(
            stream=EventStream(stores.redis),
            durability=durability,
            engine=engine,
            send_wake_up=stores.wake_ups.send_wake_up,
        )
        receiver = ReceiverContext(
            found,
            engine,
            stores.redis,
            durability,
            intake,
            Authenticator(found),
            Hints(stores.redis),
        )
        app = create_app(found, opened=receiver)
        if way == "event loop":
            through = loops.enter_context(ThroughTheLoop(app.wsgi_app, receiver).running())
            app.wsgi_app = through  # type: ignore[method-assign]  # As Flask documents it.
        return app.test_client()

    with ExitStack() as loops:
        yield make


@pytest.fixture
def client(client_of: Callable[..., FlaskClient]) -> FlaskClient:
    """A client of a receiver that works."""
    return client_of()
