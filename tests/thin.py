"""Simulated lives told in either style, a worker that may ask for them, and where they end."""

import random
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Engine, text

import settings
from ingest.webhook.receiver import parse
from sandbox.simulate.engine import Event
from sandbox.simulate.lives import AnsweringAccount, as_thin
from sandbox.simulate.plans import SAMPLE_PLANS, read_file
from sandbox.simulate.play import play
from sandbox.simulate.versions import BY_CHOICE
from stripe_gateway import open_gateway
from tests.end_tables import rows_of
from tests.flows.lives import NOW
from tests.ingest.builders import ENVIRONMENT
from tests.offline_stripe import KEY, Offline, offline_stripe
from tests.pipeline import a_worker_context
from workers.commands.catalogue import load_file
from workers.context import WorkerContext
from workers.pipeline.drain import drain
from workers.questions.fetching import Fetched, fetch_noticed

# What must not depend on the style; what tells of the way there is left out.
TABLES = {
    "customers": "id, user_id, other_user_ids, deleted_at IS NULL",
    "subscriptions": "id, customer_id, user_id, claimed_plan_id, status, items,"
    " cancel_at_period_end, cancel_at, canceled_at, trial_end, started_at, undecided",
    "payments": "id, kind, root_id, customer_id, subscription_id, listed, user_id, status,"
    " currency, amount_minor, refunded_minor, disputed_minor, plan_id, plan_version, tokens,"
    " lacks_user, lacks_plan, created_at",
}


def lives(seed: int, *, customers: int, versions: str = "new") -> AnsweringAccount:
    """So many customers, in an account that can be asked for them."""
    account = AnsweringAccount(seed=seed, run=f"thin{seed}", starts_at=NOW)
    play(account, read_file(SAMPLE_PLANS), BY_CHOICE[versions], customers=customers, today=NOW)
    return account


def told(
    account: AnsweringAccount, style: str, chance: random.Random, *, names_twin: bool = True
) -> list[Event]:
    """Its events in a style, shuffled, three in ten of them twice."""
    events = list(account.events) if style in ("snapshot", "both") else []
    if style in ("thin", "both"):
        events += as_thin(account, names_twin=names_twin)
    events += [event for event in events if chance.random() < 0.3]
    chance.shuffle(events)
    return events


@contextmanager
def an_asking_worker(
    database_url: str, redis_url: str, folder: Path, *, a_second: float = 400.0
) -> Iterator[tuple[WorkerContext, Offline]]:
    """A worker with the sample catalogue and a key, and the offline Stripe that it asks."""
    load_file(database_url, SAMPLE_PLANS)
    with offline_stripe(folder / "stripe.sqlite") as offline:
        variables = {"STRIPE_SECRET_KEY": KEY, "STRIPE_API_BASE": offline.url}
        context = replace(
            a_worker_context(database_url, redis_url),
            gateway=open_gateway(settings.load(environ=ENVIRONMENT | variables)),
            test_mode=True,
            questions_per_second=a_second,
        )
        yield context, offline
        context.engine.dispose()


def receive(context: WorkerContext, events: Sequence[Event]) -> None:
    """Put events on the stream, as the receiver does."""
    for event in events:
        context.events.put(parse(event.body, received_ms=int(time.time() * 1000), signature="t=1"))


def settle(context: WorkerContext, *, seconds: float = 120.0) -> Fetched:
    """Drain and fetch until nothing waits; the sum of what was fetched."""
    total, deadline = Fetched(), time.monotonic() + seconds
    while True:
        drain(context, lambda: None)
        fetched = fetch_noticed(context)
        for name in ("objects", "answered", "spared", "given_up", "postponed", "silent"):
            setattr(total, name, getattr(total, name) + getattr(fetched, name))
        if not waiting(context.engine) and context.events.length() == 0:
            return total
        assert time.monotonic() < deadline, f"{waiting(context.engine)} still wait"
        if not fetched.objects:
            time.sleep(0.05)


def waiting(engine: Engine) -> int:
    """How many events have not come to an end."""
    with engine.connect() as connection:
        return int(
            connection.execute(
                text("SELECT count(*) FROM webhook_events WHERE status IN ('received', 'failed')")
            ).scalar_one()
        )


def tables(engine: Engine) -> dict[str, set[str]]:
    """Every row of every table that shows what was sold, as text; and payers' second names."""
    with engine.connect() as connection:
        pairs = connection.execute(
            text(
                "SELECT id, alias FROM customers, jsonb_array_elements_text(alias_ids) AS alias"
                " WHERE id LIKE 'acct_%'"
            )
        )
        names = {f"{account_id} {customer_id}" for account_id, customer_id in pairs}
    return rows_of(engine, TABLES) | {"names": names}


def differing(one: dict[str, set[str]], other: dict[str, set[str]]) -> list[str]:
    """What only one of two ends has, a line for each row.

    Answers are of the newest version, which has a second name for some payers: a payer is the same
    by either name, whichever end knows both.
    """
    names = dict(pair.split() for pair in one["names"] | other["names"])
    account = re.compile(r"acct_\w+")

    def by_one_name(rows: set[str]) -> set[str]:
        return {account.sub(lambda found: names.get(found[0], found[0]), row) for row in rows}

    return [
        f"{name}: {row}"
        for name in one.keys() - {"names"}
        for row in sorted(by_one_name(one[name]) ^ by_one_name(other[name]), key=len)
    ]
