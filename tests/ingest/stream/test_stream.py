"""The stream over a real server: who may listen, what they hear, how it ends and resumes."""

import http.client
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import jwt
import psutil  # type: ignore[import-untyped]  # It ships no types.
import pytest
from sqlalchemy import Engine

from db.engine import make_engine
from db.outbox import messages
from db.outbox.hints import Hints
from db.outbox.messages import Message, MessageType
from db.queue.stream import connect
from dev.up.ports import free_port
from tests.ingest.builders import ENVIRONMENT

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-c", "from ingest.server import web; web()"]
STREAM, TICKET = "/billing/stream/", "/billing/stream/ticket/"
ORIGIN = "https://app.example.com"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")


class Receiver:
    """A receiver that runs, and an app that changes users' tokens beside it."""

    def __init__(
        self, port: int, process: "subprocess.Popen[bytes]", engine: Engine, url: str
    ) -> None:
        self.port, self.process, self._engine, self._redis_url = port, process, engine, url
        self.connections: list[http.client.HTTPConnection] = []

    def tell(self, user: str, *, hint: bool = True) -> None:
        """Write a message of this user, as a worker does."""
        told = Message(user, MessageType.TOKENS_CHANGED, {"balance": 1})
        with self._engine.begin() as connection:
            messages.write(connection, [told])
        if hint:
            with closing(connect(self._redis_url)) as client:
                Hints(client).publish([user])

    def ask(self, method: str, path: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        """The answer to a request; of a stream, its beginning."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        self.connections.append(connection)
        connection.request(method, path, headers=headers)
        return connection.getresponse()

    def open(self, headers: dict[str, str], path: str = STREAM) -> "Listener":
        """A stream that is listened to."""
        answer = self.ask("GET", path, headers)
        assert answer.status == 200, answer.read()
        return Listener(answer, self.connections[-1])


class Listener:
    """Reads a stream: events as (id, event, data)."""

    def __init__(
        self, answer: http.client.HTTPResponse, connection: http.client.HTTPConnection
    ) -> None:
        self.answer, self._connection = answer, connection

    def next(self) -> tuple[str, str, Any]:
        """The next event; raises EOFError at the stream's end."""
        members: dict[str, str] = {}
        while True:
            line = self.answer.readline().decode()
            if not line:
                raise EOFError
            if line == "\n" and "event" in members:
                return members.get("id", ""), members["event"], json.loads(members["data"])
            name, separator, value = line.rstrip("\n").partition(": ")
            if separator and name:
                members[name] = value

    def close(self) -> None:
        """Go away."""
        self.answer.close()
        self._connection.close()


def as_user(user: str, *, seconds: float = 3600) -> dict[str, str]:
    """Headers that say who asks."""
    claims = {"sub": user, "exp": int(time.time() + seconds)}
    token = jwt.encode(claims, ENVIRONMENT["JWT_SECRET"], "HS256")
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def receiver(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Receiver]:
    """A receiver on real stores."""
    port = free_port()
    environment = os.environ | ENVIRONMENT
    environment |= {"PORT": str(port), "PYTHONPATH": str(ROOT), "CORS_ORIGINS": ORIGIN}
    environment |= {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(COMMAND, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    engine = make_engine(database_url)
    try:
        deadline = time.monotonic() + 20
        while not answers(port):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        receiver = Receiver(port, process, engine, redis_url)
        yield receiver
        for connection in receiver.connections:
            connection.close()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        engine.dispose()


def answers(port: int) -> bool:
    """Whether the receiver serves."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def test_changes_come_as_they_happen_and_only_ones_own(receiver: Receiver) -> None:
    """`ready` first, then each message whole, soon after it was committed."""
    listener = receiver.open(as_user("user_1") | {"Origin": ORIGIN})
    assert listener.answer.headers["Content-Type"].startswith("text/event-stream")
    assert listener.answer.headers["X-Accel-Buffering"] == "no"
    assert listener.answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert listener.next()[1] == "ready"
    receiver.tell("user_2")
    began = time.monotonic()
    receiver.tell("user_1")
    version, event, data = listener.next()
    assert time.monotonic() - began < 5
    assert (event, data["type"], data["user"]) == ("tokens.changed", "tokens.changed", "user_1")
    assert (version, data["data"]) == (str(data["version"]), {"balance": 1})


def test_whoever_breaks_off_resumes_without_a_gap(receiver: Receiver) -> None:
    """Also what was told without any hint."""
    listener = receiver.open(as_user("user_3"))
    seen, _, _ = listener.next()
    listener.close()
    for _ in range(3):
        receiver.tell("user_3", hint=False)
    listener = receiver.open(as_user("user_3") | {"Last-Event-ID": seen})
    versions = [int(listener.next()[0]) for _ in range(3)]
    assert versions == [int(seen) + n for n in (1, 2, 3)]


def test_who_cannot_send_a_header_says_in_the_query_what_was_seen(receiver: Receiver) -> None:
    """As EventSource on a new address; a header says it better, and nonsense says nothing."""
    for _ in range(3):
        receiver.tell("user_6")
    asker = as_user("user_6")
    first, _, _ = receiver.open(asker, f"{STREAM}?last_event_id=1").next()
    assert first == "2"
    seen_more = asker | {"Last-Event-ID": "2"}
    first, _, _ = receiver.open(seen_more, f"{STREAM}?last_event_id=1").next()
    assert first == "3"
    assert receiver.open(asker, f"{STREAM}?last_event_id=soon").next()[1] == "ready"


def test_a_ticket_opens_one_stream(receiver: Receiver) -> None:
    """Once; a used, a stolen-and-used and an invented one are all 401."""
    assert receiver.ask("POST", TICKET, {}).status == 401
    answer = json.loads(receiver.ask("POST", TICKET, as_user("user_4")).read())
    assert answer["expires_in"] == 60
    path = f"{STREAM}?ticket={answer['ticket']}"
    assert receiver.open({}, path).next()[1] == "ready"
    for used in (path, f"{STREAM}?ticket=invented", f"{STREAM}?ticket={'x' * 5000}", STREAM):
        refused = receiver.ask("GET", used, {})
        assert (refused.status, refused.headers["Content-Type"]) == (
            401,
            "application/problem+json",
        )
        assert json.loads(refused.read())["code"] == "not_authenticated"


def test_a_stream_ends_with_its_token(receiver: Receiver) -> None:
    """An expired one opens none; one that expires soon ends then, also through a ticket."""
    assert receiver.ask("GET", STREAM, as_user("user_5", seconds=-5)).status == 401
    headers = as_user("user_5", seconds=3)
    ticket = json.loads(receiver.ask("POST", TICKET, headers).read())["ticket"]
    for listener in (receiver.open(headers), receiver.open({}, f"{STREAM}?ticket={ticket}")):
        began = time.monotonic()
        assert listener.next()[1] == "ready"
        with pytest.raises(EOFError):
            listener.next()
        assert time.monotonic() - began < 6


def test_it_stops_at_once_with_open_streams(receiver: Receiver) -> None:
    """Their clients come back, to another process."""
    listeners = [receiver.open(as_user(f"user_{number}")) for number in range(10)]
    for listener in listeners:
        listener.next()
    began = time.monotonic()
    receiver.process.send_signal(signal.SIGTERM)
    for listener in listeners:
        with pytest.raises((EOFError, http.client.IncompleteRead)):
            listener.next()
    assert receiver.process.wait(timeout=8) == 0
    assert time.monotonic() - began < 4


def test_a_thousand_idle_streams_are_cheap_and_hear_of_changes(receiver: Receiver) -> None:
    """No thread, some kB each."""
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(files, min(most, 4_096)), most))
    main = psutil.Process(receiver.process.pid)
    [serving] = main.children()
    before, threads = serving.memory_info().rss, serving.num_threads()
    listeners = [receiver.open(as_user(f"user_{number}")) for number in range(1_000)]
    for listener in listeners:
        assert listener.next()[1] == "ready"
    grown = (serving.memory_info().rss - before) / 1e6
    assert grown < 60, f"{grown:.0f} MB more"
    assert serving.num_threads() < threads + 20
    receiver.tell("user_999")
    assert listeners[999].next()[1] == "tokens.changed"


def test_many_connects_at_once_are_slowed_down(receiver: Receiver) -> None:
    """A client that comes back a thousand times a second is told to wait."""
    statuses: list[int] = []

    def hammer() -> None:
        for _ in range(60):
            answer = receiver.ask("GET", STREAM, {"Authorization": "Bearer nonsense"})
            answer.read()
            statuses.append(answer.status)

    threads = [threading.Thread(target=hammer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {401, 429}
    assert answers(receiver.port)
