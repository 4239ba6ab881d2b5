"""How the load reaches the receivers: it keeps to one, and goes to the next at no answer.

A proxy before the receivers does as much. It remembers who kept a good event waiting too long.
"""

import http.client
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dev.machines.machine import Machine
from sandbox.simulate.wire import BROKEN

PORT = 8000
# A receiver answers 200 or 503 within this, whatever is lost beside it.
ANSWER_SECONDS_MAX = 6.0
# Then the sender hangs up.
_PATIENCE_SECONDS = 7.0
# A receiver that begins has so long until it is held to that.
_BEGIN_SECONDS = 20.0


@dataclass(slots=True)
class Answers:
    """What was waited for too long, and by what its machine was excused: it was lost itself."""

    late: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0
    disturbed: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def disturb(self, machine: Machine) -> int:
        """From now on this machine is excused; the place of that in its list."""
        with self._lock:
            spans = self.disturbed.setdefault(machine.name, [])
            spans.append((time.monotonic(), float("inf")))
            return len(spans) - 1

    def settle(self, machine: Machine, place: int) -> None:
        """It has begun again."""
        with self._lock:
            began, _ = self.disturbed[machine.name][place]
            self.disturbed[machine.name][place] = (began, time.monotonic() + _BEGIN_SECONDS)

    def note(self, machine: Machine, began: float, outcome: str) -> None:
        """How a receiver dealt with a good event, from when it was asked until now."""
        now = time.monotonic()
        with self._lock:
            spans = self.disturbed.get(machine.name, ())
            if any(since <= now and began <= until for since, until in spans):
                return
            self.slowest_seconds = max(self.slowest_seconds, now - began)
            if now - began > ANSWER_SECONDS_MAX:
                self.late.append(f"{machine.name} after {now - began:.1f} s: {outcome}")


class AnyReceiver:
    """A connection to one receiver after the other; not for several threads at once."""

    def __init__(self, machines: Sequence[Machine], first: int, answers: Answers) -> None:
        self._machines = machines
        self._turn = first
        self._answers = answers
        self._connection: http.client.HTTPConnection | None = None

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> tuple[int, bytes]:
        """Return the status and body of an answer; raises one of BROKEN when none comes."""
        machine = self._machines[self._turn % len(self._machines)]
        began = time.monotonic()
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(
                    machine.address, PORT, timeout=_PATIENCE_SECONDS
                )
            self._connection.request(method, path, body, dict(headers))
            response = self._connection.getresponse()
            answer = response.read()
        except BROKEN as error:
            self._answers.note(machine, began, type(error).__name__)
            self.close()
            self._turn += 1
            raise
        self._answers.note(machine, began, str(response.status))
        if response.will_close:
            self.close()
        return response.status, answer

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
