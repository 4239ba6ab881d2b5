"""The operator's commands against the offline Stripe, while no webhook ever arrives.

The sample catalogue is synchronised, a user subscribes, and the check brings in what was missed.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

import db.ledger.catalogue
from sandbox.simulate.plans import SAMPLE_PLANS
from tests.offline_stripe import DAY, KEY, Offline, offline_stripe
from tests.pipeline import a_worker_context, balances
from workers.commands.audit import audit
from workers.commands.catalogue import load_file
from workers.commands.check_subscription_status import check_subscription_status
from workers.commands.sync_stripe_products import sync_stripe_products
from workers.context import WorkerContext

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def context(database_url: str, redis_url: str) -> Iterator[WorkerContext]:
    """A worker's ports, with the sample catalogue."""
    load_file(database_url, SAMPLE_PLANS)
    found = a_worker_context(database_url, redis_url)
    yield found
    found.engine.dispose()


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An empty account, which posts its events nowhere."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


@pytest.fixture
def run(database_url: str, offline: Offline, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command against both."""
    monkeypatch.setenv("DATABASE_URL", database_url.replace("+psycopg2", ""))
    monkeypatch.setenv("STRIPE_SECRET_KEY", KEY)
    monkeypatch.setenv("STRIPE_API_BASE", offline.url)
    monkeypatch.setenv("BILLING_DATA", "/nowhere")
    # Just enough for what is asked again to be of another second.
    monkeypatch.setattr("workers.operations.subscription_check.GRACE_SECONDS", 1.01)

    def invoke(command: click.Command, *arguments: str) -> Result:
        return CliRunner().invoke(command, arguments)

    return invoke


def price_of(context: WorkerContext, plan_id: int, currency: str) -> str:
    """The price at which a plan is sold."""
    with context.engine.connect() as connection:
        plan = db.ledger.catalogue.load(connection).current(plan_id)
        current = db.ledger.catalogue.current_price_ids(connection)
    assert plan is not None
    (price_id,) = (
        price_id
        for price_id, each in plan.stripe_price_ids.items()
        if each == currency and price_id in current
    )
    return price_id


def test_what_no_webhook_told_is_brought_in_by_the_check(
    run: Run, offline: Offline, context: WorkerContext
) -> None:
    """From an empty account: synchronise, subscribe, renew, end; each step is told and repaired."""
    first = run(sync_stripe_products)
    assert first.exit_code == 0, first.output
    assert "price_sample_pro_month_usd, linked here, is not in this account" in first.output
    assert run(sync_stripe_products).output == "Nothing to do.\n"

    metadata = {"metadata": {"user_id": "user_1", "plan_id": "2"}}
    customer = offline.customer("user_1")
    price = price_of(context, 2, "usd")
    subscription = offline.subscription(price, customer, subscription_data=metadata)
    found = run(check_subscription_status)
    assert found.exit_code == 0, found.output
    for word in ("missing here", "29.00 usd a month", "invoice in_", "1 repaired, 0 left"):
        assert word in found.output
    assert balances(context.engine) == {"user_1": 10_000}

    offline.world.advance(32 * DAY)
    renewed = run(check_subscription_status)
    assert renewed.exit_code == 0, renewed.output
    assert "period" in renewed.output
    assert balances(context.engine) == {"user_1": 20_000}

    offline.world.cancel(offline.portal(customer), subscription, now=True)
    assert run(check_subscription_status, "--dry-run").exit_code == 1
    assert run(check_subscription_status).exit_code == 0
    assert run(check_subscription_status).output.endswith("no difference.\n")
    with context.engine.connect() as connection:
        status = connection.execute(text("SELECT status FROM subscriptions")).scalar_one()
    assert status == "canceled"
    # What was brought in is stored as events, so everything follows from them.
    assert run(audit).exit_code == 0
