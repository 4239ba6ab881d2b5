"""What is sold, how Stripe is asked for it, and what a session's facts amount to."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from domain.checkout.order import (
    Order,
    PlanOnSale,
    SessionKnown,
    Terms,
    customer_key,
    session_params,
)
from domain.decode import decode, parse
from domain.synthetic_events.answers import events_of_session
from tests.stripe_objects import NEW, a_line, a_session, a_subscription, an_invoice

PRO = PlanOnSale(2, 1, "full", "Pro", "month", 14, {"usd": 2_900, "eur": 2_700}, {"usd": "price_1"})
PACKAGE = PlanOnSale(4, 3, "token", "Package", None, 0, {"jpy": 500})
TERMS = Terms("p" * 32, "cus_1", "price_1", has_trial=False)


def an_order(offer: PlanOnSale = PRO, **changes: Any) -> Order:
    """An order of one user."""
    fields = {
        "user_id": "user_1",
        "currency": next(iter(offer.prices)),
        "success_url": "https://app.example.com/yes",
        "cancel_url": "https://app.example.com/no",
    }
    return Order(offer=offer, **(fields | changes))


@pytest.mark.parametrize(
    ("offer", "asked", "usual", "expected"),
    [
        (PRO, "eur", "usd", "eur"),
        (PRO, None, "usd", "usd"),
        (PRO, None, "chf", "eur"),
        (PRO, "chf", "usd", None),
        (PACKAGE, None, "usd", "jpy"),
        (replace(PACKAGE, prices={}), None, "usd", None),
    ],
)
def test_a_plan_is_sold_in_what_was_asked_else_in_the_usual_currency(
    offer: PlanOnSale, asked: str | None, usual: str, expected: str | None
) -> None:
    """Else in its own first one; never in one that was not asked for."""
    assert offer.currency(asked, usual) == expected


def test_everything_that_a_session_is_made_of_is_in_the_fingerprint() -> None:
    """Another of any of these is another session."""
    orders = [
        an_order(),
        an_order(user_id="user_2"),
        an_order(currency="eur"),
        an_order(success_url="https://app.example.com/other"),
        an_order(cancel_url="https://app.example.com/other"),
        an_order(replace(PRO, plan_id=3)),
        an_order(replace(PRO, version=2)),
        an_order(replace(PRO, prices={"usd": 3_000})),
    ]
    assert len({order.fingerprint for order in orders}) == len(orders)
    assert an_order().fingerprint == an_order(replace(PRO, name="Prime")).fingerprint


def test_an_inline_price_of_a_plan_recurs() -> None:
    """Without a price object the catalogue's terms are spelled out."""
    params = session_params(an_order(), replace(TERMS, price_id=None, has_trial=True))
    assert params["line_items"] == [
        {
            "price_data": {
                "currency": "usd",
                "unit_amount": 2_900,
                "product_data": {"name": "Pro", "metadata": {"plan_id": "2"}},
                "recurring": {"interval": "month"},
            },
            "quantity": 1,
        }
    ]
    assert params["subscription_data"]["trial_period_days"] == 14


def test_a_trial_is_offered_only_where_it_is_due() -> None:
    """Whoever had one pays from the first day."""
    assert "trial_period_days" not in session_params(an_order(), TERMS)["subscription_data"]


def test_a_customers_key_names_no_user() -> None:
    """Keys show in Stripe's logs; the same user and attempt give the same one."""
    assert customer_key("user_1", 0) == customer_key("user_1", 0)
    assert len({customer_key("user_1", 0), customer_key("user_1", 1), customer_key("u", 0)}) == 3
    assert "user_1" not in customer_key("user_1", 0)
    assert len(customer_key("u" * 255, 9)) < 255


def test_a_session_is_complete_only_with_its_effect() -> None:
    """Of all that may be known, this much must be."""
    for complete, paid, status in product(
        (True, False),
        (None, "pending", "failed", "paid", "refunded", "partially_refunded", "disputed"),
        (None, "incomplete", "incomplete_expired", "trialing", "active", "past_due", "canceled"),
    ):
        is_paid = paid not in (None, "pending", "failed")
        one_time = SessionKnown(is_one_time=True, is_complete=complete, payment_status=paid)
        assert (one_time.status == "complete") == (complete and is_paid)
        plan = SessionKnown(
            is_one_time=False,
            is_complete=complete,
            payment_status=paid,
            subscription_status=status,
        )
        has_begun = status in ("trialing", "active", "past_due", "canceled")
        assert (plan.status == "complete") == (complete and is_paid and has_begun)


def test_an_answer_of_stripe_becomes_events_that_decode() -> None:
    """Session, subscription and invoice, each in its own event, with ids in place of objects."""
    subscription = a_subscription(created=1_700_000_050)
    invoice = an_invoice([a_line(2_900)], status_transitions={"paid_at": 1_700_000_060})
    session = a_session(mode="subscription", subscription=subscription, invoice=invoice)
    events = events_of_session(session, NEW)
    assert [(event["type"], event["id"]) for event in events] == [
        ("checkout.session.completed", "fetched_cs_1_complete_paid"),
        ("customer.subscription.updated", "fetched_sub_1_active_1700000060"),
        ("invoice.paid", "fetched_in_1_paid"),
    ]
    assert {event["created"] for event in events} == {1_700_000_060}
    told = events[0]["data"]["object"]
    assert (told["subscription"], told["invoice"]) == ("sub_1", "in_1")
    assert events[1]["data"]["previous_attributes"] == {}
    for event in events:
        assert decode(parse(event)).facts
    assert events_of_session(session, NEW) == events


@pytest.mark.parametrize(
    "session",
    [
        {},
        a_session(status="open"),
        a_session(status="of_tomorrow"),
        a_session(id=None),
        {"id": 1, "status": "complete"},
    ],
)
def test_an_answer_that_says_nothing_becomes_no_event(session: dict[str, Any]) -> None:
    """Neither an open session nor a malformed one does harm."""
    assert events_of_session(session, NEW) == []


def test_an_unpaid_invoice_and_an_unexpanded_subscription_become_no_events() -> None:
    """What they say is not enough; Stripe's own events will."""
    session = a_session(subscription="sub_1", invoice=an_invoice([], status="open"))
    [event] = events_of_session(session, NEW)
    assert event["data"]["object"]["subscription"] == "sub_1"
    assert event["data"]["object"]["invoice"] == "in_1"
    [expired] = events_of_session(a_session(status="expired", payment_status="unpaid"), NEW)
    assert expired["type"] == "checkout.session.expired"


@pytest.mark.parametrize(
    ("interval_count", "recurring"),
    [(1, {"interval": "month"}), (3, {"interval": "month", "interval_count": 3})],
)
def test_an_inline_price_has_the_length_of_its_period(
    interval_count: int, recurring: dict[str, object]
) -> None:
    """Three months are paid once in three months."""
    order = an_order(replace(PRO, interval_count=interval_count))
    params = session_params(order, replace(TERMS, price_id=None))
    assert params["line_items"][0]["price_data"]["recurring"] == recurring
