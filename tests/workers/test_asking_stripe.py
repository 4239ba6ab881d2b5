"""What an event does not say is asked of Stripe, and the answer is one more stored event."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

import settings
from db.bodies import compress
from stripe_gateway import open_gateway
from tests.ingest.builders import ENVIRONMENT
from tests.pipeline import a_delivery, a_wiring, balances, put, sell, statuses, work
from tests.play import CATALOGUE
from tests.stripe_objects import a_line, a_subscription, an_event, an_invoice
from tests.stripe_server import StripeServer, serve
from workers.drain import drain
from workers.ties import settle_ties
from workers.wiring import Wiring

LINES = "/v1/invoices/in_1/lines"
SUBSCRIPTION = "/v1/subscriptions/sub_1"


@pytest.fixture(scope="module")
def stripe_server() -> Iterator[StripeServer]:
    """One server for the module."""
    with serve() as found:
        yield found


@pytest.fixture
def stripe(stripe_server: StripeServer) -> StripeServer:
    """The same, knowing nothing yet."""
    stripe_server.answers.clear()
    stripe_server.asked.clear()
    stripe_server.status = 200
    return stripe_server


@pytest.fixture(scope="module")
def shop(database_url: str, redis_url: str, stripe_server: StripeServer) -> Iterator[Wiring]:
    """A worker with a Stripe key, whose Stripe is the server above."""
    found = settings.load(
        environ=ENVIRONMENT
        | {"STRIPE_SECRET_KEY": "sk_test_of_the_tests", "STRIPE_API_BASE": stripe_server.url}
    )
    wiring = replace(a_wiring(database_url, redis_url), gateway=open_gateway(found))
    sell(wiring.engine, CATALOGUE)
    yield wiring
    wiring.engine.dispose()


def a_cut_invoice() -> dict[str, Any]:
    """A paid invoice of two lines that shows only one of them."""
    invoice = an_invoice([a_line(2_900)], metadata={"user_id": "user_1"}, amount_paid=5_800)
    invoice["lines"]["has_more"] = True
    return an_event("invoice.paid", invoice)


def test_a_cut_list_of_lines_is_completed(wiring: Wiring, stripe: StripeServer) -> None:
    """All lines count, and the completed event is in the inbox for replays and audits."""
    lines = [a_line(2_900), a_line(2_900)]
    stripe.answers[LINES] = {"object": "list", "data": lines, "has_more": False, "url": LINES}
    event = a_cut_invoice()
    work(wiring, [event])
    assert balances(wiring.engine) == {"user_1": 20_000}
    assert statuses(wiring.engine) == {
        event["id"]: "applied",
        f"fetched_{event['id']}": "applied",
    }


def test_a_cut_list_waits_while_stripe_does_not_answer(
    wiring: Wiring, stripe: StripeServer
) -> None:
    """The event fails with that reason and takes effect at a later try."""
    stripe.status = 503
    event = a_cut_invoice()
    work(wiring, [event])
    assert statuses(wiring.engine) == {event["id"]: "failed"}
    stripe.status = 200
    lines = [a_line(2_900), a_line(2_900)]
    stripe.answers[LINES] = {"object": "list", "data": lines, "has_more": False, "url": LINES}
    with wiring.engine.begin() as connection:
        connection.execute(text("UPDATE webhook_events SET next_attempt_at = now()"))
    drain(wiring, lambda: None)
    assert balances(wiring.engine) == {"user_1": 20_000}
    assert statuses(wiring.engine)[event["id"]] == "applied"


def test_without_a_key_a_cut_list_waits_and_says_why(wiring: Wiring) -> None:
    """Nobody can be asked; the event is kept with that reason."""
    event = a_cut_invoice()
    work(replace(wiring, gateway=None), [event])
    with wiring.engine.connect() as connection:
        error = connection.execute(text("SELECT error FROM webhook_events")).scalar_one()
    assert error == (
        "BillingError: invoice.paid: a list in it is cut (has_more), and without"
        " STRIPE_SECRET_KEY nobody can be asked."
    )


def test_a_cut_event_whose_answer_cannot_be_kept_fails_alone(
    wiring: Wiring, stripe: StripeServer
) -> None:
    """Whatever is odd about it, the rest of its batch is applied."""
    stripe.answers[LINES] = {"object": "list", "data": [], "has_more": False, "url": LINES}
    odd, sound = a_cut_invoice(), an_event("customer.subscription.updated", a_subscription())
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"deeper": deep}
    # The library that writes JSON here refuses so many levels; it reads them.
    body = json.dumps(odd | {"pad": deep}).encode()
    put(wiring, [sound])
    wiring.events.put(replace(a_delivery(odd), body=compress(body)))
    drain(wiring, lambda: None)
    assert statuses(wiring.engine) == {sound["id"]: "applied", odd["id"]: "failed"}


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


def status_of(wiring: Wiring) -> tuple[str, bool]:
    """The subscription's status, and whether it is undecided."""
    with wiring.engine.connect() as connection:
        row = connection.execute(text("SELECT status, undecided FROM subscriptions")).one()
        return row.status, row.undecided


def test_an_undecided_second_is_settled_by_asking(wiring: Wiring, stripe: StripeServer) -> None:
    """Stripe's answer is newer than the tie, and stands."""
    work(wiring, a_tie())
    assert status_of(wiring)[1]
    stripe.answers[SUBSCRIPTION] = a_subscription(status="unpaid")
    assert settle_ties(wiring) == 1
    assert status_of(wiring) == ("unpaid", False)
    assert settle_ties(wiring) == 0
    assert len([key for key in statuses(wiring.engine) if key.startswith("fetched_sub_1")]) == 1


@pytest.mark.parametrize("ahead_seconds", [0, 5, 10_000_000])
def test_an_answer_is_newer_than_a_tie_that_lies_ahead_of_our_clock(
    wiring: Wiring, stripe: StripeServer, ahead_seconds: int
) -> None:
    """Test clocks run ahead, and so do clocks: the answer stands, and nothing is asked twice."""
    work(wiring, a_tie(created=int(time.time()) + ahead_seconds))
    stripe.answers[SUBSCRIPTION] = a_subscription(status="unpaid")
    assert settle_ties(wiring) == 1
    assert status_of(wiring) == ("unpaid", False)
    assert settle_ties(wiring) == 0


def test_a_tie_about_which_stripe_knows_nothing_is_left_to_the_fixed_order(
    wiring: Wiring, stripe: StripeServer
) -> None:
    """It is not asked about again and again."""
    work(wiring, a_tie())
    assert settle_ties(wiring) == 0
    assert settle_ties(wiring) == 0
    assert stripe.asked == [SUBSCRIPTION]


def test_a_tie_waits_while_stripe_does_not_answer(wiring: Wiring, stripe: StripeServer) -> None:
    """It stays undecided, to be asked about later."""
    stripe.status = 500
    work(wiring, a_tie())
    assert settle_ties(wiring) == 0
    assert status_of(wiring)[1]
