"""Answers one request of the API: key, version, idempotency, parameters, the act, the drawing.

Every answer has a request id and the date of the account's own clock, errors have Stripe's shape,
and what was answered under an idempotency key is answered again.
"""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, NoReturn

import orjson

import telemetry
from sandbox.simulate.versions import ApiVersion
from sandbox.stripe.addresses import at_home
from sandbox.stripe.agenda import Shop
from sandbox.stripe.api import (
    account,
    balance,
    billing,
    catalogue,
    checkout,
    clocks,
    configurations,
    credit_notes,
    customers,
    empty,
    event_destinations,
    events_v2,
    money,
    offers,
    owed,
    paying,
    plans,
    portal,
    prices,
    webhook_endpoints,
)
from sandbox.stripe.api.admission import Asked, admit
from sandbox.stripe.api.calls import Call, Endpoint
from sandbox.stripe.api.drawing import Drawer, speaking
from sandbox.stripe.api.expanding import Expander
from sandbox.stripe.api.parameters import Group, Many, text
from sandbox.stripe.errors import (
    Refusal,
    failed,
    invalid,
    key_in_use,
    key_misused,
    unrecognised,
)
from sandbox.stripe.forms import decode
from sandbox.stripe.goods import NEWEST
from sandbox.stripe.state.store import Answer
from sandbox.stripe.world import World

ENDPOINTS: tuple[Endpoint, ...] = (
    *customers.ENDPOINTS,
    *catalogue.ENDPOINTS,
    *prices.ENDPOINTS,
    *offers.ENDPOINTS,
    *owed.ENDPOINTS,
    *checkout.ENDPOINTS,
    *portal.ENDPOINTS,
    *configurations.ENDPOINTS,
    *billing.ENDPOINTS,
    *money.ENDPOINTS,
    *credit_notes.ENDPOINTS,
    *account.ENDPOINTS,
    *webhook_endpoints.ENDPOINTS,
    *event_destinations.ENDPOINTS,
    *events_v2.ENDPOINTS,
    *plans.ENDPOINTS,
    *paying.ENDPOINTS,
    *balance.ENDPOINTS,
    *clocks.ENDPOINTS,
    *empty.ENDPOINTS,
)
_KEY_CHARACTERS_MAX = 255
_EXPAND = Many(text, most=20)
_log = telemetry.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answered:
    """What goes back."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class _UndoneError(Exception):
    """Takes an answer out of an act that is to be undone."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.body = body


def _undo(body: bytes) -> NoReturn:
    raise _UndoneError(body)


