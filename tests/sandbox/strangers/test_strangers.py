"""Clients that nobody here wrote, on a sandbox that lived a year: they find what its books say.

stripe-python, stripe-node, dj-stripe and stripe-sync-engine read everything there is. Nobody here
decided what they ask for, so they see what our own picture of Stripe lacks. Packages come at pinned
versions into `.bench/`; where they cannot be had, the tests skip and say why.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import stripe

from bench.rivals import dj_stripe, sync_engine
from bench.rivals.cache import UnavailableError, node_folder, python_folder
from dev.up.ports import free_port
from tests.conftest import Engines
from tests.offline_stripe import KEY, SECRET, Offline, offline_stripe
from tests.sandbox.strangers.books import Books, books_of
from tests.sandbox.strangers.year import live_a_year

HERE = Path(__file__).parent
# Of a machine that is busy with other things.
SECONDS_MAX = 240


@dataclass(frozen=True, slots=True)
class Lived:
    """A served account that lived a year, its file, and its books."""

    offline: Offline
    path: Path
    books: Books


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """A year that all of them read."""
    path = tmp_path_factory.mktemp("year") / "stripe.sqlite"
    with offline_stripe(path) as offline:
        live_a_year(offline)
        books = books_of(offline.world)
        assert all(books.counts.values()), books.counts
        yield Lived(offline, path, books)


def had(make: Callable[[], Path]) -> Path:
    """A folder of packages, or a skipped test with the reason."""
    try:
        return make()
    except UnavailableError as error:
        pytest.skip(str(error))


def run(words: list[str], **settings: str) -> str:
    """Run a stranger to its end; returns what it printed."""
    done = subprocess.run(
        words,
        env={**os.environ, "STRIPE_SECRET_KEY": KEY, "STRIPE_WEBHOOK_SECRET": SECRET, **settings},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def node() -> str:
    """The node that is installed."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed")
    return found


# stripe-python.


def test_stripe_python_reads_every_collection_to_its_end(lived: Lived) -> None:
    """Page after page of three, in every collection, each thing once."""
    client = lived.offline.client.v1
    services: Mapping[str, Any] = {
        "charges": client.charges,
        "coupons": client.coupons,
        "credit_notes": client.credit_notes,
        "customers": client.customers,
        "disputes": client.disputes,
        "invoices": client.invoices,
        "payment_intents": client.payment_intents,
        "prices": client.prices,
        "products": client.products,
        "refunds": client.refunds,
        "sessions": client.checkout.sessions,
        "setup_intents": client.setup_intents,
    }
    for name, service in services.items():
        ids = [one.id for one in service.list({"limit": 3}).auto_paging_iter()]
        assert len(ids) == len(set(ids)) == lived.books.counts[name], name
    contracts = client.subscriptions.list({"status": "all", "limit": 3}).auto_paging_iter()
    assert len(list(contracts)) == lived.books.counts["subscriptions"]
    events = [one.id for one in client.events.list({"limit": 100}).auto_paging_iter()]
    assert len(events) == len(set(events)) == lived.books.events


def test_stripe_python_searches_to_the_end(lived: Lived) -> None:
    """A search of pages of two finds each thing once, and counts what it finds."""
    client = lived.offline.client.v1
    params: Any = {"query": "status:'paid' AND total>0", "limit": 2, "expand": ["total_count"]}
    first = client.invoices.search(params)
    ids = [one.id for one in first.auto_paging_iter()]
    paid = [one for one in client.invoices.list({"limit": 100}).auto_paging_iter() if one.total > 0]
    wanted = {one.id for one in paid if one.status == "paid"}
    assert len(ids) == len(set(ids)) == first.to_dict()["total_count"]
    assert set(ids) == wanted
    assert sum(one.amount_paid for one in paid if one.id in wanted) == lived.books.paid


