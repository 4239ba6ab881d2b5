"""What an event does not say is asked of Stripe, and the answer is one more stored event."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from db.bodies import decompress
from db.questions.questions import Kind
from tests.pipeline import balances, statuses, work
from tests.stripe_objects import (
    a_charge,
    a_line,
    a_refund,
    a_session,
    a_subscription,
    an_event,
    an_invoice,
    an_invoice_payment,
)
from tests.stripe_server import StripeServer, serve
from tests.workers.asking import an_asking_shop, asked, is_wanted, pass_time, want
from workers.commands.events import events
from workers.context import WorkerContext
from workers.questions.answering import PAUSES_SECONDS
from workers.questions.asking import ask_stripe

INVOICE = "/v1/invoices/in_1"
LINES = "/v1/invoices/in_1/lines"
SESSION = "/v1/checkout/sessions/cs_1"
SUBSCRIPTION = "/v1/subscriptions/sub_1"
ITEMS = "/v1/subscription_items"
LINKS = "/v1/invoice_payments"
SESSIONS = "/v1/checkout/sessions"


@pytest.fixture(scope="module")
def stripe_server() -> Iterator[StripeServer]:
    """One server for the module."""
    with serve() as found:
        yield found


@pytest.fixture
def stripe(stripe_server: StripeServer) -> StripeServer:
    """The same, knowing nothing yet."""
    stripe_server.forget()
    return stripe_server


@pytest.fixture(scope="module")
def shop(database_url: str, redis_url: str, stripe_server: StripeServer) -> Iterator[WorkerContext]:
    """A worker with a Stripe key, whose Stripe is the server above."""
    with an_asking_shop(database_url, redis_url, stripe_server) as context:
        yield context


def a_list(*entries: Any, has_more: bool = False) -> dict[str, Any]:
    """A list of Stripe's."""
    return {"object": "list", "data": list(entries), "has_more": has_more, "url": "/v1/list"}


def a_cut_invoice(**changes: Any) -> dict[str, Any]:
    """A paid invoice of two lines that shows only one of them."""
    invoice = an_invoice(
        [a_line(2_900)], metadata={"user_id": "user_1"}, amount_paid=5_800, **changes
    )
    invoice["lines"]["has_more"] = True
    return invoice


def stored(context: WorkerContext, event_id: str) -> dict[str, Any]:
    """An event of the inbox."""
    with context.engine.connect() as connection:
        body = connection.execute(
            text("SELECT body FROM webhook_events WHERE id = :id"), {"id": event_id}
        ).scalar_one()
    found: dict[str, Any] = json.loads(decompress(bytes(body)))
    return found


def note(context: WorkerContext) -> str:
    """What is noted of the only event."""
    with context.engine.connect() as connection:
        return str(connection.execute(text("SELECT note FROM webhook_events")).scalar_one())


def test_a_cut_list_of_lines_is_asked_for_apart_from_its_event(
    context: WorkerContext, stripe: StripeServer
) -> None:
    """A drain asks nobody; all lines count once their invoice was asked for."""
    event = an_event("invoice.paid", a_cut_invoice())
    work(context, [event])
    assert stripe.asked == []
    assert statuses(context.engine) == {event["id"]: "applied"}
    assert note(context).endswith("its list is cut (has_more); the whole one is asked of Stripe")

    want(context, Kind.INVOICE_LINES, "in_1")
    stripe.answers |= {INVOICE: a_cut_invoice(), LINES: a_list(a_line(2_900), a_line(2_900))}
    assert ask_stripe(context).decided == 1
    assert balances(context.engine) == {"user_1": 20_000}
    assert statuses(context.engine)["fetched_in_1_lines_paid"] == "applied"
    assert asked(context) == {}


def test_without_a_key_a_cut_list_waits_and_says_why(
    context: WorkerContext, stripe: StripeServer
) -> None:
    """Nobody can be asked; the event says so, and nothing is tried."""
    keyless = replace(context, gateway=None)
    work(keyless, [an_event("invoice.paid", a_cut_invoice())])
    want(context, Kind.INVOICE_LINES, "in_1")
    assert note(context).endswith("and without STRIPE_SECRET_KEY nobody can be asked for the whole")
    assert ask_stripe(keyless).begun == 0
    assert stripe.asked == []


