"""The whole shop for flow tests: our app over HTTP, a worker, and the offline Stripe beside them.

Tests act as people do: a buyer asks our API and pays on Stripe's pages, a seller uses Stripe's
dashboard, and time passes. Webhooks come signed over a socket; a worker's thread drains when its
bell rings.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from re import search
from typing import Any

from flask import Flask
from sqlalchemy import text
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

import settings
from dev.simulate.records import Customer, Subscription
from dev.stripe.server import _Quiet
from dev.stripe.views import Checkout, Paid, PaymentLine, Portal
from domain.catalogue import Catalogue, Plan
from ingest.app import create_app
from ingest.edge import Edge, open_edge
from tests.ingest.builders import ENVIRONMENT, as_user
from tests.offline_stripe import DAY, GOOD, KEY, SECRET, Offline, offline_stripe
from tests.pipeline import a_wiring, sell
from tests.play import a_plan
from workers.audit import Finding, audit
from workers.catalogue_sync import CatalogueSync
from workers.drain import drain
from workers.ties import settle_ties
from workers.wiring import Wiring

CHECKOUT = "/billing/stripe/checkout-session/"
PORTAL = "/billing/stripe/customer-portal/"
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
    _package(REFILL, 3_000, interval="month", prices={"usd": 1_200}),
    _package(PACK, 1_000, prices={"usd": 500, "eur": 460, "jpy": 800}),
)
UNSYNCED = (
    _package(INLINE_PACK, 700, prices={"usd": 700, "jpy": 900}),
    _package(INLINE_REFILL, 500, interval="month", prices={"usd": 600}),
)
_PLANS = {plan.id: plan for plan in (*SYNCED, *UNSYNCED)}

_PATIENCE_SECONDS = 20.0
_POLL_SECONDS = 0.01

Json = dict[str, Any]


def wait_for(done: Callable[[], bool], what: str) -> None:
    """Wait until something is so; fails when it never is."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < end, f"{what}: it never came to be"
        time.sleep(_POLL_SECONDS)


