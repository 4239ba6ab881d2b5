"""What fails is kept, tried again by plan, and harms nobody else; types of events can wait."""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2.errors
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from click.testing import CliRunner, Result
from sqlalchemy import Row, exc, text

import settings
from db import migrate
from db.engine import make_engine
from db.queue import attempts, inbox, pauses
from dev.up.engines import PostgresEngine
from tests.pipeline import a_delivery, balances, put, sell, statuses, work
from tests.play import CATALOGUE
from tests.stripe_objects import (
    a_line,
    a_package_session,
    a_session,
    a_subscription,
    an_event,
    an_invoice,
)
from workers.commands.events import events as command
from workers.context import WorkerContext
from workers.pipeline.drain import drain
from workers.pipeline.failure import is_away, is_worth_waiting, traced
from workers.schedule.sweep import sweep

SESSION = "checkout.session.completed"


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `events` on the test database."""
    monkeypatch.setenv("DATABASE_URL", database_url.replace("+psycopg2", ""))

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(command, arguments)

    return invoke


def package(number: int = 1) -> dict[str, Any]:
    """One package bought by a user of its own."""
    return an_event(SESSION, a_package_session(number), event_id=f"evt_package_{number}")


def broken() -> dict[str, Any]:
    """An invoice that lacks what every invoice has."""
    found = {"id": "in_8", "object": "invoice", "currency": "usd", "secret": "of Ada Lovelace"}
    return an_event("invoice.paid", found, event_id="evt_broken")


def make_due(context: WorkerContext) -> None:
    """Let the time of every next try come."""
    with context.engine.begin() as connection:
        connection.execute(
            text("UPDATE webhook_events SET next_attempt_at = now() WHERE status = 'failed'")
        )


def tries(context: WorkerContext, event_id: str) -> Sequence[Row[Any]]:
    """The attempts kept of an event."""
    with context.engine.connect() as connection:
        return attempts.of(connection, event_id)


def test_a_first_success_leaves_no_attempt_and_a_failure_does(context: WorkerContext) -> None:
    """The hot path writes no further row; a failure is kept with its error and its place."""
    work(context, [package(), broken()])
    assert tries(context, "evt_package_1") == []
    (row,) = tries(context, "evt_broken")
    assert (row.cause, row.status, row.asked_by) == ("delivery", "failed", None)
    assert row.error.startswith("DecodeError: invoice.paid: data.object.lines.data is missing")
    assert "domain/decode/invoices.py:" in row.traceback
    assert "Ada" not in row.traceback


def test_every_retry_is_kept_and_so_is_the_one_that_succeeds(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of attempts tells the whole story of an event."""
    with monkeypatch.context() as patched:
        patched.setitem(decoders(), SESSION, refuse)
        work(context, [package()])
        make_due(context)
        drain(context, lambda: None)
    make_due(context)
    drain(context, lambda: None)
    told = [(row.cause, row.status) for row in tries(context, "evt_package_1")]
    assert told == [("delivery", "failed"), ("retry", "failed"), ("retry", "applied")]
    assert balances(context.engine) == {"user_1": 1_000}


def decoders() -> dict[str, Any]:
    """The decoders, to be changed for a test."""
    from domain.decode import DECODERS  # noqa: PLC0415 - one place for the cast.

    assert isinstance(DECODERS, dict)
    return DECODERS


def refuse(_source: object) -> list[Any]:
    """A decoder with a bug."""
    raise ZeroDivisionError("a bug")


def test_the_delays_are_a_setting(context: WorkerContext) -> None:
    """One retry after a second, then dead."""
    hasty = replace(context, retry_delays_seconds=(1,))
    work(hasty, [broken()])
    with context.engine.connect() as connection:
        delay = connection.execute(
            text("SELECT extract(epoch FROM next_attempt_at - now()) FROM webhook_events")
        ).scalar_one()
    assert 0 < delay <= 1
    make_due(context)
    drain(hasty, lambda: None)
    assert statuses(context.engine) == {"evt_broken": "dead"}
    assert [row.status for row in tries(context, "evt_broken")] == ["failed", "dead"]


def test_a_poison_event_costs_its_batch_nothing(context: WorkerContext) -> None:
    """A batch of a hundred with one that the database refuses: ninety-nine are applied."""
    huge = an_invoice(
        [a_line(9 * 10**17) for _ in range(9)], metadata={"user_id": "user_x"}, customer="cus_x"
    )
    poison = an_event("invoice.paid", huge, event_id="evt_poison")
    sold = [package(number) for number in range(99)]
    work(context, [*sold[:50], poison, *sold[50:]])
    found = statuses(context.engine)
    assert found.pop("evt_poison") == "failed"
    assert set(found.values()) == {"applied"}
    assert len(balances(context.engine)) == 99
    assert "workers/pipeline/apply.py:" in tries(context, "evt_poison")[0].traceback


