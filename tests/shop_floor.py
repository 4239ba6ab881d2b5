"""The whole shop for flow tests: our app over HTTP, a worker, and the offline Stripe beside them.

Webhooks come signed over a socket; a worker's thread drains when it is woken. Who buys in it
is in `tests.buyers`.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flask import Flask
from redis import Redis
from sqlalchemy import text
from werkzeug.serving import make_server

import settings
from db.checkout import eligibility
from db.queue.stream import EventStream, connect
from domain.catalogue.plans import Catalogue, Plan
from ingest.app import create_app
from ingest.context import ReceiverContext, open_context
from sandbox.simulate.contract_records import Subscription
from sandbox.stripe.server import _Quiet
from stripe_gateway import open_gateway
from tests.ingest.builders import ENVIRONMENT
from tests.offline_stripe import DAY, KEY, SECRET, Offline, offline_stripe
from tests.pipeline import a_worker_context, sell
from tests.play import a_plan
from workers.context import WorkerContext
from workers.operations.audit import Finding, audit
from workers.operations.catalogue_sync import CatalogueSync
from workers.pipeline.drain import drain
from workers.questions.asking import ask_stripe

WEBHOOK = "/billing/stripe/webhook/"
SHOP = "https://shop.example.com"

BASIC, PRO, YEARLY, TRIED, REFILL, PACK = 1, 2, 3, 4, 5, 6
# Nothing of these was ever made at Stripe: their prices are spelled out.
INLINE_PACK, INLINE_REFILL = 7, 8


def _package(plan_id: int, tokens: int, **changes: Any) -> Plan:
    return a_plan(plan_id, tokens, **{"type": "token", "interval": None} | changes)


SYNCED = (
    a_plan(BASIC, 2_000, prices={"usd": 2_000, "eur": 1_800}),
    a_plan(PRO, 6_000, prices={"usd": 5_000, "eur": 4_500, "jpy": 7_000}),
    a_plan(YEARLY, 80_000, interval="year", prices={"usd": 50_000}),
    a_plan(TRIED, 4_000, prices={"usd": 3_000}, trial_days=14, trial_tokens=500),
    _package(REFILL, 3_000, interval="month", prices={"usd": 1_200, "eur": 1_100}),
    _package(PACK, 1_000, prices={"usd": 500, "eur": 460, "jpy": 800}),
)
UNSYNCED = (
    _package(INLINE_PACK, 700, prices={"usd": 700, "jpy": 900}),
    _package(INLINE_REFILL, 500, interval="month", prices={"usd": 600}),
)
PLANS = {plan.id: plan for plan in (*SYNCED, *UNSYNCED)}

_PATIENCE_SECONDS = 20.0
_POLL_SECONDS = 0.01
_REDIS_TIMEOUT_SECONDS = 3.0

Json = dict[str, Any]


def wait_for(done: Callable[[], bool], what: str) -> None:
    """Wait until something is so; fails when it never is."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < end, f"{what}: it never came to be"
        time.sleep(_POLL_SECONDS)


