"""While Stripe hangs, errs or is asked too often: nobody else waits, and nothing is given up."""

import threading
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from db.questions import questions, stripe_turn
from db.questions.questions import Kind
from stripe_gateway import StripeSilent
from tests.pipeline import balances, work
from tests.stripe_objects import a_line, a_session, a_subscription, an_event, an_invoice
from tests.stripe_server import StripeServer, serve
from tests.workers.asking import an_asking_shop, asked, pass_time, want
from workers.context import WorkerContext
from workers.questions import answering, answers, asking, deadline
from workers.questions.asking import ask_stripe
from workers.questions.turn import leave_reading, next_reading, turn
from workers.schedule import reconcile

FAILURES = 12


@pytest.fixture(scope="module")
def stripe_server() -> Iterator[StripeServer]:
    """One server for the module."""
    with serve() as found:
        yield found


@pytest.fixture
def stripe(stripe_server: StripeServer) -> Iterator[StripeServer]:
    """The same, knowing nothing yet."""
    stripe_server.forget()
    yield stripe_server
    stripe_server.forget()


@pytest.fixture(scope="module")
def shop(database_url: str, redis_url: str, stripe_server: StripeServer) -> Iterator[WorkerContext]:
    """A worker with a Stripe key, whose Stripe is the server above."""
    with an_asking_shop(database_url, redis_url, stripe_server) as context:
        yield context


def subscriptions(context: WorkerContext, stripe: StripeServer, number: int) -> None:
    """So many ambiguous orders, each of which Stripe can decide."""
    for each in range(number):
        name = f"sub_{each}"
        stripe.answers[f"/v1/subscriptions/{name}"] = a_subscription(id=name)
        want(context, Kind.SUBSCRIPTION, name)


def failures(context: WorkerContext) -> int:
    """How often in a row Stripe has not answered."""
    with context.engine.connect() as connection:
        found = stripe_turn.trouble(connection)
        return found.failures if found else 0


@pytest.mark.parametrize("status", [500, 503, 401])
def test_after_two_failures_stripe_is_left_alone_and_then_tried_once(
    context: WorkerContext, stripe: StripeServer, status: int
) -> None:
    """However many questions wait. Once it answers everything is asked at once."""
    subscriptions(context, stripe, 6)
    stripe.status = status
    assert ask_stripe(context).silent == 2
    assert ask_stripe(context).begun == 0
    pass_time(context)
    assert ask_stripe(context).silent == 1
    assert len(stripe.asked) == 3
    with context.engine.begin() as connection:
        connection.execute(text("UPDATE stripe_turn SET pause_until = now()"))
    stripe.status = 200
    assert ask_stripe(context).decided == 6
    assert failures(context) == 0
    assert asked(context) == {}


def test_a_stripe_that_is_asked_too_often_is_left_alone_at_once(
    context: WorkerContext, stripe: StripeServer
) -> None:
    """One refusal is enough, for as long as Stripe wishes."""
    subscriptions(context, stripe, 3)
    stripe.status = 429
    stripe.headers = {"Retry-After": "40"}
    assert ask_stripe(context).silent == 1
    assert ask_stripe(context).begun == 0
    with context.engine.connect() as connection:
        pause = connection.execute(text("SELECT pause_until - now() FROM stripe_turn")).scalar_one()
    assert 35 < pause.total_seconds() <= 40


def test_no_question_is_given_up_because_stripe_is_away(
    context: WorkerContext, stripe: StripeServer
) -> None:
    """A long outage is nobody's fault: afterwards each is asked as if for the first time."""
    subscriptions(context, stripe, 1)
    stripe.status = 500
    for _ in range(FAILURES):
        assert ask_stripe(context).silent == 1
        pass_time(context)
    (row,) = asked(context).values()
    assert (row.asks, row.silences, row.given_up_at) == (0, FAILURES, None)
    stripe.status = 200
    assert ask_stripe(context).decided == 1


