"""A Stripe that answers truly, or hangs, is slow, or refuses: what the product asks in a fault run.

It knows the account's objects by the newest event of each. Some invoices' events come with a cut
list, so the product has to ask for them.
"""

import http.client
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from dev.faults.local_server import serving
from sandbox.simulate import asked
from sandbox.simulate.engine import Engine, Event

KEY = "sk_test_of_a_fault_run"
# Every so manieth invoice is told with a cut list.
CUT_EVERY = 4
HANG_SECONDS_MAX = 90.0
SLOW_SECONDS = 3.0

WELL, HANGS, SLOW, ERRS, BUSY = "well", "hangs", "slow", "errs", "busy"
_REFUSALS = {ERRS: http.HTTPStatus.INTERNAL_SERVER_ERROR, BUSY: http.HTTPStatus.TOO_MANY_REQUESTS}

_INTENT = "payment_intent"

Json = dict[str, Any]


@dataclass(slots=True)
class StandIn:
    """What is asked of it, by how it `is`; between the Unix times of `troubles` it was not well.

    `answered` counts true answers.
    """

    objects: dict[str, Json]
    account: Engine
    url: str = ""
    asked: int = 0
    answered: int = 0
    troubles: list[tuple[float, float]] = field(default_factory=list)
    _is: str = WELL
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def trouble(self, kind: str) -> Iterator[None]:
        """Be in one kind of trouble until the block ends."""
        began = time.time()
        self._become(kind)
        try:
            yield
        finally:
            self._become(WELL)
            # An answer that is under way is late all the same.
            self.troubles.append((began, time.time() + SLOW_SECONDS))

    def _become(self, kind: str) -> None:
        with self._changed:
            self._is = kind
            self._changed.notify_all()

    def answer(self, address: str) -> tuple[int, Json]:
        """The status and body for an address, after as long as it takes."""
        with self._changed:
            self.asked += 1
            now = self._is
            if now == HANGS:
                self._changed.wait_for(lambda: self._is != HANGS, HANG_SECONDS_MAX)
                now = self._is
        if now == SLOW:
            time.sleep(SLOW_SECONDS)
        if status := _REFUSALS.get(now):
            return status, _error(f"in trouble: {now}")
        url = urlsplit(address)
        stripe_object = self._found(
            url.path.removeprefix("/v1/").split("/"), dict(parse_qsl(url.query))
        )
        with self._changed:
            self.answered += 1
        if stripe_object is None:
            missing = _error("No such object") | {"code": "resource_missing"}
            return http.HTTPStatus.NOT_FOUND, missing
        return http.HTTPStatus.OK, stripe_object

    def _found(self, words: Sequence[str], query: dict[str, str]) -> Json | None:
        match words:
            case ["invoices" | "subscriptions" | "charges", name] | ["checkout", "sessions", name]:
                return self._object(name)
            case ["invoices", name, "lines"]:
                return self._list_of(name, "lines")
            case ["subscription_items"]:
                return self._list_of(query.get("subscription", ""), "items")
            case ["invoice_payments"]:
                intent = query.get("payment[payment_intent]")
                payments = self._of("invoice_payment")
                return _list([item for item in payments if item["payment"].get(_INTENT) == intent])
            case ["checkout", "sessions"]:
                sessions = self._of("checkout.session")
                return _list([item for item in sessions if item[_INTENT] == query.get(_INTENT)])
        # What never arrives is another fault's matter.
        return _list([]) if words == ["events"] else None

    def _object(self, name: str) -> Json | None:
        """An object; a session with its line items, which no event tells."""
        stripe_object = self.objects.get(name)
        if stripe_object is None or name not in self.account.sessions:
            return stripe_object
        return stripe_object | {"line_items": asked.line_items(self.account, name)}

    def _list_of(self, name: str, key: str) -> Json:
        return _list(self.objects.get(name, {}).get(key, {}).get("data", []))

    def _of(self, kind: str) -> list[Json]:
        return [item for item in self.objects.values() if item.get("object") == kind]


def _list(entries: Sequence[Json]) -> Json:
    return {"object": "list", "data": list(entries), "has_more": False}


def _error(message: str) -> Json:
    return {"error": {"type": "api_error", "message": message}}


def known(events: Sequence[Event]) -> dict[str, Json]:
    """Every object as the newest event of it says, by id."""
    objects: dict[str, Json] = {}
    for event in sorted(events, key=lambda event: event.created):
        stripe_object = event.payload["data"]["object"]
        if isinstance(stripe_object.get("id"), str):
            objects[stripe_object["id"]] = stripe_object
    return objects


def with_cut_lists(events: Sequence[Event]) -> list[Event]:
    """The same events, those of some invoices with a list that lacks its last line."""
    chosen: dict[str, bool] = {}
    cut: list[Event] = []
    for event in events:
        payload = event.payload
        stripe_object = payload["data"]["object"]
        # One that is only announced has no id, and no list of its own to ask for.
        if stripe_object.get("object") == "invoice" and stripe_object.get("id"):
            is_cut = chosen.setdefault(stripe_object["id"], len(chosen) % CUT_EVERY == 0)
            if is_cut:
                lines = stripe_object["lines"]
                stripe_object["lines"] = lines | {"data": lines["data"][:-1], "has_more": True}
                event = replace(event, body=orjson.dumps(payload))  # noqa: PLW2901 - its twin.
        cut.append(event)
    return cut


@contextmanager
def stand_in(account: Engine) -> Iterator[StandIn]:
    """A server on a free port of this machine that knows what this account sold."""
    stripe = StandIn(known(account.events), account)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, answer = stripe.answer(self.path)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name.
            """Say nothing."""

    with serving(Handler, calm=True) as stripe.url:
        yield stripe