def test_a_report_nested_without_end_fails_before_its_batch_is_applied(
    context: WorkerContext,
) -> None:
    """It is refused while it is read, so no batch is split because of it."""
    deep: dict[str, Any] = {}
    for _ in range(240):
        deep = {"deeper": deep}
    subscription = a_subscription(metadata={"user_id": "user_1", "deep": deep})
    report = an_event("customer.subscription.updated", subscription, event_id="evt_deep")
    assert work(context, [package(1), report, package(2)]).batches == 1
    found = statuses(context.engine)
    assert found.pop("evt_deep") == "failed"
    assert set(found.values()) == {"applied"}
    assert "data.object is nested more than 100 levels deep" in tries(context, "evt_deep")[0].error


def test_a_customer_that_is_locked_for_long_holds_up_nobody_else(context: WorkerContext) -> None:
    """Waiting for the lock ends; that event fails by itself, its neighbours are applied."""
    work(context, [package(1)])
    with context.engine.connect() as other:
        other.execute(text("SELECT * FROM payments WHERE id = 'cs_1' FOR UPDATE"))
        refund = an_event(
            SESSION,
            package(1)["data"]["object"] | {"amount_total": 501},
            event_id="evt_locked",
            created=1_700_000_100,
        )
        work(context, [package(2), refund, package(3)])
    found = statuses(context.engine)
    assert found.pop("evt_locked") == "failed"
    assert set(found.values()) == {"applied"}
    assert "LockNotAvailable" in tries(context, "evt_locked")[0].error
    make_due(context)
    drain(context, lambda: None)
    assert statuses(context.engine)["evt_locked"] == "applied"


@pytest.fixture
def crowded(context: WorkerContext) -> Iterator[WorkerContext]:
    """A worker on a PostgreSQL of its own: whoever takes every lock takes everybody's."""
    # Short, because a socket's path has an end; passable, because PostgreSQL runs as its own user.
    with tempfile.TemporaryDirectory(prefix="billing-") as directory:
        Path(directory).chmod(0o711)
        with PostgresEngine(Path(directory), durable=False) as postgres:
            url = postgres.url.replace("postgresql", "postgresql+psycopg2", 1)
            migrate.upgrade(url)
            made = replace(context, engine=make_engine(url, pool_size=2))
            sell(made.engine, CATALOGUE)
            yield made
            made.engine.dispose()


def test_a_full_table_of_locks_ends_no_batch(crowded: WorkerContext) -> None:
    """Others hold nearly every lock that PostgreSQL has room for: less is applied at once."""
    context = crowded
    with context.engine.connect() as other:
        with pytest.raises(exc.OperationalError, match="out of shared memory"):
            other.execute(text("SELECT pg_advisory_lock(id) FROM generate_series(1, 900000) id"))
        other.rollback()
        # Room for half of what the batch below locks.
        other.execute(text("SELECT pg_advisory_unlock(id) FROM generate_series(1, 150) id"))
        other.commit()
        done = work(context, [package(number) for number in range(150)])
        other.invalidate()
    assert set(statuses(context.engine).values()) == {"applied"}
    assert len(balances(context.engine)) == 150
    assert done.batches > 1


def a_refusal(of: type[psycopg2.Error], state: str | None) -> exc.DBAPIError:
    """What SQLAlchemy raises for an error of the driver."""

    class Refusal(of):  # type: ignore[valid-type, misc]  # The driver's class is an argument.
        pgcode = state

    return exc.OperationalError("SELECT 1", {}, Refusal("refused"))


@pytest.mark.parametrize(
    ("error", "away", "waits"),
    [
        (a_refusal(psycopg2.OperationalError, None), True, True),
        (a_refusal(psycopg2.OperationalError, "57P01"), True, True),
        (a_refusal(psycopg2.OperationalError, "08006"), True, True),
        (a_refusal(psycopg2.OperationalError, "53300"), True, True),
        (a_refusal(psycopg2.errors.OutOfMemory, "53200"), True, True),
        (exc.TimeoutError("no connection in the pool"), True, True),
        (SoftTimeLimitExceeded(), True, False),
        (a_refusal(psycopg2.errors.DeadlockDetected, "40P01"), False, True),
        (a_refusal(psycopg2.errors.LockNotAvailable, "55P03"), False, False),
        (a_refusal(psycopg2.errors.QueryCanceled, "57014"), False, False),
        (a_refusal(psycopg2.errors.UniqueViolation, "23505"), False, False),
        (ValueError("a bug"), False, False),
    ],
)
def test_failures_are_told_apart(error: Exception, *, away: bool, waits: bool) -> None:
    """Nobody's fault, over in a moment, or the event's own."""
    assert (is_away(error), is_worth_waiting(error)) == (away, waits)


