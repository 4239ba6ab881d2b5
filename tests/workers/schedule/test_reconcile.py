"""Reconcile: what Stripe lists and the inbox lacks is stored; the list is read without a gap."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import redis
import stripe
from click.testing import CliRunner, Result
from sqlalchemy import text

import celery_config
import settings
from db.bodies import decompress
from db.operations import reconcile as reading
from db.operations.reconcile import Progress
from db.queue import attempts
from stripe_gateway import StripeBusy, open_gateway
from tests.ingest.builders import ENVIRONMENT
from tests.pipeline import a_delivery, a_worker_context, balances, sell, statuses, work
from tests.play import CATALOGUE
from tests.stripe_server import StripeServer
from tests.workers.schedule.listed import EVENTS, HOUR, KEY, Listed
from workers.commands.reconcile import reconcile as command
from workers.context import WorkerContext
from workers.pipeline.drain import drain
from workers.schedule import reconcile as module
from workers.schedule.reconcile import DAY_SECONDS, GRACE_SECONDS, OVERLAP_SECONDS, catch_up


@pytest.fixture(scope="module")
def shop(database_url: str, redis_url: str, stripe_server: StripeServer) -> Iterator[WorkerContext]:
    """A worker with a Stripe key, whose Stripe is the server above."""
    found = settings.load(
        environ=ENVIRONMENT | {"STRIPE_SECRET_KEY": KEY, "STRIPE_API_BASE": stripe_server.url}
    )
    context = replace(a_worker_context(database_url, redis_url), gateway=open_gateway(found))
    sell(context.engine, CATALOGUE)
    yield context
    context.engine.dispose()


@pytest.fixture
def run(
    database_url: str, stripe_server: StripeServer, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Runs the command on the test database and the server above, without a broker."""
    monkeypatch.setenv("DATABASE_URL", database_url.replace("+psycopg2", ""))
    monkeypatch.setenv("STRIPE_SECRET_KEY", KEY)
    monkeypatch.setenv("STRIPE_API_BASE", stripe_server.url)
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("BILLING_DATA", "/nowhere")

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(command, arguments)

    return invoke


def caught_up(context: WorkerContext, **options: bool) -> bool:
    """A worker's reading, and the drain it asks for."""
    return catch_up(context, lambda: drain(context, lambda: None), **options)


def progress(context: WorkerContext) -> Progress:
    """Where reconciling stands."""
    with context.engine.connect() as connection:
        return reading.progress(connection)


def sources(context: WorkerContext) -> dict[str, str]:
    """Who brought each event."""
    with context.engine.connect() as connection:
        rows = connection.execute(text("SELECT id, source FROM webhook_events"))
        return {row.id: row.source for row in rows}


def test_what_never_arrived_is_fetched_and_applied(context: WorkerContext, listed: Listed) -> None:
    """What arrived is left as it is; the rest goes through the pipeline."""
    work(context, [listed.sell(1)])
    listed.sell(2)
    assert not caught_up(context)
    assert balances(context.engine) == {"user_1": 1_000, "user_2": 1_000}
    assert sources(context) == {"evt_1": "webhook", "evt_2": "reconcile"}


def test_what_bears_our_names_is_not_taken_from_a_list(
    context: WorkerContext, listed: Listed
) -> None:
    """A person's word is given here, and nowhere else."""
    listed.sell(1)["id"] = "manual_1"
    listed.sell(2)
    caught_up(context)
    assert list(sources(context)) == ["evt_2"]


def test_the_body_is_what_stripe_listed(context: WorkerContext, listed: Listed) -> None:
    """Numbers and all, so that a replay sees the same."""
    event = listed.sell(1)
    event["data"]["object"]["odd"] = {
        "unit_amount_decimal": "12.50",
        "big": 2**53 + 1,
        "none": None,
    }
    caught_up(context)
    with context.engine.connect() as connection:
        body = connection.execute(text("SELECT body FROM webhook_events")).scalar_one()
    assert json.loads(decompress(bytes(body))) == event


