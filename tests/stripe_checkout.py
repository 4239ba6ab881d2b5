"""Stripe's side of a checkout, over HTTP, for the real client: customers, sessions, portal.

It keeps Stripe's rules that selling relies on: an idempotency key answers what it answered before
(500s too), other parameters under it are refused, and unknown customers and prices are refused.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from itertools import count
from threading import Event, Lock
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from dev.faults.local_server import serving

Json = dict[str, Any]

# What the package of the tests costs, wherever a test does not say otherwise.
SOLD = {"amount_subtotal": 500, "amount_total": 500, "currency": "usd"}
EXPIRES = 4_000_000_000
EXPIRE = "POST checkout/sessions/"


class Answer(NamedTuple):
    """What Stripe answers."""

    status: int
    body: Json
    headers: Mapping[str, str] = {}


class Asked(NamedTuple):
    """One request, as it came."""

    what: str
    params: Json
    key: str | None


@dataclass
class StripeAccount:
    """What Stripe holds, what it was asked, and what goes wrong.

    `faults` are used up in turn by what is asked as named (`POST customers`): a status to refuse
    with, `lost` (done, but a stored 500), `broken` (not done, and a stored 500), `mute` (done, but
    the line goes dead), `hang` (no answer while the test lasts).
    """

    url: str = ""
    customers: dict[str, Json] = field(default_factory=dict)
    sessions: dict[str, Json] = field(default_factory=dict)
    objects: dict[str, Json] = field(default_factory=dict)
    prices: set[str] = field(default_factory=set)
    faults: dict[str, list[int | str]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    delay_seconds: float = 0.0
    waits: int | None = None
    keys: dict[str, tuple[Json, Answer]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    lock: Lock = field(default_factory=Lock)
    over: Event = field(default_factory=Event)

    def count(self, what: str) -> int:
        """How often this was asked."""
        return sum(each.what == what for each in self.asked)

    def wait_until_asked(self) -> None:
        """Return while the first question is under way; `delay_seconds` says for how long."""
        end = time.monotonic() + 10
        while not self.asked:
            assert time.monotonic() < end, "Stripe was not asked"
            time.sleep(0.005)

    @property
    def payable(self) -> list[str]:
        """The sessions that somebody could pay now."""
        return [name for name, each in self.sessions.items() if each["status"] == "open"]

    def only(self, what: str) -> Asked:
        """The one request of this kind."""
        [found] = [each for each in self.asked if each.what == what]
        return found

    def answer(self, method: str, path: str, params: Json, key: str | None) -> Answer | None:
        """What comes of a request; None when the line goes dead."""
        what = f"{method} {path}"
        with self.lock:
            self.asked.append(Asked(what, params, key))
            faults = self.faults.get(what, [])
            fault = faults.pop(0) if faults else None
        time.sleep(self.delay_seconds)
        if fault == "hang":
            self.over.wait(30)
            return None
        if isinstance(fault, int):
            told = {"Retry-After": str(self.waits)} if self.waits else {}
            return Answer(fault, {"error": _error("told_to", fault)}, told)
        with self.lock:
            answer = self._keyed(what, params, key, fault)
        return None if fault == "mute" else answer

    def _keyed(self, what: str, params: Json, key: str | None, fault: object) -> Answer:
        if key in self.keys and key is not None:
            before, answer = self.keys[key]
            if before != params:
                error = {"type": "idempotency_error", "message": "other parameters"}
                return Answer(400, {"error": error})
            return answer
        failed = Answer(500, {"error": _error("api_error", 500)})
        answer = failed if fault == "broken" else self._do(what, params)
        if fault == "lost":
            answer = failed
        if key and (answer.status == 200 or answer.status >= 500):
            self.keys[key] = (params, answer)
        return answer

    def _do(self, what: str, params: Json) -> Answer:
        place, _, object_id = what.partition("GET checkout/sessions/")
        if object_id and not place:
            return self._shown(object_id, params)
        if what.startswith(EXPIRE) and what.endswith("/expire"):
            return self._expired(what.split("/")[2])
        do = {
            "POST customers": lambda: self._made(self.customers, "cus_made", "customer", params),
            "GET customers": lambda: _list(self.customers.values()),
            "GET customers/search": lambda: self._found(params["query"]),
            "POST checkout/sessions": lambda: self._session(params),
            "GET checkout/sessions": lambda: self._sessions_of(params["customer"]),
            "POST billing_portal/sessions": lambda: self._portal(params),
        }.get(what)
        return do() if do else Answer(404, {"error": _error("resource_missing", 404)})

    def _found(self, query: str) -> Answer:
        _, _, wanted = query.partition(":")
        users = (each for each in self.customers.values() if _user(each) == wanted.strip("'"))
        return _list(users)

    def _sessions_of(self, customer: str) -> Answer:
        return _list(each for each in self.sessions.values() if each["customer"] == customer)

    def _made(self, known: dict[str, Json], prefix: str, kind: str, params: Json) -> Answer:
        made: Json = {
            "id": f"{prefix}_{next(self.numbers)}",
            "object": kind,
            "created": 1_700_000_000,
        }
        known[made["id"]] = made | params
        return Answer(200, known[made["id"]])

    def _session(self, params: Json) -> Answer:
        if refused := self._unknown_customer(params):
            return refused
        price = params["line_items"]["0"].get("price")
        if price and price not in self.prices:
            return _missing("line_items[0][price]")
        params = params | {"status": "open", "payment_status": "unpaid", "expires_at": EXPIRES}
        answer = self._made(self.sessions, "cs_test", "checkout.session", params)
        answer.body["url"] = f"https://checkout.stripe.example/{answer.body['id']}"
        return Answer(200, dict(answer.body))

    def _shown(self, session_id: str, params: Json) -> Answer:
        if session_id not in self.sessions:
            return Answer(404, {"error": _error("resource_missing", 404)})
        found = {**SOLD, **self.sessions[session_id]}
        for key in params.get("expand", {}).values():
            found[key] = self.objects.get(found.get(key) or "", found.get(key))
        return Answer(200, found)

    def _expired(self, session_id: str) -> Answer:
        if session_id not in self.sessions:
            return Answer(404, {"error": _error("resource_missing", 404)})
        session = self.sessions[session_id]
        if session["status"] != "open":
            return Answer(400, {"error": {"type": "invalid_request_error", "message": "not open"}})
        session["status"] = "expired"
        return Answer(200, dict(session))

    def _portal(self, params: Json) -> Answer:
        if refused := self._unknown_customer(params):
            return refused
        return Answer(200, {"id": "bps_1", "url": "https://billing.stripe.example/p/1"})

    def _unknown_customer(self, params: Json) -> Answer | None:
        return None if params["customer"] in self.customers else _missing("customer")


def _user(found: Json) -> str | None:
    user: str | None = found.get("metadata", {}).get("user_id")
    return user


def _list(found: Any) -> Answer:
    return Answer(200, {"object": "list", "data": list(found)[::-1], "has_more": False})


def _missing(param: str) -> Answer:
    error = _error("resource_missing", 400) | {"param": param}
    return Answer(400, {"error": error})


def _error(code: str, status: int) -> Json:
    kind = "api_error" if status >= 500 else "invalid_request_error"
    return {"type": kind, "code": code, "message": "sk_test_hidden is what nobody may read"}


@contextmanager
def serve() -> Iterator[StripeAccount]:
    """An account on a free port of this machine, for as long as the block runs."""
    stripe = StripeAccount()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            self._answer("GET", url.path, url.query)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            self._answer("POST", self.path, body)

        def _answer(self, method: str, path: str, form: str) -> None:
            key = self.headers["Idempotency-Key"]
            # The client makes up a key where none is given; only ours are remembered.
            key = key if key and key.startswith(("checkout:", "customer:")) else None
            answer = stripe.answer(method, path.removeprefix("/v1/"), nested(form), key)
            if answer is None:
                self.close_connection = True
                return
            body = json.dumps(answer.body).encode()
            self.send_response(answer.status)
            told = {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                "Stripe-Should-Retry": "false",
                "Request-Id": "req_of_the_tests",
            }
            for name, value in (told | dict(answer.headers)).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name.
            """Say nothing."""

    with serving(Handler) as stripe.url:
        try:
            yield stripe
        finally:
            stripe.over.set()


def nested(form: str) -> Json:
    """Form parameters such as `metadata[plan_id]=1` as nested objects of strings."""
    found: Json = {}
    for name, value in parse_qsl(form, keep_blank_values=True):
        *outer, last = name.replace("]", "").split("[")
        place = found
        for key in outer:
            place = place.setdefault(key, {})
        place[last] = value
    return found