@dataclass(slots=True)
class Worker:
    """A thread that drains whenever it is woken; what breaks it is kept for the test."""

    context: WorkerContext
    broken: list[BaseException] = field(default_factory=list)
    _wake_up: threading.Event = field(default_factory=threading.Event)
    _ended: bool = False

    def send_wake_up(self) -> None:
        """Ask for a drain."""
        self._wake_up.set()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Work for as long as the block runs."""
        thread = threading.Thread(target=self._work, name="worker", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended = True
            self.send_wake_up()
            thread.join(_PATIENCE_SECONDS)

    def _work(self) -> None:
        while self._wake_up.wait() and not self._ended:
            self._wake_up.clear()
            try:
                drain(self.context, self.send_wake_up)
            except BaseException as error:  # noqa: BLE001 - the test is told of whatever it is.
                self.broken.append(error)


@dataclass(frozen=True, slots=True)
class Floor:
    """The shop, and the Stripe account that it sells through; `environment` is its settings."""

    environment: Mapping[str, str]
    app: Flask
    receiver: ReceiverContext
    context: WorkerContext
    worker: Worker
    stripe: Offline

    def settle(self, *, asks: bool = True) -> None:
        """Wait until every webhook is delivered and applied.

        Where the order of a second is left open Stripe is asked, unless nobody `asks`.
        """
        wait_for(self._is_delivered, "webhooks delivered")
        wait_for(self._is_drained, "events applied")
        if asks:
            ask_stripe(self.context)

    def pass_days(self, days: float) -> None:
        """Put Stripe's clock forward, and wait for what that causes."""
        self.stripe.world.advance(int(days * DAY))
        self.settle()

    def end_contracts(self) -> None:
        """End whatever would renew when a later story lets time pass."""
        with self.stripe.world.acting() as act:
            for each in list(act.shop.every(Subscription)):
                if each.ended_at is None:
                    act.shop.close(each)

    def price_of(self, plan_id: int, currency: str = "usd") -> str:
        """The id of the price at which a synchronised plan is sold."""
        with self.context.engine.connect() as connection:
            offer = eligibility.offer(connection, PLANS[plan_id].type, plan_id)
        assert offer is not None
        return offer.price_ids[currency]

    @contextmanager
    def webhooks_held(self) -> Iterator[None]:
        """Hold back what Stripe tells while the block runs; deliver it all at its end."""
        self.stripe.world.set_switches(delay_seconds=3_600.0)
        try:
            yield
        finally:
            self.stripe.world.set_switches(delay_seconds=0.0)
            self._release()

    def _release(self) -> None:
        self.stripe.world.deliver_now()
        self.settle()

    def differences(self) -> list[Finding]:
        """What the audit finds fault with."""
        found: list[Finding] = []
        verdict = audit(self.context.engine, found.append, lambda _done, _total: None)
        assert verdict.counts.dead == 0
        return found

    def rows(self, statement: str, **values: Any) -> Any:
        """Read from the tables what no endpoint shows."""
        with self.context.engine.connect() as connection:
            return connection.execute(text(statement), values).all()

    def _is_delivered(self) -> bool:
        with self.stripe.world.reading():
            log = self.stripe.world.log
            # What no endpoint is told of is delivered to none.
            done = all(
                posting.delivery in ("delivered", "lost")
                for one in log.posted
                for posting in one.postings.values()
            )
            return log.next_at is None and done

    def _is_drained(self) -> bool:
        assert self.worker.broken == []
        found = self.rows(
            "SELECT id, error, status FROM webhook_events"
            " WHERE status NOT IN ('applied', 'ignored')"
        )
        assert [each for each in found if each.status != "received"] == []
        return not found and self.context.events.length() == 0


@contextmanager
def shop_floor(database_url: str, redis_url: str, folder: Path) -> Iterator[Floor]:
    """Open the shop on empty engines: catalogue loaded, synchronised with a fresh account."""
    # One thread, as each keeps its own connection to Redis; a server with threads makes ever more.
    server = make_server("127.0.0.1", 0, _closed, request_handler=_Quiet)
    url = f"http://127.0.0.1:{server.server_port}{WEBHOOK}"
    serving = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    with offline_stripe(folder / "stripe.sqlite", webhook_url=url) as stripe:
        environment = _environment(database_url, redis_url, stripe.url)
        found = settings.load(environ=environment)
        client = connect(redis_url, timeout_seconds=_REDIS_TIMEOUT_SECONDS)
        context = replace(
            a_worker_context(database_url, redis_url),
            events=EventStream(client),
            gateway=open_gateway(found),
            test_mode=found.stripe_test_mode,
        )
        worker = Worker(context)
        # The broker would send the wake-up to a process of its own.
        receiver = open_context(found, send_wake_up=worker.send_wake_up)
        app = create_app(found, opened=receiver)
        server.app = app
        serving.start()
        try:
            with worker.at_work():
                floor = Floor(environment, app, receiver, context, worker, stripe)
                _stock(floor)
                yield floor
        finally:
            server.shutdown()
            server.server_close()
            serving.join()
            _let_go(receiver, context, client)


def _closed(_environ: object, _start: object) -> list[bytes]:
    raise AssertionError("nothing is asked before the shop is open")


def _environment(database_url: str, redis_url: str, stripe_url: str) -> Mapping[str, str]:
    return ENVIRONMENT | {
        "DATABASE_URL": database_url.replace("+psycopg2", ""),
        "REDIS_URL": redis_url,
        "STRIPE_API_BASE": stripe_url,
        "STRIPE_SECRET_KEY": KEY,
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "STRIPE_SUCCESS_URL": f"{SHOP}/bought",
        "STRIPE_CANCEL_URL": f"{SHOP}/plans",
        "STRIPE_PORTAL_RETURN_URL": f"{SHOP}/account",
    }


def _stock(floor: Floor) -> None:
    engine, gateway = floor.context.engine, floor.receiver.gateway
    assert gateway is not None
    sell(engine, Catalogue.of(SYNCED))
    sync = CatalogueSync(engine, gateway, test_mode=True)
    assert [done.problem for done in sync.carry_out(sync.plan()) if done.problem] == []
    sell(engine, Catalogue.of(UNSYNCED))
    floor.settle()


def _let_go(receiver: ReceiverContext, context: WorkerContext, client: Redis) -> None:
    receiver.engine.dispose()
    context.engine.dispose()
    for opened in (receiver.redis, client):
        with suppress(OSError):
            opened.close()
