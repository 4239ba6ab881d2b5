"""A receiver that runs, and what listens to its streams."""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import jwt
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

    def streams_open(self) -> int:
        """How many streams it says are open."""
        answer = self.ask("GET", "/metrics", {}).read().decode()
        lines = [line for line in answer.splitlines() if line.startswith("billing_streams_open")]
        return sum(int(float(line.rpartition(" ")[2])) for line in lines)

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


@contextmanager
def running(
    database_url: str, redis_url: str, folder: Path, *, redis_seen: str = ""
) -> Iterator[Receiver]:
    """A receiver on real stores; `redis_seen` is the way on which it sees Redis, if another."""
    port = free_port()
    environment = os.environ | ENVIRONMENT
    environment |= {"PORT": str(port), "PYTHONPATH": str(ROOT), "CORS_ORIGINS": ORIGIN}
    environment |= {"DATABASE_URL": database_url, "REDIS_URL": redis_seen or redis_url}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(COMMAND, cwd=folder, env=environment, stdout=log, stderr=log)
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
