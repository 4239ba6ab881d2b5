"""Posts the account's events to the one endpoint, signed when they are sent, until it says 2xx.

In the order in which they happened unless the switches say otherwise; a delivery that fails waits
for its next turn while the others go on.
"""

import threading
import time
from urllib.parse import urlsplit

import telemetry
from sandbox.simulate.delivery import signature_header
from sandbox.simulate.wire import BROKEN, Wire
from sandbox.stripe.world import World

_PATIENCE_SECONDS = 0.2
_JOIN_SECONDS = 10.0
_ANSWER_CHARACTERS = 200
_log = telemetry.get_logger(__name__)


class Postman:
    """One thread that posts what is due."""

    def __init__(self, world: World, secret: str) -> None:
        address = urlsplit(world.webhook_url)
        self._world = world
        self._secret = secret
        self._wire = Wire(f"{address.scheme}://{address.netloc}")
        self._path = f"{address.path}?{address.query}" if address.query else address.path
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
            one = self._world.take_delivery(_PATIENCE_SECONDS)
            if one is None:
                continue
            accepted, answer = self._post(one.event.body)
            self._world.note_delivery(one, answer, accepted=accepted)
            self._tell(answer, accepted=accepted)
        self._wire.close()

    def _post(self, body: bytes) -> tuple[bool, str]:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signature_header(body, self._secret, int(time.time())),
        }
        try:
            status, said = self._wire.request("POST", self._path, headers, body)
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
                _log.info("webhooks are accepted again")
            else:
                _log.warning("a webhook was not accepted; it is tried again", answer=answer)
