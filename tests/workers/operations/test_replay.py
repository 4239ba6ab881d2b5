"""Replay: stored events are run again, safely, for a named person; a rehearsal changes nothing."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from db.operations.replay import Selection
from db.queue import attempts, pauses
from db.queue.attempts import Request
from domain.decode import DECODERS
from tests.pipeline import balances, statuses, work
from tests.stripe_objects import (
    a_line,
    a_package_session,
    a_refund,
    a_subscription,
    an_event,
    an_intent,
    an_invoice,
)
from workers.commands.replay import replay as command
from workers.context import WorkerContext
from workers.operations.replay import Change, Replay, Replayed
from workers.pipeline.drain import drain

ADA = Request("ada", "the decoder is mended")
SESSION = "checkout.session.completed"
TABLES = ("customers", "subscriptions", "payments", "refunds", "disputes", "ledger_entries")


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command on the test database."""
    monkeypatch.setenv("DATABASE_URL", database_url.replace("+psycopg2", ""))

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(command, arguments)

    return invoke


@pytest.fixture
def decoders(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], None]:
    """Gives a type another decoder; None takes its decoder away."""

    def change(event_type: str, decoder: Any) -> None:
        if decoder is None:
            monkeypatch.delitem(DECODERS, event_type)
        else:
            monkeypatch.setitem(DECODERS, event_type, decoder)

    return change


def refuse(_source: object) -> list[Any]:
    """A decoder with a bug."""
    raise ZeroDivisionError("a bug")


def quiet(_done: int, _total: int) -> None:
    """Nobody watches."""


def package(number: int = 1) -> dict[str, Any]:
    """One package bought by a user of its own."""
    return an_event(SESSION, a_package_session(number), event_id=f"evt_package_{number}")


def an_account() -> list[dict[str, Any]]:
    """A package, half of it refunded, and a subscription."""
    return [
        package(),
        an_event("payment_intent.succeeded", an_intent(), event_id="evt_intent"),
        an_event("refund.created", a_refund(amount=250), event_id="evt_refund"),
        an_event("customer.subscription.created", a_subscription(), event_id="evt_subscription"),
        an_event("invoice.paid", an_invoice([a_line(2_900)]), event_id="evt_invoice"),
        an_event("invoice.created", an_invoice([a_line(2_900)]), event_id="evt_ignored"),
    ]


def everything(context: WorkerContext) -> Mapping[str, Any]:
    """Every row of every table that events make, but for when it was written, and the inbox."""
    with context.engine.connect() as connection:
        found = {
            table: connection.execute(
                text(f"SELECT to_jsonb(row) - 'updated_at' FROM {table} AS row ORDER BY id")  # noqa: S608 - our own names.
            ).all()
            for table in TABLES
        }
        inbox = "SELECT id, status, applied_at, note, error, customer_id FROM webhook_events"
        found["inbox"] = connection.execute(text(f"{inbox} ORDER BY id")).all()
    return {table: [tuple(row) for row in rows] for table, rows in found.items()}


def replayed(
    context: WorkerContext, selection: Selection | None = None, **options: Any
) -> Replayed:
    """Run events again as a command does."""
    return Replay(context.engine, **options).run(selection or Selection(), ADA, quiet)


def make_dead(context: WorkerContext, event_id: str) -> None:
    """Let an event have failed for the last time."""
    with context.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE webhook_events SET status = 'dead', next_attempt_at = NULL, attempts = 6"
                " WHERE id = :id"
            ),
            {"id": event_id},
        )