def test_a_late_webhook_of_a_fetched_event_has_no_further_effect(
    context: WorkerContext, listed: Listed
) -> None:
    """Stripe does not know that it was fetched, and keeps trying."""
    event = listed.sell(1)
    caught_up(context)
    assert work(context, [event]).duplicates == 1
    assert balances(context.engine) == {"user_1": 1_000}


def test_every_page_is_read(context: WorkerContext, listed: Listed) -> None:
    """`has_more` is followed, by the last id of the page before."""
    listed.page = 10
    for number in range(35):
        listed.sell(number, age_seconds=HOUR + number)
    caught_up(context)
    assert len(balances(context.engine)) == 35
    after = [query.get("starting_after") for query in listed.asked]
    assert after == [None, "evt_9", "evt_19", "evt_29"]
    assert {query["limit"] for query in listed.asked} == {"100"}


def test_the_next_reading_begins_at_the_cursor_with_an_overlap(
    context: WorkerContext, listed: Listed
) -> None:
    """The first goes back three days; the next only as far as the first came."""
    newest = listed.sell(1)["created"]
    caught_up(context)
    assert progress(context).cursor == newest
    caught_up(context)
    first, second = (int(query["created[gte]"]) for query in listed.asked)
    assert abs(first - (time.time() - 3 * DAY_SECONDS - OVERLAP_SECONDS)) < 5
    assert second == newest - OVERLAP_SECONDS


def test_a_reading_goes_back_thirty_days_at_most(context: WorkerContext, listed: Listed) -> None:
    """However long the outage was; and the cursor moves all the same."""
    with context.engine.begin() as connection:
        reading.move_cursor(connection, int(time.time()) - 90 * DAY_SECONDS)
    newest = listed.sell(1)["created"]
    caught_up(context)
    asked = int(listed.asked[0]["created[gte]"])
    assert abs(asked - (time.time() - 30 * DAY_SECONDS)) < 5
    assert progress(context).cursor == newest


def test_what_may_still_be_on_its_way_is_left_for_the_next_time(
    context: WorkerContext, listed: Listed
) -> None:
    """A worker does not overtake the webhook; the cursor stays below what it left out."""
    old = listed.sell(1)["created"]
    young = listed.sell(2, age_seconds=5)
    caught_up(context)
    assert set(sources(context)) == {"evt_1"}
    assert progress(context).cursor == old
    young["created"] -= GRACE_SECONDS
    caught_up(context)
    assert set(sources(context)) == {"evt_1", "evt_2"}


@pytest.mark.parametrize("ahead_seconds", [-7_000, 7_000])
def test_what_is_on_its_way_is_told_by_stripes_clock(
    context: WorkerContext, listed: Listed, stripe_server: StripeServer, ahead_seconds: int
) -> None:
    """However wrong ours is."""
    stripe_server.ahead_seconds = ahead_seconds
    listed.sell(1, age_seconds=GRACE_SECONDS + 5 - ahead_seconds)
    listed.sell(2, age_seconds=5 - ahead_seconds)
    caught_up(context)
    stripe_server.ahead_seconds = 0
    assert set(sources(context)) == {"evt_1"}


