"""A real worker of two processes, whose Stripe hangs: events go on being applied at once."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from celery import Celery
from sqlalchemy import text

import celery_config
import settings
from db.questions.questions import Kind
from tests.ingest.builders import ENVIRONMENT
from tests.pipeline import a_worker_context, balances, put, sell
from tests.play import CATALOGUE
from tests.stripe_objects import a_session, an_event
from tests.stripe_server import StripeServer, serve
from tests.workers.asking import want
from workers.context import WorkerContext

ROOT = Path(__file__).resolve().parents[3]
HANGING_SECONDS = 60.0
PURCHASES = 8
# The contract's second; an undisturbed one takes some hundredths.
DELAY_SECONDS_MAX = 1.0


@pytest.fixture(scope="module")
def stripe() -> Iterator[StripeServer]:
    """A Stripe that takes every question and never answers."""
    with serve() as found:
        found.delay_seconds = HANGING_SECONDS
        yield found


@contextmanager
def a_worker(context: WorkerContext, redis_url: str, stripe: StripeServer) -> Iterator[Celery]:
    """The worker's own process tree with its pool of two; yields an app that sends it tasks."""
    variables = ENVIRONMENT | {
        "DATABASE_URL": context.engine.url.render_as_string(hide_password=False),
        "REDIS_URL": redis_url,
        "STRIPE_SECRET_KEY": "sk_test_of_the_tests",
        "STRIPE_API_BASE": stripe.url,
    }
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "worker"],
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "PYTHONPATH": str(ROOT),
            **variables,
        },
    )
    try:
        yield celery_config.make_app(settings.load(environ=variables), publisher=True)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def bought(context: WorkerContext, number: int) -> int:
    """The balance of a buyer."""
    return balances(context.engine).get(f"user_{number}", 0)


def seconds_until_applied(
    context: WorkerContext, app: Celery, number: int, timeout_seconds: float
) -> float:
    """How long a purchase takes from the stream to its tokens, once the worker is woken."""
    user, session = f"user_{number}", f"cs_{number}"
    changes = {"customer": f"cus_{number}", "payment_intent": f"pi_{number}"}
    bought_one = a_session(
        id=session,
        client_reference_id=user,
        metadata={"user_id": user, "plan_id": "4"},
        **changes,
    )
    put(context, [an_event("checkout.session.completed", bought_one)])
    app.send_task(celery_config.DRAIN, ignore_result=True)
    began = time.monotonic()
    while not bought(context, number):
        assert time.monotonic() - began < timeout_seconds, "it was never applied"
        time.sleep(0.01)
    return time.monotonic() - began


@pytest.mark.timeout(120)
def test_purchases_are_applied_at_once_while_stripe_hangs(
    database_url: str, redis_url: str, stripe: StripeServer
) -> None:
    """Whatever else is to be asked, and however often the clock ticks, one process stays free."""
    context = replace(a_worker_context(database_url, redis_url), consumer="test")
    sell(context.engine, CATALOGUE)
    for number in range(20):
        want(context, Kind.SUBSCRIPTION, f"sub_{number}")
        want(context, Kind.INVOICE_LINES, f"in_{number}")
    with a_worker(context, redis_url, stripe) as app:
        seconds_until_applied(context, app, 0, timeout_seconds=60.0)
        for _ in range(4):
            app.send_task(celery_config.ASK, ignore_result=True)
            app.send_task(celery_config.RECONCILE, ignore_result=True)
        deadline = time.monotonic() + 20
        while not stripe.asked:
            assert time.monotonic() < deadline, "stripe was never asked"
            time.sleep(0.01)
        took = []
        for number in range(1, PURCHASES):
            app.send_task(celery_config.ASK, ignore_result=True)
            took.append(seconds_until_applied(context, app, number, timeout_seconds=30.0))
            app.send_task(celery_config.RECONCILE, ignore_result=True)
            time.sleep(0.5)
        assert max(took) < DELAY_SECONDS_MAX, took
        # It hung all the while: one question was under way.
        assert len(stripe.asked) <= 2, stripe.asked
    with context.engine.connect() as connection:
        left = connection.execute(
            text("SELECT count(*) FROM webhook_events WHERE status <> 'applied'")
        ).scalar_one()
    assert left == 0
    context.engine.dispose()