def test_after_a_mended_bug_the_list_of_failures_is_cleared(
    context: WorkerContext, run: Callable[..., Result], decoders: Callable[[str, Any], None]
) -> None:
    """`--failed` means failed and dead; who asked and why is kept with each event."""
    right = DECODERS[SESSION]
    decoders(SESSION, refuse)
    work(context, [package(1), package(2), *an_account()[1:2]])
    make_dead(context, "evt_package_2")
    decoders(SESSION, right)
    done = run("--failed", "--by", "ada", "--reason", "mended")
    assert done.output == "2 events replayed: 2 applied; 2 ledger entries posted.\n"
    assert set(statuses(context.engine).values()) == {"applied"}
    assert balances(context.engine) == {"user_1": 1_000, "user_2": 1_000}
    with context.engine.connect() as connection:
        *_, last = attempts.of(connection, "evt_package_2")
    assert (last.cause, last.status) == ("replay", "applied")
    assert (last.asked_by, last.reason) == ("ada", "mended")
    assert run("--failed").output == "0 events replayed: none; 0 ledger entries posted.\n"


def test_a_replay_of_everything_changes_nothing(context: WorkerContext) -> None:
    """Not a row, not an entry; only the attempts tell that it was."""
    work(context, an_account())
    before = everything(context)
    done = replayed(context)
    assert (done.statuses, done.entries) == ({"applied": 5, "ignored": 1}, 0)
    assert everything(context) == before
    with context.engine.connect() as connection:
        kept = connection.execute(text("SELECT event_id, asked_by FROM event_attempts")).all()
    assert {row.event_id for row in kept} == {event["id"] for event in an_account()}
    assert {row.asked_by for row in kept} == {"ada"}


def test_a_mended_decoder_moves_what_it_got_wrong(
    context: WorkerContext, decoders: Callable[[str, Any], None]
) -> None:
    """An applied event may say more than it did; then the difference is posted."""
    right = DECODERS["refund.created"]
    decoders("refund.created", lambda _source: [])
    work(context, an_account()[:3])
    assert balances(context.engine) == {"user_1": 1_000}
    decoders("refund.created", right)
    done = replayed(context, Selection(event_type="refund.created"))
    assert (done.statuses, done.entries) == ({"applied": 1}, 1)
    assert balances(context.engine) == {"user_1": 500}


def test_an_applied_event_that_fails_now_stays_applied(
    context: WorkerContext, decoders: Callable[[str, Any], None]
) -> None:
    """It had its effect; the failure is told and kept, and nothing is tried again."""
    work(context, [package()])
    before = everything(context)
    decoders(SESSION, refuse)
    done = replayed(context)
    assert done.failures == [("evt_package_1", "ZeroDivisionError: a bug")]
    assert everything(context) == before
    with context.engine.connect() as connection:
        (row,) = attempts.of(connection, "evt_package_1")
    assert (row.cause, row.error) == ("replay", "ZeroDivisionError: a bug")


def test_a_type_that_is_handled_now_takes_effect(
    context: WorkerContext, decoders: Callable[[str, Any], None]
) -> None:
    """What was ignored when it came is applied."""
    right = DECODERS["refund.created"]
    decoders("refund.created", None)
    work(context, an_account()[:3])
    decoders("refund.created", right)
    replayed(context, Selection(statuses=("ignored",)))
    assert statuses(context.engine)["evt_refund"] == "applied"
    assert balances(context.engine) == {"user_1": 500}


def test_events_of_stripes_other_mode_stay_ignored(context: WorkerContext) -> None:
    """A replay lets nothing in that the pipeline kept out."""
    live = package() | {"livemode": True}
    work(replace(context, test_mode=True), [live])
    done = replayed(context, test_mode=True)
    assert done.statuses == {"ignored": 1}
    assert balances(context.engine) == {}


def test_one_bad_event_does_not_stop_a_replay(
    context: WorkerContext, decoders: Callable[[str, Any], None]
) -> None:
    """The database refuses one; the others are applied."""
    huge = an_invoice(
        [a_line(9 * 10**17) for _ in range(9)], metadata={"user_id": "user_x"}, customer="cus_x"
    )
    right = DECODERS[SESSION]
    decoders(SESSION, refuse)
    poison = an_event("invoice.paid", huge, event_id="evt_poison")
    work(context, [package(1), poison, package(2)])
    decoders(SESSION, right)
    done = replayed(context)
    assert done.statuses == {"applied": 2, "failed": 1}
    assert [event_id for event_id, _ in done.failures] == ["evt_poison"]
    assert balances(context.engine) == {"user_1": 1_000, "user_2": 1_000}