@pytest.mark.parametrize(
    ("status", "event_type"),
    [
        ("paid", "invoice.paid"),
        ("void", "invoice.voided"),
        ("open", "invoice.payment_action_required"),
        ("draft", "invoice.payment_action_required"),
    ],
)
def test_an_invoice_is_told_by_the_event_of_its_status(
    context: WorkerContext, stripe: StripeServer, status: str, event_type: str
) -> None:
    """Never by one that tells more than the status does, such as a failed payment."""
    want(context, Kind.INVOICE_LINES, "in_1")
    stripe.answers |= {INVOICE: a_cut_invoice(status=status), LINES: a_list(a_line(2_900))}
    ask_stripe(context)
    answer = stored(context, f"fetched_in_1_lines_{status}")
    assert answer["type"] == event_type
    assert answer["data"]["object"]["lines"]["has_more"] is False


def test_line_items_come_with_their_session(context: WorkerContext, stripe: StripeServer) -> None:
    """All pages of them, in an event of the session, dated by Stripe's clock."""
    stripe.ahead_seconds = 7_000
    items = [{"id": f"li_{each}", "object": "item", "quantity": 3} for each in range(3)]
    pages = {None: a_list(*items[:2], has_more=True), "li_1": a_list(items[2])}
    stripe.answers |= {
        SESSION: a_session() | {"line_items": a_list(items[0], has_more=True)},
        f"{SESSION}/line_items": lambda query: (200, pages[query.get("starting_after")]),
    }
    want(context, Kind.LINE_ITEMS, "cs_1")
    ask_stripe(context)
    answer = stored(context, "fetched_cs_1_line_items")
    assert answer["type"] == "checkout.session.completed"
    assert answer["data"]["object"]["line_items"]["data"] == items
    assert abs(answer["created"] - time.time() - 7_000) < 5


def test_a_refund_finds_its_invoice(context: WorkerContext, stripe: StripeServer) -> None:
    """Stripe is asked which invoice its intent paid."""
    invoice = an_invoice([a_line(2_900)], metadata={"user_id": "user_1"}, payments=None)
    refund = a_refund(payment_intent="pi_1", amount=2_900, charge=None)
    work(context, [an_event("invoice.paid", invoice), an_event("refund.created", refund)])
    assert balances(context.engine) == {"user_1": 10_000}
    want(context, Kind.PAYMENT_OF, "pi_1", age_seconds=60)
    queries = []

    def links(query: Any) -> tuple[int, Any]:
        queries.append(dict(query))
        open_one = an_invoice_payment("in_2", "pi_1") | {"status": "open"}
        return 200, a_list(an_invoice_payment("in_1", "pi_1"), open_one)

    stripe.answers[LINKS] = links
    assert ask_stripe(context).decided == 1
    assert queries[0]["payment[type]"] == "payment_intent"
    assert queries[0]["payment[payment_intent]"] == "pi_1"
    assert balances(context.engine) == {}
    assert stripe.asked == [LINKS]


def test_a_refund_of_a_charge_finds_its_session(
    context: WorkerContext, stripe: StripeServer
) -> None:
    """By way of its intent, which only Stripe names; no invoice, so a session."""
    work(context, [an_event("refund.created", a_refund(payment_intent=None, charge="ch_1"))])
    want(context, Kind.PAYMENT_OF, "ch_1", age_seconds=60)
    stripe.answers |= {
        "/v1/charges/ch_1": a_charge(id="ch_1", payment_intent="pi_1", amount_refunded=0),
        LINKS: a_list(),
        SESSIONS: lambda query: (
            200,
            a_list(*([a_session()] if query["payment_intent"] == "pi_1" else [])),
        ),
    }
    assert ask_stripe(context).begun == 1
    with context.engine.connect() as connection:
        roots = connection.execute(text("SELECT id, root_id FROM payments WHERE id <> 'cs_1'"))
        assert {row.id: row.root_id for row in roots} == {"ch_1": "cs_1", "pi_1": "cs_1"}


