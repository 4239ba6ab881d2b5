"""The load driver: many kept-alive connections in one cheap process, which knows its own cost.

Requests are whole bytes made beforehand; an answer is looked at for its status and length only.
A closed load sends the next request when one is answered. An open load has a time for every
request, and how long an answer took counts from that time, however late the request could be sent:
a server that stalls is not excused from what would have come meanwhile.
"""

import multiprocessing
import os
import re
import resource
import select
import socket
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from bench.trees import begin_child

CONNECTIONS = 32
# What is under way when time is up is waited for this long.
LAST_ANSWERS_SECONDS = 10.0
RECEIVE_BYTES = 65_536
NO_ANSWER = 0
SUCCESS = 200

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class LoadError(Exception):
    """The driver could not do its work; the text says why."""


@dataclass(frozen=True, slots=True)
class Aim:
    """Where to send, and how: `rate` requests a second, or as fast as answers come.

    `ports` of the loopback share the connections; `cores` are where the driver itself runs, empty
    for anywhere.
    """

    ports: tuple[int, ...]
    seconds: float
    rate: float | None = None
    cores: frozenset[int] = frozenset()


@dataclass(slots=True)
class Volley:
    """What came of a load.

    `latencies` are seconds for each answer, `answered` the Unix time of each success by the number
    of its request, `driver_seconds` the CPU time of the driver.
    """

    seconds: float = 0.0
    driver_seconds: float = 0.0
    began: float = 0.0
    latencies: list[float] = field(default_factory=list)
    answered: dict[int, float] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Answers of success a second."""
        return self.statuses[SUCCESS] / self.seconds if self.seconds else 0.0

    @property
    def driver_share(self) -> float:
        """How much of one core the driver took."""
        return self.driver_seconds / self.seconds if self.seconds else 0.0

    def require_success(self, what: str) -> None:
        """Raise `LoadError` where anything was not answered 200: such a rate means nothing."""
        if set(self.statuses) != {SUCCESS}:
            raise LoadError(f"{what} answered {dict(self.statuses)}; only 200 was expected")


def fire(requests: Sequence[bytes], aim: Aim) -> Volley:
    """Send requests from a process of its own; ends when all are answered or time is up."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_drive, args=(requests, aim, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(aim.seconds + 2 * LAST_ANSWERS_SECONDS):
            raise LoadError("the load driver gives no answer")
        found = ours.recv()
    except EOFError:
        raise LoadError("the load driver died") from None
    finally:
        process.kill()
        process.join()
        ours.close()
    if isinstance(found, Volley):
        return found
    raise LoadError(str(found))


def _drive(requests: Sequence[bytes], aim: Aim, told: Connection) -> None:
    begin_child()
    if aim.cores:
        os.sched_setaffinity(0, aim.cores)
    try:
        told.send(_Driver(requests, aim).run())
    except OSError as error:
        told.send(f"the load driver failed: {error}")


class _Lane:
    """One connection, and the request that is under way on it."""

    __slots__ = ("began", "buffer", "number", "port", "socket")

    def __init__(self, port: int) -> None:
        self.port = port
        self.number: int | None = None
        self.began = 0.0
        self.buffer = b""
        self.socket = self._opened()

    def reopen(self) -> None:
        self.socket.close()
        self.socket = self._opened()
        self.buffer = b""

    def _opened(self) -> socket.socket:
        opened = socket.create_connection(("127.0.0.1", self.port), timeout=LAST_ANSWERS_SECONDS)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.settimeout(None)
        return opened


class _Driver:
    def __init__(self, requests: Sequence[bytes], aim: Aim) -> None:
        self._requests = requests
        self._aim = aim
        self._volley = Volley()
        self._next = 0
        lanes = [_Lane(aim.ports[place % len(aim.ports)]) for place in range(CONNECTIONS)]
        self._free = deque(lanes)
        self._lanes = {lane.socket.fileno(): lane for lane in lanes}

    def run(self) -> Volley:
        volley = self._volley
        cpu_before = _cpu_seconds()
        volley.began = time.time()
        began = time.perf_counter()
        self._loop(began)
        volley.seconds = time.perf_counter() - began
        volley.driver_seconds = _cpu_seconds() - cpu_before
        for lane in self._lanes.values():
            lane.socket.close()
        return volley

    def _loop(self, began: float) -> None:
        ends, last = began + self._aim.seconds, len(self._requests)
        while True:
            now = time.perf_counter()
            if now >= ends or self._next >= last:
                if len(self._free) == CONNECTIONS or now >= ends + LAST_ANSWERS_SECONDS:
                    break
                wait = LAST_ANSWERS_SECONDS
            else:
                wait = self._send_due(began, now)
            self._receive(wait)
        self._volley.statuses[NO_ANSWER] += CONNECTIONS - len(self._free)
        if not self._volley.statuses[NO_ANSWER]:
            del self._volley.statuses[NO_ANSWER]

    def _send_due(self, began: float, now: float) -> float:
        """Send what is due on the lanes that are free; how long until the next is, in seconds."""
        rate = self._aim.rate
        while self._free and self._next < len(self._requests):
            due = now if rate is None else began + self._next / rate
            if due > now:
                return due - now
            lane = self._free.popleft()
            lane.number, lane.began = self._next, due
            self._next += 1
            lane.socket.sendall(self._requests[lane.number])
        return LAST_ANSWERS_SECONDS if not self._free else 0.0

    def _receive(self, wait: float) -> None:
        # Unlike epoll it waits for less than a millisecond, which an open load needs.
        ready, _, _ = select.select(list(self._lanes), (), (), max(0.0, wait))
        for descriptor in ready:
            self._read(descriptor, self._lanes[descriptor])

    def _read(self, descriptor: int, lane: _Lane) -> None:
        try:
            received = lane.socket.recv(RECEIVE_BYTES)
        except ConnectionError:
            received = b""
        if not received:
            self._hung_up(descriptor, lane)
            return
        answer = lane.buffer + received if lane.buffer else received
        if _is_whole(answer):
            lane.buffer = b""
            self._answered(lane, int(answer[9:12]))
        else:
            lane.buffer = answer

    def _hung_up(self, descriptor: int, lane: _Lane) -> None:
        """A server may close a connection that idles; one that was asked something may not."""
        del self._lanes[descriptor]
        lane.reopen()
        self._lanes[lane.socket.fileno()] = lane
        if lane.number is not None:
            self._volley.statuses[NO_ANSWER] += 1
            lane.number = None
            self._free.append(lane)

    def _answered(self, lane: _Lane, status: int) -> None:
        if lane.number is None:
            raise OSError("an answer came without a question")
        volley = self._volley
        volley.latencies.append(time.perf_counter() - lane.began)
        if status == SUCCESS:
            volley.answered[lane.number] = time.time()
        volley.statuses[status] += 1
        lane.number = None
        self._free.append(lane)


def _is_whole(answer: bytes) -> bool:
    """Whether an answer has all of its head and body."""
    head = answer.find(b"\r\n\r\n")
    if head < 0:
        return False
    length = _LENGTH.search(answer, 0, head + 2)
    if length is None:
        raise OSError(f"an answer does not tell its length: {answer[:head]!r}")
    return len(answer) >= head + 4 + int(length.group(1))


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