def test_stripe_python_is_told_of_declines(lived: Lived) -> None:
    """A card that says no over the API: the code, the bank's word, the page, and the intent."""
    params: Any = {
        "amount": 2000,
        "currency": "usd",
        "confirm": True,
        "payment_method": "pm_card_chargeDeclinedExpiredCard",
    }
    with pytest.raises(stripe.CardError) as error:
        lived.offline.client.v1.payment_intents.create(params)
    assert error.value.code == "expired_card"
    told = error.value.error
    assert told is not None
    assert told.doc_url == "https://stripe.com/docs/error-codes/expired-card"
    assert told.payment_intent is not None
    assert told.payment_intent.status == "requires_payment_method"


# stripe-node.


def test_stripe_node_finds_what_the_books_say(lived: Lived) -> None:
    """Lists and searches to their end, sums, and errors with code and page."""
    folder = had(lambda: node_folder(sync_engine.PACKAGES))
    books = books_of(lived.offline.world)
    settings = {"STRANGERS": str(folder), "STRIPE_API_BASE": lived.offline.url}
    told = json.loads(run([node(), str(HERE / "stripe_node.mjs")], **settings))
    assert told["counts"] == {name: books.counts[name] for name in told["counts"]}
    sums = {"paid": books.paid, "charged": books.charged, "refunded": books.refunded}
    assert told["sums"] == sums
    for name, ids in told["searches"].items():
        assert ids, name
        assert len(ids) == len(set(ids)), name
    assert told["declined"] == {
        "type": "StripeCardError",
        "code": "card_declined",
        "decline_code": "insufficient_funds",
        "doc_url": "https://stripe.com/docs/error-codes/card-declined",
        "status": 402,
    }
    assert (told["missing"]["code"], told["missing"]["status"]) == ("resource_missing", 404)
    assert told["small"]["code"] == "amount_too_small"


# dj-stripe.

# What dj-stripe calls a collection of ours.
MODELS = {
    "Charge": "charges",
    "Coupon": "coupons",
    "Customer": "customers",
    "Dispute": "disputes",
    "Invoice": "invoices",
    "PaymentIntent": "payment_intents",
    "Price": "prices",
    "Product": "products",
    "Refund": "refunds",
    "Session": "sessions",
    "SetupIntent": "setup_intents",
    "Subscription": "subscriptions",
    "SubscriptionSchedule": "subscription_schedules",
    "TaxRate": "tax_rates",
}


def test_dj_stripe_syncs_every_model(lived: Lived, tmp_path: Path) -> None:
    """`djstripe_sync_models` for all models complains of nothing and has what the books have."""
    python = had(lambda: python_folder(dj_stripe.PACKAGES)) / "bin" / "python"
    books = books_of(lived.offline.world)
    site = "tests.sandbox.strangers.dj_stripe_site"
    words = [str(python), "-m", site, str(tmp_path / "dj.sqlite")]
    told = json.loads(run(words, STRIPE_API_BASE=lived.offline.url))
    assert told["complaints"] == []
    rows = told["rows"]
    assert {model: len(rows[model]) for model in MODELS} == {
        model: books.counts[name] for model, name in MODELS.items()
    }
    assert len(rows["Event"]) == len(lived.offline.world.log.posted)
    paid = sum(one["stripe_data"]["amount_paid"] for one in rows["Invoice"])
    charged = [one["stripe_data"] for one in rows["Charge"]]
    assert paid == books.paid
    assert sum(one["amount"] for one in charged if one["status"] == "succeeded") == books.charged
    assert sum(one["stripe_data"]["amount"] for one in rows["Refund"]) == books.refunded


# stripe-sync-engine.

# Its tables and what they mirror.
TABLES = {
    "charges": "charges",
    "checkout_sessions": "sessions",
    "credit_notes": "credit_notes",
    "customers": "customers",
    "disputes": "disputes",
    "invoices": "invoices",
    "payment_intents": "payment_intents",
    "prices": "prices",
    "products": "products",
    "refunds": "refunds",
    "setup_intents": "setup_intents",
    "subscription_schedules": "subscription_schedules",
    "subscriptions": "subscriptions",
}