class Dispatch:
    """The API on one account."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._under_way: set[str] = set()
        self._guard = threading.Lock()

    def answer(self, endpoint: Endpoint | None, asked: Asked) -> Answered:
        """Answer a request to an endpoint; where there is none, with a refusal that says so."""
        return self._guarded(asked, lambda request_id: self._answer(endpoint, asked, request_id))

    def _guarded(self, asked: Asked, work: Callable[[str], Answered]) -> Answered:
        """Check the key, do some work, and give what it refuses the shape of Stripe's errors."""
        request_id = f"req_{secrets.token_hex(7)}"
        version = asked.headers.get("stripe-version") or NEWEST.name
        headers = {"Request-Id": request_id, "Stripe-Version": version}
        try:
            self._world.gate.enter()
            key = admit(asked, version, self._world.account_id)
            self._world.keys.check(key, asked.method, asked.path, self._world.account_id)
            answered = work(request_id)
        except Refusal as refusal:
            answered = _refused(refusal)
        except Exception:  # noqa: BLE001 - whatever broke, a client is owed an error it can read.
            _log.exception("the offline Stripe failed", path=asked.path, request_id=request_id)
            answered = _refused(failed(request_id))
        return Answered(
            answered.status, answered.body, {**self._dated(), **headers, **answered.headers}
        )

    def _answer(self, endpoint: Endpoint | None, asked: Asked, request_id: str) -> Answered:
        if endpoint is None:
            raise unrecognised(asked.method, asked.path)
        key = asked.headers.get("idempotency-key") if asked.method == "POST" else None
        if not key:
            return self._do(endpoint, asked, request_id, None, "")
        if len(key) > _KEY_CHARACTERS_MAX:
            message = f"Idempotency keys can have up to {_KEY_CHARACTERS_MAX} characters."
            raise invalid(message)
        print_ = _fingerprint(asked)
        with self._alone(key):
            before = self._world.answer(key)
            if before is None:
                return self._do(endpoint, asked, request_id, key, print_)
            if before.request != print_:
                raise key_misused(key)
            return Answered(before.status, before.body, {"Idempotent-Replayed": "true"})

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        with self._guard:
            if key in self._under_way:
                raise key_in_use(key)
            self._under_way.add(key)
        try:
            yield
        finally:
            with self._guard:
                self._under_way.discard(key)

    def _do(
        self, endpoint: Endpoint, asked: Asked, request_id: str, key: str | None, print_: str
    ) -> Answered:
        if asked.method == "GET" and asked.id and not asked.pairs:
            life = self._world.life_at(asked.path)
            if life is not None:
                return Answered(HTTPStatus.OK, life, self._dated())
        params, expand = _parameters(endpoint, asked)
        if asked.method == "GET":
            self._world.tick()
            with self._world.reading() as shop:
                body = self._run(shop, endpoint, asked, params, expand)
                return Answered(HTTPStatus.OK, body, {**self._dated(), **endpoint.headers})
        if endpoint.undone:
            return self._try_out(endpoint, asked, request_id, params, expand)
        with self._world.acting((request_id, key)) as act:
            try:
                body = self._run(act.shop, endpoint, asked, params, expand)
                answered = Answered(HTTPStatus.OK, body, self._dated())
            except Refusal as refusal:
                # A declined card has left its traces; whatever else is refused undoes itself.
                if refusal.status != HTTPStatus.PAYMENT_REQUIRED:
                    raise
                answered = _refused(refusal)
            if key:
                act.answer = Answer(key, print_, answered.status, answered.body, time.time())
        return answered

    def _try_out(
        self,
        endpoint: Endpoint,
        asked: Asked,
        request_id: str,
        params: dict[str, Any],
        expand: list[str],
    ) -> Answered:
        try:
            with self._world.acting((request_id, None)) as act:
                _undo(self._run(act.shop, endpoint, asked, params, expand))
        except _UndoneError as undone:
            return Answered(HTTPStatus.OK, undone.body, self._dated())

    def _dated(self) -> dict[str, str]:
        # Of the moment that the answer tells of, however late it leaves.
        return {"Date": formatdate(self._world.glance, usegmt=True)}

    def _run(
        self,
        shop: Shop,
        endpoint: Endpoint,
        asked: Asked,
        params: dict[str, Any],
        expand: list[str],
    ) -> bytes:
        world = self._world
        version = ApiVersion(asked.headers.get("stripe-version") or NEWEST.name)
        call = Call(
            shop=shop,
            log=world.log,
            params=params,
            id=asked.id,
            path=asked.path,
            routing=world,
            base_url=world.base_url,
            wall_now=int(time.time()),
            version=version,
            put_forward=world.put_forward,
        )
        result = endpoint.run(call)
        drawer = Drawer(shop, world.base_url, version)
        with speaking(shop, version):
            drawn = drawer.draw(result)
            expander = Expander(shop, drawer.draw, result)
            for path in expand:
                expander.expand(drawn, path)
        return at_home(orjson.dumps(drawn, option=orjson.OPT_INDENT_2), world.base_url)


def _parameters(endpoint: Endpoint, asked: Asked) -> tuple[dict[str, Any], list[str]]:
    decoded = decode(asked.pairs)
    expand = _EXPAND("expand", decoded.pop("expand", {}))
    accepts: Group = endpoint.accepts
    return accepts("", decoded), expand


def _fingerprint(asked: Asked) -> str:
    request = repr((asked.method, asked.path, sorted(asked.pairs), asked.body))
    return hashlib.sha256(request.encode()).hexdigest()


def _refused(refusal: Refusal) -> Answered:
    wait = refusal.retry_after_seconds
    headers = {} if wait is None else {"Retry-After": str(wait)}
    return Answered(refusal.status, orjson.dumps(refusal.body()), headers)