@dataclass(slots=True)
class Worker:
    """A thread that drains whenever the bell rings; what breaks it is kept for the test."""

    wiring: Wiring
    broken: list[BaseException] = field(default_factory=list)
    _bell: threading.Event = field(default_factory=threading.Event)
    _ended: bool = False

    def ring(self) -> None:
        """Ask for a drain."""
        self._bell.set()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Work for as long as the block runs."""
        thread = threading.Thread(target=self._work, name="worker", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended = True
            self.ring()
            thread.join(_PATIENCE_SECONDS)

    def _work(self) -> None:
        while self._bell.wait() and not self._ended:
            self._bell.clear()
            try:
                drain(self.wiring, self.ring)
            except BaseException as error:  # noqa: BLE001 - the test is told of whatever it is.
                self.broken.append(error)


@dataclass(frozen=True, slots=True)
class Floor:
    """The shop, and the Stripe account that it sells through."""

    app: Flask
    edge: Edge
    wiring: Wiring
    worker: Worker
    stripe: Offline

    def buyer(self, user: str) -> "Buyer":
        """Someone with a token of ours."""
        return Buyer(self, user)

    def settle(self) -> None:
        """Wait until every webhook is delivered and applied, undecided ties too."""
        wait_for(self._is_delivered, "webhooks delivered")
        wait_for(self._is_drained, "events applied")
        settle_ties(self.wiring)

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

    def release(self) -> None:
        """Deliver at once what a delay holds back."""
        log = self.stripe.world.log
        with self.stripe.world.reading():
            # All at one time keeps the heap in the order in which the events happened.
            log._queue[:] = sorted((0.0, position, key) for _, position, key in log._queue)
            self.stripe.world._news.notify_all()
        self.settle()

    def differences(self) -> list[Finding]:
        """What the audit finds fault with."""
        found: list[Finding] = []
        verdict = audit(self.wiring.engine, found.append, lambda _done, _total: None)
        assert verdict.counts.dead == 0
        return found

    def rows(self, statement: str, **values: Any) -> Any:
        """Read from the tables what no endpoint shows."""
        with self.wiring.engine.connect() as connection:
            return connection.execute(text(statement), values).all()

    def _is_delivered(self) -> bool:
        with self.stripe.world.reading():
            log = self.stripe.world.log
            done = all(one.delivery in ("delivered", "lost") for one in log.posted)
            return log.next_at is None and done

    def _is_drained(self) -> bool:
        assert self.worker.broken == []
        if self.wiring.events.length():
            return False
        rest = "SELECT id, type, error FROM webhook_events WHERE status NOT IN ('applied', 'ignored')"
        assert self.rows(rest) == []
        return True


@dataclass(frozen=True, slots=True)
class Buyer:
    """A user of the shop: asks our API with a token, and acts on Stripe's pages."""

    floor: Floor
    user: str

    # What the frontend asks.

    def ask(self, plan_id: int, **body: Any) -> TestResponse:
        """Ask for a checkout session."""
        wanted = {"plan_type": _PLANS[plan_id].type, "plan_id": plan_id} | body
        client = self.floor.app.test_client()
        return client.post(CHECKOUT, json=wanted, headers=as_user(self.user))

    def checkout(self, plan_id: int, **body: Any) -> str:
        """Open a checkout page, which Stripe has; the session's id."""
        answer = self.ask(plan_id, **body)
        assert answer.status_code == 200, answer.text
        found: Json = answer.get_json()
        assert found["url"].startswith(self.floor.stripe.url), found
        return str(found["session_id"])

    def get(self, path: str) -> Any:
        """What an endpoint shows."""
        answer = self.floor.app.test_client().get(path, headers=as_user(self.user))
        assert answer.status_code == 200, answer.text
        return answer.get_json()

    def status(self, session_id: str) -> Json:
        """What the success page is told."""
        found: Json = self.get(f"{CHECKOUT}{session_id}/")
        assert found.pop("session_id") == session_id
        return found

    def visit(self, **body: Any) -> str:
        """Open the portal; the visit's id at Stripe."""
        client = self.floor.app.test_client()
        answer = client.post(PORTAL, json=body, headers=as_user(self.user))
        assert answer.status_code == 200, answer.text
        found = search(r"bps_\w+", answer.get_json()["url"])
        assert found, answer.text
        return found[0]

    @property
    def balance(self) -> int:
        """Tokens."""
        return int(self.get("/billing/tokens/")["balance"])

    @property
    def ledger(self) -> list[tuple[str, int]]:
        """Kind and delta of every entry, oldest first; they must add up to the balance."""
        entries = self.get("/billing/tokens/ledger/")["items"][::-1]
        total = 0
        for entry in entries:
            total += entry["delta"]
            assert entry["balance_after"] == total
        assert total == self.balance
        return [(entry["kind"], entry["delta"]) for entry in entries]

    @property
    def payments(self) -> list[Json]:
        """Payments, oldest first."""
        found: list[Json] = self.get("/billing/payments/")["items"]
        return found[::-1]

    @property
    def paid(self) -> list[tuple[str, int, int]]:
        """Status, amount and tokens of every payment, oldest first."""
        return [(each["status"], each["amount"], each["tokens"]) for each in self.payments]

    @property
    def subscription(self) -> Json:
        """The one subscription."""
        [found] = self.get("/billing/subscriptions/")["items"]
        return dict(found)

    # What is done on Stripe's pages.

    def buy(self, plan_id: int, card: str = GOOD, **body: Any) -> str:
        """Buy by card, and come back to a page that finds it complete; the session's id."""
        session_id = self.checkout(plan_id, **body)
        assert isinstance(self.floor.stripe.world.pay(session_id, card), Paid)
        self.floor.settle()
        found = self.status(session_id)
        assert (found["status"], found["plan_id"]) == ("complete", plan_id)
        return session_id

    def subscribe(self, plan_id: int, card: str = GOOD, **body: Any) -> str:
        """Buy what renews; the subscription's id, the same for us and for Stripe."""
        session_id = self.buy(plan_id, card, **body)
        known: str = self.status(session_id)["subscription_id"]
        stripes = self.floor.stripe.client.v1.checkout.sessions.retrieve(session_id)
        assert known == stripes.subscription
        return known

    def page(self, session_id: str) -> Checkout:
        """The checkout page as it shows itself."""
        shown = self.floor.stripe.world.checkout(session_id)
        assert shown is not None
        return shown

    def portal(self, visit: str) -> Portal:
        """The portal as it shows itself."""
        shown = self.floor.stripe.world.portal(visit)
        assert shown is not None
        return shown

    def pass_period(self) -> None:
        """Let time pass until the subscription has been renewed, or failed to be."""
        ends = int(datetime.fromisoformat(self.subscription["current_period_end"]).timestamp())
        self.floor.stripe.world.advance(ends - self.floor.stripe.world.now)
        self.floor.settle()

    # What the seller sees.

    @property
    def customer(self) -> str:
        """The living Stripe customer of this user."""
        with self.floor.stripe.world.reading() as shop:
            found = [each for each in shop.every(Customer) if each.user_id == self.user]
        [living] = [each.id for each in found if not each.deleted]
        return living

    @property
    def charge(self) -> PaymentLine:
        """The newest charge of this user."""
        customer = self.customer
        lines = self.floor.stripe.world.dashboard().payments
        return next(line for line in lines if line.customer_id == customer)

    def refund(self, amount_minor: int | None = None) -> str:
        """Give some of the newest charge back, or all that is left; the refund's id."""
        refund = self.floor.stripe.world.refund(self.charge.charge_id, amount_minor)
        self.floor.settle()
        return refund