def test_money_that_stripe_cannot_place_is_asked_about_less_and_less_often(
    context: WorkerContext, stripe: StripeServer
) -> None:
    """And in the end left to a person, with what Stripe said."""
    stripe.answers |= {LINKS: a_list(), SESSIONS: a_list()}
    want(context, Kind.PAYMENT_OF, "pi_1", age_seconds=60)
    for pause in PAUSES_SECONDS:
        assert ask_stripe(context).postponed == 1
        row = asked(context)["pi_1"]
        waits = (row.next_ask_at - row.last_asked_at).total_seconds()
        assert pause <= waits < pause + 5
        assert ask_stripe(context).begun == 0
        pass_time(context)
    assert ask_stripe(context).given_up == 1
    row = asked(context)["pi_1"]
    assert row.given_up_at is not None
    assert row.last_answer == (
        "Stripe names no invoice and no checkout session of pi_1; that decides nothing"
    )
    pass_time(context)
    assert ask_stripe(context).begun == 0


def test_events_show_says_what_an_object_waits_for(
    context: WorkerContext, stripe: StripeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it is decided: what is asked, what came of it, and when it is asked again."""
    url = context.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", url.replace("+psycopg2", ""))

    def shown() -> list[str]:
        result = CliRunner().invoke(events, ["show", event["id"], "--json"])
        found: list[str] = json.loads(result.output)["waits_for"]
        return found

    event = an_event("invoice.paid", a_cut_invoice())
    work(context, [event])
    assert shown() == ["invoice_lines: to be asked of Stripe"]
    stripe.status = 500
    ask_stripe(context)
    (says,) = shown()
    assert says.startswith("invoice_lines: asked again at 20")
    assert "HTTP 500" in says
    assert "waits for" in CliRunner().invoke(events, ["show", event["id"]]).output


def test_a_session_is_given_time_to_tell_of_its_intent(
    context: WorkerContext, stripe: StripeServer
) -> None:
    """It usually comes a moment later by itself."""
    stripe.answers |= {LINKS: a_list(), SESSIONS: a_list()}
    want(context, Kind.PAYMENT_OF, "pi_1", age_seconds=20)
    assert ask_stripe(context).begun == 0
    want(context, Kind.PAYMENT_OF, "pi_1", age_seconds=31)
    assert ask_stripe(context).begun == 1


def a_tie(created: int = 1_700_000_000) -> list[dict[str, Any]]:
    """Two reports of one second that nothing connects."""
    return [
        an_event(
            "customer.subscription.updated",
            a_subscription(status=status, latest_invoice=f"in_{status}"),
            previous={"latest_invoice": f"in_before_{status}"},
            created=created,
        )
        for status in ("active", "past_due")
    ]


def status_of(context: WorkerContext) -> tuple[str, bool]:
    """The subscription's status, and whether it is undecided."""
    with context.engine.connect() as connection:
        row = connection.execute(text("SELECT status, undecided FROM subscriptions")).one()
        return row.status, row.undecided


def test_an_undecided_second_is_settled_by_asking(
    context: WorkerContext, stripe: StripeServer
) -> None:
    """Stripe's answer is newer than the tie, and stands."""
    work(context, a_tie())
    assert status_of(context)[1]
    stripe.answers[SUBSCRIPTION] = a_subscription(status="unpaid")
    assert ask_stripe(context).decided == 1
    assert status_of(context) == ("unpaid", False)
    assert ask_stripe(context).begun == 0
    assert len([key for key in statuses(context.engine) if key.startswith("fetched_sub_1")]) == 1


@pytest.mark.parametrize("ahead_seconds", [-300, 0, 5, 10_000_000])
def test_an_answer_is_dated_by_stripes_clock(
    context: WorkerContext, stripe: StripeServer, ahead_seconds: int
) -> None:
    """Whatever ours says, it stands, and nothing is asked twice.

    What Stripe reports a few seconds later is newer, also where our clock is fast.
    """
    stripe.ahead_seconds = ahead_seconds
    now = int(time.time()) + ahead_seconds
    work(context, a_tie(created=now - 2))
    stripe.answers[SUBSCRIPTION] = a_subscription(status="unpaid")
    assert ask_stripe(context).decided == 1
    assert status_of(context) == ("unpaid", False)
    assert ask_stripe(context).begun == 0
    later = an_event(
        "customer.subscription.updated", a_subscription(), created=now + 60, previous={}
    )
    work(context, [later])
    assert status_of(context) == ("active", False)


@pytest.mark.parametrize("ahead_seconds", [5, 10_000_000])
def test_an_answer_is_newer_than_a_report_of_a_test_clock(
    context: WorkerContext, stripe: StripeServer, ahead_seconds: int
) -> None:
    """Events of a clock that was moved lie ahead even of Stripe's own."""
    work(context, a_tie(created=int(time.time()) + ahead_seconds))
    stripe.answers[SUBSCRIPTION] = a_subscription(status="unpaid")
    assert ask_stripe(context).decided == 1
    assert status_of(context) == ("unpaid", False)


def test_a_tie_with_a_cut_list_of_items_is_asked_about_once(
    context: WorkerContext, stripe: StripeServer
) -> None:
    """The answer has all items: a cut one would be no report, and be asked for for ever."""
    work(context, a_tie())
    found = a_subscription(status="unpaid")
    items = [found["items"]["data"][0] | {"id": f"si_{each}"} for each in range(3)]
    found["items"] = a_list(items[0], has_more=True)
    stripe.answers |= {SUBSCRIPTION: found, ITEMS: a_list(*items)}
    assert ask_stripe(context).decided == 1
    assert status_of(context) == ("unpaid", False)
    assert stripe.asked == [SUBSCRIPTION, ITEMS]
    with context.engine.connect() as connection:
        (shown,) = connection.execute(text("SELECT items FROM subscriptions")).scalars()
    assert len(shown) == 3
    for _ in range(3):
        assert ask_stripe(context).begun == 0
    assert len(statuses(context.engine)) == 3


def test_a_tie_about_which_stripe_knows_nothing_is_left_to_a_person(
    context: WorkerContext, stripe: StripeServer
) -> None:
    """It is not asked about again and again."""
    work(context, a_tie())
    assert ask_stripe(context).given_up == 1
    assert ask_stripe(context).begun == 0
    assert stripe.asked == [SUBSCRIPTION]
    assert asked(context)["sub_1"].last_answer == "Stripe knows no such object for this key"


def test_what_is_wanted_no_longer_is_forgotten(
    context: WorkerContext, stripe: StripeServer
) -> None:
    """A later report decides by itself; the next tie is asked about anew."""
    work(context, a_tie())
    ask_stripe(context)
    work(
        context,
        [an_event("customer.subscription.updated", a_subscription(), created=1_800_000_000)],
    )
    assert not is_wanted(context, Kind.SUBSCRIPTION, "sub_1")
    ask_stripe(context)
    assert asked(context) == {}
    work(context, a_tie(created=1_800_000_001))
    assert ask_stripe(context).given_up == 1
    assert stripe.asked == [SUBSCRIPTION, SUBSCRIPTION]


def test_a_list_that_is_too_long_is_not_taken_for_all_of_it(
    context: WorkerContext, stripe: StripeServer
) -> None:
    """Nothing is granted for five thousand of its lines; a person is told."""
    lines = [a_line(2_900) | {"id": f"il_{each}"} for each in range(100)]
    stripe.answers |= {INVOICE: a_cut_invoice(), LINES: a_list(*lines, has_more=True)}
    want(context, Kind.INVOICE_LINES, "in_1")
    assert ask_stripe(context).given_up == 1
    assert stripe.asked.count(LINES) == 51
    assert balances(context.engine) == {}
    assert asked(context)["in_1"].last_answer == (
        "Stripe's list is too long: /v1/invoices/in_1/lines has more than 5,000 entries, and no"
        " more are read."
    )


def test_an_answer_that_cannot_be_kept_harms_only_itself(
    context: WorkerContext, stripe: StripeServer
) -> None:
    """Whatever is odd about it, other questions are answered, and it is asked again later."""
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"deeper": deep}
    # The library that writes JSON here refuses so many levels; it reads them.
    stripe.answers |= {
        INVOICE: a_cut_invoice() | {"pad": deep},
        LINES: a_list(a_line(2_900)),
        SUBSCRIPTION: a_subscription(status="unpaid"),
    }
    work(context, a_tie())
    want(context, Kind.INVOICE_LINES, "in_1")
    done = ask_stripe(context)
    assert (done.decided, done.postponed) == (1, 1)
    assert asked(context)["in_1"].last_answer.startswith("its answer cannot be used: ")
