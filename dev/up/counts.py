"""What the receiver's `/metrics` tells of events, in the few numbers of the status line."""

import http.client
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

# The answer is asked for once in this time at most, whoever looks.
PAUSE_SECONDS = 1.0
TIMEOUT_SECONDS = 3.0
RECEIVED = "billing_events_received_total"
FINISHED = "billing_events_finished_total"
DUPLICATES = "billing_event_duplicates_total"
DEPTH = "billing_queue_depth"
UNAPPLIED = "billing_events_unapplied"
READ = (RECEIVED, FINISHED, DUPLICATES, DEPTH, UNAPPLIED)


@dataclass(frozen=True, slots=True)
class Counts:
    """What came and what became of it since `up` began; how many events wait or failed now."""

    accepted: int = 0
    applied: int = 0
    ignored: int = 0
    duplicates: int = 0
    waiting: int = 0
    failed: int = 0
    dead: int = 0


def read(exposition: str) -> Counts:
    """The numbers in an answer of `/metrics`; what it leaves out counts as none."""
    numbers = dict.fromkeys(Counts.__slots__, 0)
    for name, value in _named(exposition):
        numbers[name] += int(value)
    return Counts(**numbers)


def _named(exposition: str) -> Iterator[tuple[str, float]]:
    lines = [line for line in exposition.splitlines() if line.startswith(READ)]
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            status = sample.labels.get("status", "")
            if sample.name == RECEIVED:
                yield "accepted", sample.value
            elif sample.name == FINISHED and status in {"applied", "ignored"}:
                yield status, sample.value
            elif sample.name == DUPLICATES:
                yield "duplicates", sample.value
            elif sample.name == DEPTH and sample.labels.get("queue") == "stream":
                yield "waiting", sample.value
            elif sample.name == UNAPPLIED:
                yield "waiting" if status == "received" else status, sample.value


def ask(base_url: str) -> Counts | None:
    """The numbers of the receiver, asked of itself; None where it gives no answer."""
    address = urlsplit(base_url)
    # This client knows no proxy, whatever the environment says.
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port, timeout=TIMEOUT_SECONDS
    )
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        return read(text) if answer.status == http.HTTPStatus.OK else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


class Watch:
    """Asks in a thread of its own, again and again, and hands on what it hears."""

    def __init__(self, base_url: str, tell: Callable[[Counts | None], None]) -> None:
        self._base_url = base_url
        self._tell = tell
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask_on, daemon=True, name="counts")

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more. What is being asked is not waited for, nor handed on."""
        self._ended.set()

    def _ask_on(self) -> None:
        while not self._ended.is_set():
            counts = ask(self._base_url)
            if self._ended.is_set():
                return
            self._tell(counts)
            self._ended.wait(PAUSE_SECONDS)
