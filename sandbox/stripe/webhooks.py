"""Posts the account's events to its endpoints, signed when they are sent, until each says 2xx.

Each endpoint has a postman of its own, so one that hangs holds up no other. In the order in which
things happened unless the switches say otherwise; a delivery that fails waits for its next turn
while the others go on.
"""

import threading
import time
from urllib.parse import urlsplit

import orjson

import telemetry
from sandbox.simulate.delivery import signature_header
from sandbox.simulate.thin import thin_event
from sandbox.simulate.wire import BROKEN, Wire
from sandbox.stripe.addresses import at_home
from sandbox.stripe.destinations import Destination
from sandbox.stripe.log import Posted
from sandbox.stripe.world import World

_PATIENCE_SECONDS = 0.2
_JOIN_SECONDS = 10.0
_ANSWER_CHARACTERS = 200
_log = telemetry.get_logger(__name__)


class Postmen:
    """A postman for each endpoint, for as long as there is that endpoint."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stop = threading.Event()
        self._postmen: dict[str, Postman] = {}
        self._thread = threading.Thread(target=self._run, name="stripe-endpoints", daemon=True)

    def start(self) -> None:
        """Begin to post."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the deliveries under way and end."""
        self._stop.set()
        self._thread.join(_JOIN_SECONDS)
        for postman in self._postmen.values():
            postman.stop()

    def _run(self) -> None:
        while not self._stop.is_set():
            for destination in self._world.destinations:
                if destination.id not in self._postmen:
                    postman = self._postmen[destination.id] = Postman(self._world, destination.id)
                    postman.start()
            self._stop.wait(_PATIENCE_SECONDS / 4)


class Postman:
    """One thread that posts what is due to one endpoint."""

    def __init__(self, world: World, destination_id: str) -> None:
        self._world = world
        self._name = destination_id
        self._wire: Wire | None = None
        self._address = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stripe-webhooks", daemon=True)
        self._well = True

    def start(self) -> None:
        """Begin to post."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the delivery under way and end."""
        self._stop.set()
        self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        while not self._stop.is_set():
            one = self._world.take_delivery(self._name, _PATIENCE_SECONDS)
            destination = self._world.destination(self._name)
            if one is None or destination is None:
                continue
            accepted, answer = self._post(destination, self._body(destination, one))
            self._world.note_delivery(one, self._name, answer, accepted=accepted)
            self._tell(answer, accepted=accepted)
        if self._wire:
            self._wire.close()

    def _body(self, destination: Destination, one: Posted) -> bytes:
        if destination.style == "thin":
            names_twin = self._world.thin_switches.names_twin
            return thin_body(one, names_twin=names_twin)
        version = destination.version or ""
        return at_home(one.renditions.get(version, one.event.body), self._world.base_url)

    def _post(self, destination: Destination, body: bytes) -> tuple[bool, str]:
        address = urlsplit(destination.url)
        if self._wire is None or self._address != destination.url:
            if self._wire:
                self._wire.close()
            self._wire = Wire(f"{address.scheme}://{address.netloc}")
            self._address = destination.url
        path = f"{address.path or '/'}?{address.query}" if address.query else address.path or "/"
        now = int(time.time())
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": _signatures(body, destination.live_secrets(time.time()), now),
        }
        try:
            status, said = self._wire.request("POST", path, headers, body)
        except BROKEN as error:
            return False, type(error).__name__
        accepted = 200 <= status < 300  # noqa: PLR2004 - this range is what HTTP calls success.
        words = "" if accepted else said[:_ANSWER_CHARACTERS].decode("utf-8", "replace")
        return accepted, f"{status} {words}".strip()

    def _tell(self, answer: str, *, accepted: bool) -> None:
        # Once when it begins to fail and once when it is well again, not for every event.
        if accepted != self._well:
            self._well = accepted
            if accepted:
                _log.info("webhooks are accepted again", endpoint=self._name)
            else:
                _log.warning(
                    "a webhook was not accepted; it is tried again",
                    answer=answer,
                    endpoint=self._name,
                )


def thin_body(one: Posted, *, names_twin: bool) -> bytes:
    """The body of the thin event of an event."""
    if one.event.type.startswith("v2."):
        # It is one already; what is fetched has more.
        told = {key: value for key, value in one.event.payload.items() if key != "data"}
        return orjson.dumps(told)
    return orjson.dumps(thin_event(one.event, one.millisecond, names_twin=names_twin))


def _signatures(body: bytes, secrets: tuple[str, ...], now: int) -> str:
    """One signature for each secret that is live, as while one is rolled."""
    headers = [signature_header(body, secret, now) for secret in secrets]
    return ",".join([headers[0], *(header.partition(",")[2] for header in headers[1:])])