def test_no_try_of_an_event_keeps_a_value(context: WorkerContext) -> None:
    """Neither the inbox nor the list of attempts: a class, a rule, lines of code."""
    mark = "Ada-4711-marked"
    rule = f"CHECK (user_id IS DISTINCT FROM '{mark}') NOT VALID"
    with context.engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE payments ADD CONSTRAINT not_her {rule}"))
    session = a_session(client_reference_id=mark, metadata={"user_id": mark, "plan_id": "10"})
    work(context, [an_event(SESSION, session)])
    with context.engine.begin() as connection:
        kept = connection.execute(
            text(
                "SELECT event.status, event.error, attempt.error AS again, attempt.traceback"
                " FROM webhook_events event JOIN event_attempts attempt ON event_id = event.id"
            )
        ).one()
        connection.execute(text("ALTER TABLE payments DROP CONSTRAINT not_her"))
    assert kept.status == "failed"
    assert kept.error.startswith("CheckViolation: new row for relation")
    assert "not_her" in kept.error
    assert mark not in f"{kept.error} {kept.again} {kept.traceback}"


def test_an_error_that_was_never_raised_has_no_place() -> None:
    """There is nothing to show."""
    assert traced(ValueError("made, not raised")) is None


def test_a_paused_type_waits_and_the_others_go_on(context: WorkerContext) -> None:
    """Its events are kept and nobody asks for a drain because of them, until it is resumed."""
    with context.engine.begin() as connection:
        assert pauses.pause(connection, SESSION, by="ada", reason=None)
        inbox.store(connection, [a_delivery(package(3))], source="webhook")
    done = work(context, [package(1), broken(), package(2), package(2)])
    assert (done.parked, done.duplicates, done.failed) == (2, 1, 1)
    assert statuses(context.engine) == {
        "evt_package_1": "received",
        "evt_package_2": "received",
        "evt_package_3": "received",
        "evt_broken": "failed",
    }
    assert context.events.length() == 0
    assert not sweep(context, lambda: None)
    with context.engine.begin() as connection:
        assert pauses.resume(connection, SESSION) == 3
    assert sweep(context, lambda: None)
    drain(context, lambda: None)
    assert balances(context.engine) == {"user_1": 1_000, "user_2": 1_000, "user_3": 1_000}
    assert tries(context, "evt_package_1") == []


def test_a_failed_event_of_a_paused_type_is_not_tried_again(context: WorkerContext) -> None:
    """That is what the pause is for."""
    work(context, [broken()])
    with context.engine.begin() as connection:
        pauses.pause(connection, "invoice.paid", by="ada", reason=None)
    make_due(context)
    drain(context, lambda: None)
    assert len(tries(context, "evt_broken")) == 1
    with context.engine.begin() as connection:
        pauses.resume(connection, "invoice.paid")
    drain(context, lambda: None)
    assert len(tries(context, "evt_broken")) == 2


def test_an_operator_pauses_and_resumes_a_type(
    context: WorkerContext, run: Callable[..., Result]
) -> None:
    """With a name and a reason, which the list shows."""
    assert run("pause", SESSION, "--by", "ada", "--reason", "wrong amounts").exit_code == 0
    assert "paused already" in run("pause", SESSION).output
    work(context, [package()])
    listing = run().output
    assert f"paused: {SESSION} since" in listing
    assert "by ada (wrong amounts); 1 events wait" in listing
    assert "1 events are due now" in run("resume", SESSION).output
    again = run("resume", SESSION)
    assert (again.exit_code, again.output) == (1, f"Error: {SESSION} is not paused.\n")


def test_a_type_that_has_no_effect_cannot_be_paused(run: Callable[..., Result]) -> None:
    """It is a typing error, and pausing nothing would look like success."""
    refused = run("pause", "checkout.session.complete")
    assert refused.exit_code == 1
    assert f"Did you mean {SESSION}?" in refused.output


def test_show_lists_the_attempts(context: WorkerContext, run: Callable[..., Result]) -> None:
    """With time, cause, error and the lines of code."""
    put(context, [broken()])
    drain(context, lambda: None)
    shown = run("show", "evt_broken").output
    assert "delivery: failed" in shown
    assert "domain/decode/invoices.py:" in shown
    (kept,) = json.loads(run("show", "evt_broken", "--json").output)["attempts_kept"]
    assert (kept["cause"], kept["status"]) == ("delivery", "failed")


def test_the_delays_are_read_from_the_environment() -> None:
    """With units; what is no time is reported by name."""
    assert settings.load(environ={}).retry_delays_seconds == (10, 60, 600, 3_600, 21_600)
    assert settings.load(environ={"RETRY_DELAYS": "5, 2m,1d"}).retry_delays_seconds == (
        5,
        120,
        86_400,
    )
    with pytest.raises(settings.SettingsError, match="RETRY_DELAYS is wrong: it must be comma"):
        settings.load(environ={"RETRY_DELAYS": "5,soon"})