def test_events_are_chosen_by_what_is_asked(context: WorkerContext) -> None:
    """Type, time, status, user, id; several narrow each other."""
    work(context, [*an_account(), package(2)])
    with context.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE webhook_events SET received_at = now() - interval '2 days'"
                " WHERE id = 'evt_package_2'"
            )
        )
    yesterday = datetime.now(UTC) - timedelta(days=1)
    chosen = {
        Selection(event_type=SESSION): 2,
        Selection(event_type=SESSION, since=yesterday): 1,
        Selection(statuses=("ignored",)): 1,
        Selection(user_id="user_2"): 1,
        Selection(event_ids=("evt_intent", "evt_refund")): 2,
        Selection(user_id="user_2", event_ids=("evt_intent",)): 0,
        Selection(): 7,
    }
    for selection, expected in chosen.items():
        assert sum(replayed(context, selection).statuses.values()) == expected, selection


def test_every_page_is_read_once(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the batches, each event is run once, and progress comes to the whole."""
    work(context, [package(number) for number in range(7)])
    monkeypatch.setattr("workers.operations.replay.BATCH", 2)
    seen: list[tuple[int, int]] = []
    done = Replay(context.engine).run(
        Selection(), ADA, lambda done, total: seen.append((done, total))
    )
    assert done.statuses == {"applied": 7}
    assert seen == [(0, 7), (2, 7), (4, 7), (6, 7), (7, 7)]


def test_a_rate_is_kept(context: WorkerContext) -> None:
    """Ten events at fifty a second take a fifth of a second."""
    work(context, [package(number) for number in range(10)])
    started = time.monotonic()
    Replay(context.engine).run(Selection(), ADA, quiet, events_per_second=50)
    assert time.monotonic() - started >= 0.2


def test_paused_types_are_left_out_unless_they_are_named(context: WorkerContext) -> None:
    """A pause is not undone by accident, and the mend can be tried on one event."""
    with context.engine.begin() as connection:
        pauses.pause(connection, SESSION, by="ada", reason=None)
    work(context, [package(1), package(2)])
    assert replayed(context).statuses == {}
    assert replayed(context, Selection(event_ids=("evt_package_1",))).statuses == {"applied": 1}
    assert statuses(context.engine)["evt_package_2"] == "received"
    assert replayed(context, Selection(event_type=SESSION)).statuses == {"applied": 2}


def test_a_replay_and_a_worker_at_the_same_event_apply_it_once(context: WorkerContext) -> None:
    """The replay waits for the row, and finds it applied."""
    with context.engine.begin() as connection:
        pauses.pause(connection, SESSION, by="ada", reason=None)
    work(context, [package()])
    with context.engine.begin() as connection:
        pauses.resume(connection, SESSION)
    drain(context, lambda: None)
    done = replayed(context)
    assert (done.statuses, done.entries) == ({"applied": 1}, 0)
    assert balances(context.engine) == {"user_1": 1_000}


def test_a_cut_event_says_that_its_list_is_asked_for(context: WorkerContext) -> None:
    """A replay asks nobody itself, and lets the asker begin anew where it had given up."""
    invoice = an_invoice([a_line(2_900)], metadata={"user_id": "user_1"})
    invoice["lines"]["has_more"] = True
    work(context, [an_event("invoice.paid", invoice, event_id="evt_cut")])
    with context.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO questions (kind, subject_id, last_asked_at, next_ask_at, last_answer,"
                " given_up_at) SELECT 'invoice_lines', id, now(), now(), 'nothing', now()"
                " FROM unnest(ARRAY['in_1', 'in_2']) AS id"
            )
        )
    assert replayed(context, can_ask=True).statuses == {"applied": 1}
    with context.engine.connect() as connection:
        note = connection.execute(text("SELECT note FROM webhook_events")).scalar_one()
        given_up = connection.execute(text("SELECT subject_id FROM questions")).scalars().all()
    assert note == "its list is cut (has_more); the whole one is asked of Stripe"
    assert given_up == ["in_2"]


def test_a_rehearsal_says_what_would_change_and_changes_nothing(
    context: WorkerContext, decoders: Callable[[str, Any], None]
) -> None:
    """Payments, balances and events, with before and after."""
    right = DECODERS["refund.created"]
    decoders("refund.created", refuse)
    work(context, an_account()[:3])
    decoders("refund.created", right)
    before = everything(context)
    changes: list[Change] = []
    done = Replay(context.engine).rehearse(Selection(), ADA, quiet, changes.append)
    assert everything(context) == before
    assert (done.statuses, done.entries) == ({"applied": 3}, 1)
    told = {(each.kind, each.id): moved(each) for each in changes}
    assert told == {
        ("event", "evt_refund"): {"status": ("failed", "applied")},
        ("payment", "cs_1"): {
            "status": ("paid", "partially_refunded"),
            "tokens": (1_000, 500),
            "amount_refunded": (0, 250),
        },
        ("balance", "user_1"): {"tokens": (1_000, 500)},
    }
    with context.engine.connect() as connection:
        assert [row.cause for row in attempts.of(connection, "evt_refund")] == ["delivery"]


def moved(change: Change) -> dict[str, tuple[Any, Any]]:
    """The values that differ, before and after."""
    before, after = change.before or {}, change.after or {}
    return {
        name: (before.get(name), after.get(name))
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name)
    }


def test_the_command_rehearses(
    context: WorkerContext, run: Callable[..., Result], decoders: Callable[[str, Any], None]
) -> None:
    """In lines for people, and as JSON."""
    right = DECODERS["customer.subscription.created"]
    decoders("customer.subscription.created", refuse)
    work(context, an_account()[3:4])
    decoders("customer.subscription.created", right)
    lines = run("--failed", "--dry-run").output.splitlines()
    assert lines[0] == "event evt_subscription  status failed → applied"
    assert lines[1].startswith("subscription sub_1  new: items [")
    assert lines[-1] == "1 event would be replayed: 1 applied. Nothing was changed."
    told = json.loads(run("--failed", "--dry-run", "--json").output)
    assert (told["dry_run"], told["events"]) == (True, 1)
    assert told["changes"][0]["after"] == {"status": "applied"}
    assert statuses(context.engine) == {"evt_subscription": "failed"}


def test_several_ids_may_follow_one_option(
    context: WorkerContext, run: Callable[..., Result]
) -> None:
    """`--event ID…`, as the contract writes it."""
    work(context, an_account())
    told = json.loads(run("--event", "evt_intent", "evt_refund", "--json").output)
    assert (told["events"], told["statuses"]) == (2, {"applied": 2})


def test_an_id_that_is_not_there_is_told_and_nothing_is_run(
    context: WorkerContext, run: Callable[..., Result]
) -> None:
    """A typing error must not look like success."""
    work(context, [package()])
    refused = run("--event", "evt_package_1", "--event", "evt_nothing")
    assert refused.exit_code == 1
    assert refused.output == "Error: Not in the inbox: evt_nothing. Nothing was replayed.\n"
    with context.engine.connect() as connection:
        assert attempts.of(connection, "evt_package_1") == []


@pytest.mark.parametrize(
    "arguments",
    [(), ("--all", "--failed"), ("evt_1",), ("--since", "tomorrow"), ("--since", "9w9")],
)
def test_a_replay_must_say_what_it_is_to_run(
    run: Callable[..., Result], arguments: tuple[str, ...]
) -> None:
    """Nothing is run by default, and --all stands alone."""
    assert run(*arguments).exit_code == 2


def test_a_replay_that_fails_exits_with_one_and_says_why(
    context: WorkerContext, run: Callable[..., Result], decoders: Callable[[str, Any], None]
) -> None:
    """So that a script notices."""
    decoders(SESSION, refuse)
    work(context, [package()])
    done = run("--all")
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "evt_package_1  ZeroDivisionError: a bug",
        "1 event replayed: 1 failed; 0 ledger entries posted.",
    ]
