"""Several Valkeys as one: a primary, replicas behind links that can stall, Sentinels.

All are real servers. One server's copy to another goes through a `Link`, because a replica that is
only stopped would still read, later, what the kernel holds for it.
"""

import contextlib
import itertools
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

import redis

from db.queue.stream import STREAM, connect
from dev.up.engine import Address
from dev.up.engines import ValkeyEngine
from dev.up.ports import free_port
from dev.up.suppliers import valkey_server

PASSWORD = "of-the-group"
NAME = "billing"
DOWN_AFTER_MS = 1_000
AWAIT_SECONDS_MAX = 30.0


def await_true(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds; a server that does not answer yet is asked again."""
    deadline = time.monotonic() + AWAIT_SECONDS_MAX
    while time.monotonic() < deadline:
        with contextlib.suppress(redis.RedisError, OSError):
            if holds():
                return
        time.sleep(0.02)
    raise AssertionError(f"{what}, in {AWAIT_SECONDS_MAX:.0f} s")


class Member(ValkeyEngine):
    """A server of the group; it starts as a replica of `source`, or as the primary."""

    def __init__(self, directory: Path, source: int | None = None, more: str = "") -> None:
        directory.mkdir(exist_ok=True)
        directory.chmod(0o711)
        super().__init__(directory)
        self._address = Address(free_port(), PASSWORD)
        self._more = f"masterauth {PASSWORD}\nrepl-diskless-sync-delay 0\n{more}"
        if source is not None:
            self._more += f"replicaof 127.0.0.1 {source}\n"

    def _settings(self) -> str:
        return super()._settings() + self._more

    def client(self) -> "closing[redis.Redis]":
        """A client of this very server."""
        return closing(connect(self.url, timeout_seconds=3.0))

    def order(self, *words: str | int) -> object:
        """Give it a command of an administrator."""
        with self.client() as client:
            return client.execute_command(*words)  # type: ignore[no-untyped-call]  # The client types half.

    def suspend(self) -> None:
        """Stop it amid whatever it does, as a machine that hangs."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def event_ids(self) -> set[str]:
        """The ids of the events in its stream."""
        with self.client() as client:
            entries = cast("Any", client.xrange(STREAM))
        return {fields[b"id"].decode() for _, fields in entries}

    def is_copying(self) -> bool:
        """Whether it is a replica that has caught up."""
        with self.client() as client:
            return client.info("replication").get("master_link_status") == "up"


class SentinelServer(Member):
    """A Sentinel that watches the group."""

    title: ClassVar = "Sentinel"

    def __init__(self, directory: Path, primary: int) -> None:
        super().__init__(directory)
        self._primary = primary

    def _settings(self) -> str:
        quoted = str(self.home).replace('"', '\\"')
        return (
            f"bind 127.0.0.1\nport {self.address.port}\n"
            f'dir "{quoted}"\n'
            f"sentinel monitor {NAME} 127.0.0.1 {self._primary} 2\n"
            f"sentinel auth-pass {NAME} {PASSWORD}\n"
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {NAME} 4000\n"
        )

    @property
    def url(self) -> str:
        """Sentinels of these tests want no password."""
        return f"redis://127.0.0.1:{self.address.port}"

    def _command(self) -> list[str]:
        return [str(valkey_server()), str(self._settings_path), "--sentinel"]

    def knows_all(self, others: int, replicas: int) -> bool:
        """Whether it has found the other Sentinels and the replicas."""
        with self.client() as client:
            state = cast("Any", client.sentinel_masters())[NAME]
        return bool(
            state["num-other-sentinels"] == others
            and state["num-slaves"] == replicas
            and state["flags"] == "master"
        )


@dataclass
class Link:
    """A way from a replica to its primary, which can stall or be cut, one way or both."""

    target: int
    flows: threading.Event = field(default_factory=threading.Event)
    is_cut: bool = False
    _open: list[socket.socket] = field(default_factory=list)

    def stall(self) -> None:
        """From now on nothing comes through to the replica; what is on the way stays there."""
        self.flows.clear()

    def cut(self) -> None:
        """What had not come through never will."""
        self.is_cut = True
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self.flows.set()

    @contextmanager
    def running(self) -> Iterator[int]:
        """Listen on a port, for as long as the block."""
        self.flows.set()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            threading.Thread(target=self._serve, args=(listening,), daemon=True).start()
            yield listening.getsockname()[1]
            self.cut()
        for each in self._open:
            each.close()

    def _serve(self, listening: socket.socket) -> None:
        while not self.is_cut:
            try:
                replica, _ = listening.accept()
            except OSError:
                return
            self._open.append(replica)
            try:
                primary = socket.create_connection(("127.0.0.1", self.target))
            except OSError:  # The primary is gone, and the replica tries again.
                replica.close()
                continue
            self._open.append(primary)
            for source, sink, waits in ((primary, replica, True), (replica, primary, False)):
                threading.Thread(
                    target=self._pump, args=(source, sink), kwargs={"waits": waits}, daemon=True
                ).start()

    def _pump(self, source: socket.socket, sink: socket.socket, *, waits: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if waits:
                    self.flows.wait()
                if self.is_cut:
                    return
                sink.sendall(data)


@dataclass
class Group:
    """A primary with its replicas and Sentinels; `links` lead from each replica."""

    primary: Member
    replicas: list[Member]
    links: list[Link]
    sentinels: list[SentinelServer]

    @property
    def url(self) -> str:
        """The group by its Sentinels."""
        hosts = ",".join(f"127.0.0.1:{each.address.port}" for each in self.sentinels)
        return f"redis+sentinel://:{PASSWORD}@{hosts}/{NAME}/0"

    def promote(self) -> Member:
        """The primary is gone: what was a replica is one no more."""
        for link in self.links:
            link.cut()
        promoted = self.replicas[0]
        promoted.order("REPLICAOF", "NO", "ONE")
        return promoted


@contextmanager
def a_group(
    directory: Path, *, replicas: int = 1, sentinels: int = 0, more: str = ""
) -> Iterator[Group]:
    """Start servers that copy from one; with Sentinels they copy without links between them."""
    places = (directory / f"server{number}" for number in itertools.count())
    directory.chmod(0o711)
    with ExitStack() as stack:
        primary = stack.enter_context(Member(next(places)))
        group = Group(primary, [], [], [])
        for _ in range(replicas):
            source = primary.address.port
            if not sentinels:
                group.links.append(Link(source))
                source = stack.enter_context(group.links[-1].running())
            group.replicas.append(stack.enter_context(Member(next(places), source, more)))
        for replica in group.replicas:
            await_true(replica.is_copying, "a replica has not caught up")
        for _ in range(sentinels):
            started = SentinelServer(next(places), primary.address.port)
            group.sentinels.append(stack.enter_context(started))
        for each in group.sentinels:
            await_true(partial(each.knows_all, sentinels - 1, replicas), "Sentinels have not met")
        yield group