def test_a_reading_that_ran_out_of_time_goes_on_where_it_was(
    context: WorkerContext, listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page by page, and the cursor moves only when there is no gap below it."""
    listed.page = 2
    for number in range(5):
        listed.sell(number, age_seconds=HOUR + number)
    monkeypatch.setattr(module, "SECONDS_MAX", 0.0)
    assert caught_up(context)
    assert progress(context).cursor is None
    assert not caught_up(context), "another worker leaves it alone meanwhile"
    assert len(listed.asked) == 1
    assert caught_up(context, goes_on=True)
    assert not caught_up(context, goes_on=True)
    known = progress(context)
    assert (known.cursor, known.window) == (listed.events[0]["created"], None)
    assert len(balances(context.engine)) == 5


@pytest.mark.parametrize(("idle_seconds", "begins"), [(120, "evt_1"), (5_400, None)])
def test_an_interrupted_reading_is_taken_up_by_the_next(
    context: WorkerContext,
    listed: Listed,
    monkeypatch: pytest.MonkeyPatch,
    idle_seconds: int,
    begins: str | None,
) -> None:
    """A worker died, or Stripe did not answer: soon anyone goes on, after an hour from the top."""
    listed.page = 2
    for number in range(5):
        listed.sell(number, age_seconds=HOUR + number)
    with monkeypatch.context() as patched:
        patched.setattr(module, "SECONDS_MAX", 0.0)
        assert caught_up(context)
    with context.engine.begin() as connection:
        moved = "UPDATE reconcile_progress SET moved_at = now() - :idle * interval '1 second'"
        connection.execute(text(moved), {"idle": idle_seconds})
    assert not caught_up(context)
    assert listed.asked[1].get("starting_after") == begins
    assert len(balances(context.engine)) == 5
    assert progress(context).cursor == listed.events[0]["created"]


def test_stripe_down_or_busy_is_no_failure(
    context: WorkerContext, listed: Listed, stripe_server: StripeServer
) -> None:
    """The next reading makes up for it."""
    listed.sell(1)
    stripe_server.status = 500
    assert not caught_up(context)
    stripe_server.status = 200
    listed.busy = 1
    assert not caught_up(context)
    assert statuses(context.engine) == {}
    assert not caught_up(context)
    assert balances(context.engine) == {"user_1": 1_000}


def test_without_a_key_nothing_is_asked(context: WorkerContext, listed: Listed) -> None:
    """Development without Stripe is no error."""
    assert not caught_up(replace(context, gateway=None))
    assert listed.asked == []


def test_a_starting_worker_reads_only_after_an_outage(
    context: WorkerContext, listed: Listed
) -> None:
    """Nothing received for a while is the sign of one; an empty inbox is not."""
    missed = listed.sell(1)
    caught_up(context, after_outage=True)
    assert listed.asked == []
    work(context, [listed.sell(2)])
    caught_up(context, after_outage=True)
    assert listed.asked == []
    with context.engine.begin() as connection:
        connection.execute(
            text("UPDATE webhook_events SET received_at = now() - interval '16 minutes'")
        )
    caught_up(context, after_outage=True)
    assert missed["id"] in statuses(context.engine)


def test_a_list_that_does_not_move_on_is_not_read_for_ever(
    context: WorkerContext, listed: Listed, stripe_server: StripeServer
) -> None:
    """Whatever answers in Stripe's place; and what is no event is passed over."""
    data = [listed.sell(1), {"id": 7}, "nonsense"]
    page = {"object": "list", "url": EVENTS, "has_more": True, "data": data}
    stripe_server.answers[EVENTS] = page
    assert not caught_up(context)
    assert statuses(context.engine) == {"evt_1": "applied"}


def test_the_command_lists_what_is_missing_and_stores_it(
    context: WorkerContext, run: Callable[..., Result], listed: Listed
) -> None:
    """With who asked for it; the young ones too, because a person asked."""
    work(context, [listed.sell(1)])
    listed.sell(2, age_seconds=10)
    done = run("--by", "ada", "--reason", "outage")
    assert done.exit_code == 0
    first, last = done.output.splitlines()
    assert (first.split()[0], first.split()[-1]) == ("evt_2", "checkout.session.completed")
    assert last == (
        "1 of 2 listed events had never arrived (1 checkout.session.completed);"
        " they are stored, to be applied."
    )
    assert statuses(context.engine) == {"evt_1": "applied", "evt_2": "received"}
    with context.engine.connect() as connection:
        (row,) = attempts.of(connection, "evt_2")
    assert (row.cause, row.asked_by, row.reason) == ("reconcile", "ada", "outage")
    drain(context, lambda: None)
    assert balances(context.engine) == {"user_1": 1_000, "user_2": 1_000}
    assert progress(context).cursor == listed.events[1]["created"]
    again = run().output
    assert again == "0 of 1 listed events had never arrived; nothing was changed.\n"


def test_a_dry_run_changes_nothing(
    context: WorkerContext, run: Callable[..., Result], listed: Listed
) -> None:
    """It lists what a run would fetch."""
    event = listed.sell(1)
    told = json.loads(run("--dry-run", "--json").output)
    assert (told["dry_run"], told["looked_at"]) == (True, 1)
    assert [each["id"] for each in told["missing"]] == [event["id"]]
    assert statuses(context.engine) == {}
    assert progress(context) == Progress()


def test_since_says_how_far_back_and_leaves_no_gap(
    context: WorkerContext, run: Callable[..., Result], listed: Listed
) -> None:
    """A short look does not move the cursor over what nobody has read."""
    listed.sell(1, age_seconds=10 * HOUR)
    listed.sell(2)
    run("--since", "2h")
    assert abs(int(listed.asked[0]["created[gte]"]) - (time.time() - 2 * HOUR)) < 5
    assert set(statuses(context.engine)) == {"evt_2"}
    assert progress(context).cursor is None
    run("--since", "4d")
    assert set(statuses(context.engine)) == {"evt_1", "evt_2"}
    assert progress(context).cursor == listed.events[1]["created"]


def test_a_person_waits_while_stripe_is_busy(
    context: WorkerContext,
    run: Callable[..., Result],
    listed: Listed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It asks again, each time later."""
    waits: list[float] = []
    monkeypatch.setattr("workers.schedule.reconcile.time.sleep", waits.append)
    listed.sell(1)
    listed.busy = 3
    assert run().exit_code == 0
    assert waits == [1, 2, 4]
    assert statuses(context.engine) == {"evt_1": "received"}


def test_the_wait_that_stripe_names_is_kept() -> None:
    """`Retry-After` counts where it is given."""
    named = StripeBusy(stripe.RateLimitError("slow", headers={"retry-after": "7"}))
    assert named.wait_seconds == 7
    assert StripeBusy(stripe.RateLimitError("slow")).wait_seconds is None


def test_stripe_that_does_not_answer_is_one_clear_line(
    context: WorkerContext,
    run: Callable[..., Result],
    listed: Listed,
    stripe_server: StripeServer,
) -> None:
    """And what was read until then is stored."""
    del listed
    stripe_server.status = 500
    done = run()
    assert done.exit_code == 1
    assert "Error: Stripe could not be asked: APIError, HTTP 500." in done.output
    assert KEY not in done.output
    assert statuses(context.engine) == {}


def test_without_a_key_the_command_says_so(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line with the fix."""
    monkeypatch.setenv("STRIPE_SECRET_KEY", "")
    done = run()
    assert done.exit_code == 1
    assert done.output.startswith("Error: STRIPE_SECRET_KEY is not set: set it to")
    assert done.output.count("\n") == 1


def ids(events: Sequence[Mapping[str, Any]]) -> set[str]:
    """The ids of events."""
    return {event["id"] for event in events}


def test_a_lost_stream_is_made_good(
    context: WorkerContext, listed: Listed, redis_client: redis.Redis
) -> None:
    """Fault 14: Redis lost its disk with accepted events in it; Stripe still lists them."""
    for number in range(5):
        context.events.put(a_delivery(listed.sell(number)))
    redis_client.flushdb()
    drain(context, lambda: None)
    assert statuses(context.engine) == {}
    caught_up(context)
    assert set(statuses(context.engine)) == ids(listed.events)
    assert len(balances(context.engine)) == 5


def test_the_schedule_is_a_setting() -> None:
    """Every ten minutes, unless told otherwise; never every zero seconds."""
    usual = celery_config.make_app(settings.load(environ=ENVIRONMENT)).conf.beat_schedule
    assert usual["reconcile"]["schedule"] == 600
    found = settings.load(environ=ENVIRONMENT | {"RECONCILE_EVERY": "1h"})
    assert celery_config.make_app(found).conf.beat_schedule["reconcile"]["schedule"] == HOUR
    with pytest.raises(settings.SettingsError, match="RECONCILE_EVERY is wrong"):
        settings.load(environ=ENVIRONMENT | {"RECONCILE_EVERY": "0"})