@pytest.fixture
def mirror(engines: Engines) -> Iterator[str]:
    """A database of its own for a mirror."""
    name = f"mirror_{os.getpid()}_{time.monotonic_ns()}"
    engines.administer(f'CREATE DATABASE "{name}"')
    # Its migrations name this role.
    engines.administer("DO $$ BEGIN CREATE ROLE postgres; EXCEPTION WHEN OTHERS THEN END $$")
    yield engines.database_url_of(name).replace("+psycopg2", "", 1)
    engines.administer(f'DROP DATABASE "{name}" WITH (FORCE)')


def number(database: str, what: str, table: str, where: str = "true") -> Any:
    """A number that a mirror answers with."""
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute(f'SELECT {what} FROM stripe."{table}" WHERE {where}')  # noqa: S608 - ours.
        return cursor.fetchall()[0][0]


def mirrored(database: str) -> dict[str, int]:
    """How much of each a mirror has."""
    return {ours: number(database, "count(*)", table) for table, ours in TABLES.items()}


def test_stripe_sync_engine_backfills_everything(lived: Lived, mirror: str) -> None:
    """`syncBackfill` of `all` ends, and its tables have what the books have."""
    folder = had(lambda: node_folder(sync_engine.PACKAGES))
    books = books_of(lived.offline.world)
    settings = {
        "STRANGERS": str(folder),
        "STRIPE_API_BASE": lived.offline.url,
        "DATABASE_URL": mirror,
    }
    run([node(), str(HERE / "sync_engine.mjs"), "backfill"], **settings)
    assert mirrored(mirror) == {ours: books.counts[ours] for ours in TABLES.values()}
    assert number(mirror, "sum(amount_paid)", "invoices") == books.paid
    assert number(mirror, "sum(amount)", "charges", "status = 'succeeded'") == books.charged


def test_stripe_sync_engine_hears_it_all_by_webhook(mirror: str, tmp_path: Path) -> None:
    """Its handler takes every event of a year, and ends with the same tables."""
    folder = had(lambda: node_folder(sync_engine.PACKAGES))
    port = free_port()
    hook = f"http://127.0.0.1:{port}/"
    with offline_stripe(tmp_path / "stripe.sqlite", webhook_url=hook) as offline:
        settings = {
            "STRANGERS": str(folder),
            "STRIPE_API_BASE": offline.url,
            "DATABASE_URL": mirror,
            "PORT": str(port),
        }
        with listening(str(HERE / "sync_engine.mjs"), settings):
            live_a_year(offline)
            books = books_of(offline.world)
            await_delivery(offline)
    refused = [one.answer for one in offline.world.log.posted if one.delivery != "delivered"]
    assert refused == []
    # No event tells of a session that is opened.
    wanted = {ours: books.counts[ours] for ours in TABLES.values()}
    wanted["sessions"] = mirrored(mirror)["sessions"]
    assert mirrored(mirror) == wanted
    assert number(mirror, "sum(amount_paid)", "invoices") == books.paid


@contextmanager
def listening(script: str, settings: Mapping[str, str]) -> Iterator[None]:
    """A stranger's webhook handler for as long as the block runs."""
    keys = {"STRIPE_SECRET_KEY": KEY, "STRIPE_WEBHOOK_SECRET": SECRET}
    with subprocess.Popen(
        [node(), script, "webhooks"],
        env={**os.environ, **keys, **settings},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "listening"
            yield
        finally:
            process.terminate()


def await_delivery(offline: Offline) -> None:
    """Wait until every event was posted."""
    deadline = time.monotonic() + SECONDS_MAX
    while any(one.delivery == "waiting" for one in offline.world.log.posted):
        assert time.monotonic() < deadline, "not every event was taken"
        time.sleep(0.05)
