"""Pages of some users that listen to `GET /billing/stream/`, and resume whenever they break off."""

import http.client
import random
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import orjson

PATH = "/billing/stream/"
# Something comes every 15 s, be it a comment.
SILENCE_SECONDS_MAX = 20.0
PAUSE_SECONDS = (0.1, 0.8)

Json = dict[str, Any]


@dataclass(slots=True)
class Listener:
    """One user's page: every message that it was told, in the order in which it came.

    `resumed` counts how often it came back, `resets` how often it was told that messages are no
    longer kept: in a run none is ever dropped.
    """

    user_id: str
    told: list[Json] = field(default_factory=list)
    seen: int = 0
    opened: int = 0
    resets: int = 0
    _connection: http.client.HTTPConnection | None = None
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def resumed(self) -> int:
        """How often it came back."""
        return max(0, self.opened - 1)

    def start(self, port: int, token_for: Callable[[str], str]) -> None:
        """Begin to listen, from before the first message."""
        self._thread = threading.Thread(
            target=self._listen_on, args=(port, token_for), daemon=True, name="listener"
        )
        self._thread.start()

    def cut(self) -> None:
        """Break the connection off, as a page does that loses its network."""
        connection = self._connection
        if connection is not None and connection.sock is not None:
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # It was broken off already.

    def stop(self) -> None:
        """Listen no more."""
        self._stopped.set()
        self.cut()
        if self._thread is not None:
            self._thread.join()

    def _listen_on(self, port: int, token_for: Callable[[str], str]) -> None:
        chance = random.Random(self.user_id)  # noqa: S311 - pauses, no secret.
        while not self._stopped.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SILENCE_SECONDS_MAX)
            self._connection = connection
            try:
                self._listen(connection, token_for(self.user_id))
            except (OSError, http.client.HTTPException, ValueError, AttributeError):
                pass  # It breaks off in many ways, and comes back from each.
            finally:
                connection.close()
            self._stopped.wait(chance.uniform(*PAUSE_SECONDS))

    def _listen(self, connection: http.client.HTTPConnection, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}", "Last-Event-ID": str(self.seen)}
        connection.request("GET", PATH, headers=headers)
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            return
        self.opened += 1
        members: dict[str, str] = {}
        while line := answer.readline().decode():
            if line != "\n":
                name, _, value = line.rstrip("\n").partition(": ")
                members[name] = value
                continue
            self._take(members)
            members = {}

    def _take(self, members: dict[str, str]) -> None:
        if "id" not in members:
            return  # A comment, or a word about delays.
        if members["event"] in ("ready", "reset"):
            self.resets += 1
        else:
            self.told.append(orjson.loads(members["data"]))
        self.seen = int(members["id"])

    def gaps(self, outbox: list[Json]) -> int:
        """How many messages of its user it was not told, or not in their order, or otherwise."""
        known = {message["version"]: message for message in self.told}
        missing: int = sum(known.get(message["version"]) != message for message in outbox)
        versions = [int(message["version"]) for message in self.told]
        disorder = sum(later <= earlier for earlier, later in pairwise(versions))
        return missing + disorder + len(known.keys() - {each["version"] for each in outbox})


def until(is_so: Callable[[], bool], seconds: float) -> bool:
    """Wait for something for so long; whether it came to be."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