def test_a_question_that_takes_too_long_is_not_waited_for(
    context: WorkerContext, stripe: StripeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on without its answer, and ends when its time is up."""
    monkeypatch.setattr(answering, "QUESTION_SECONDS", 0.3)
    monkeypatch.setattr(asking, "SECONDS_MAX", 0.1)
    subscriptions(context, stripe, 3)
    stripe.delay_seconds = 3.0
    began = time.monotonic()
    assert ask_stripe(context).silent == 1
    assert time.monotonic() - began < stripe.delay_seconds


def test_answers_nobody_waits_for_do_not_pile_up() -> None:
    """After a few that never came nothing is asked until one of them ends."""
    comes = threading.Event()
    asked: list[str] = []
    for _ in range(deadline.STUCK_MAX):
        with pytest.raises(StripeSilent):
            deadline.within(0.01, comes.wait)
    with pytest.raises(StripeSilent):
        deadline.within(10.0, lambda: asked.append("one too many"))
    assert not asked
    comes.set()
    for thread in threading.enumerate():
        if thread.name == "asks-stripe":
            thread.join(10.0)
    assert deadline.within(10.0, lambda: "answer") == "answer"


def test_only_one_worker_asks_at_a_time(context: WorkerContext, stripe: StripeServer) -> None:
    """Another's turn ends by itself if its process dies."""
    subscriptions(context, stripe, 1)
    with turn(context) as mine:
        assert mine is not None
        assert ask_stripe(context).begun == 0
        with turn(context) as other:
            assert other is None
        with context.engine.begin() as connection:
            connection.execute(text("UPDATE stripe_turn SET held_until = now()"))
        with turn(context) as successor:
            assert successor is not None
            with context.engine.begin() as connection:
                assert not mine.prolong(connection)
    assert stripe.asked == []
    assert ask_stripe(context).decided == 1


def test_a_reading_of_the_list_has_its_turn_after_the_questions(
    context: WorkerContext, stripe: StripeServer
) -> None:
    """It shares the one turn, and is not forgotten where that was taken."""
    with turn(context):
        assert not reconcile.catch_up(context, lambda: None)
        leave_reading(context, after_outage=True)
        assert next_reading(context) is None
    assert stripe.asked == []
    assert next_reading(context) == "tick"
    assert next_reading(context) is None
    leave_reading(context)
    leave_reading(context, goes_on=True)
    assert next_reading(context) == "goes_on"


def test_a_reading_that_stripe_does_not_answer_counts_as_a_failure(
    context: WorkerContext, stripe: StripeServer
) -> None:
    """And one that it answers ends the trouble."""
    stripe.status = 500
    assert not reconcile.catch_up(context, lambda: None)
    assert failures(context) == 1
    stripe.status = 200
    stripe.answers["/v1/events"] = {"object": "list", "data": [], "has_more": False}
    assert not reconcile.catch_up(context, lambda: None)
    assert failures(context) == 0


def test_bad_questions_keep_no_other_waiting(
    context: WorkerContext, stripe: StripeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kinds take turns, and so do new questions and those that were asked before."""
    monkeypatch.setattr(asking, "QUESTIONS_MAX", 4)
    stripe.answers |= {
        path: {"object": "list", "data": [], "has_more": False}
        for path in ("/v1/invoice_payments", "/v1/checkout/sessions")
    }
    for number in range(30):
        want(context, Kind.PAYMENT_OF, f"pi_{number}", age_seconds=3_600)
    assert ask_stripe(context).postponed == 4
    pass_time(context)
    stripe.asked.clear()
    subscriptions(context, stripe, 1)
    with context.engine.connect() as connection:
        due = questions.due(connection, 3, {})
    assert {each.kind for each in due} == {Kind.PAYMENT_OF, Kind.SUBSCRIPTION}
    assert sorted(each.asks for each in due) == [0, 0, 1]
    assert ask_stripe(context).decided == 1


def test_what_was_decided_meanwhile_is_not_asked(
    context: WorkerContext, stripe: StripeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked at once more right before."""
    subscriptions(context, stripe, 2)
    real = answers.ask

    def decide_the_other(*arguments: object) -> object:
        with context.engine.begin() as connection:
            connection.execute(
                text("UPDATE subscriptions SET undecided = false WHERE id = 'sub_1'")
            )
        return real(*arguments)  # type: ignore[arg-type]  # As they came.

    monkeypatch.setattr(asking, "ask", decide_the_other)
    assert ask_stripe(context).begun == 1
    assert stripe.asked == ["/v1/subscriptions/sub_0"]


def test_a_drain_asks_nobody_however_long_stripe_takes(
    context: WorkerContext, stripe: StripeServer
) -> None:
    """Cut invoices before an innocent purchase no longer hold it up."""
    stripe.delay_seconds = 5.0
    cut = an_invoice([a_line(2_900)])
    cut["lines"]["has_more"] = True
    events = [an_event("invoice.paid", cut | {"id": f"in_{number}"}) for number in range(6)]
    began = time.monotonic()
    work(context, [*events, an_event("checkout.session.completed", a_session())])
    assert time.monotonic() - began < 2.0
    assert balances(context.engine) == {"user_1": 1_000}
    assert stripe.asked == []