@contextmanager
def shop_floor(database_url: str, redis_url: str, folder: Path) -> Iterator[Floor]:
    """Open the shop on empty engines: catalogue loaded, synchronised with a fresh account."""
    # One thread, as each keeps its own connection to Redis; a server with threads makes ever more.
    server = make_server("127.0.0.1", 0, _closed, request_handler=_Quiet)
    url = f"http://127.0.0.1:{server.server_port}{WEBHOOK}"
    serving = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    with offline_stripe(folder / "stripe.sqlite", webhook_url=url) as stripe:
        found = settings.load(environ=_environment(database_url, redis_url, stripe.url))
        edge = open_edge(found)
        plain = a_wiring(database_url, redis_url)
        wiring = replace(plain, gateway=edge.gateway, test_mode=found.stripe_test_mode)
        worker = Worker(wiring)
        # In place of the broker, which would send the bell to a process of its own.
        edge.intake._ring = worker.ring
        app = create_app(found, opened=edge)
        server.app = app
        serving.start()
        try:
            with worker.at_work():
                floor = Floor(app, edge, wiring, worker, stripe)
                _stock(floor)
                yield floor
        finally:
            server.shutdown()
            server.server_close()
            serving.join()
            _let_go(edge, wiring)


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
    engine, gateway = floor.wiring.engine, floor.edge.gateway
    assert gateway is not None
    sell(engine, Catalogue.of(SYNCED))
    sync = CatalogueSync(engine, gateway, test_mode=True)
    assert [done.problem for done in sync.carry_out(sync.plan()) if done.problem] == []
    sell(engine, Catalogue.of(UNSYNCED))
    floor.settle()


def _let_go(edge: Edge, wiring: Wiring) -> None:
    edge.engine.dispose()
    wiring.engine.dispose()
    for client in (edge.redis, wiring.events._client):
        with suppress(OSError):
            client.close()
