"""What events do not say is asked of the offline Stripe, and becomes right by itself."""

from typing import Any

from sandbox.stripe.views import Paid
from tests.buyers import Buyer
from tests.offline_stripe import GOOD
from tests.shop_floor import BASIC, PACK, REFILL, Floor
from workers.questions.asking import ask_stripe


def test_a_link_that_names_no_plan_is_worth_its_line_items(floor: Floor) -> None:
    """Three packages by a link of the dashboard: nobody's metadata names a plan."""
    ann = Buyer(floor, "ann")
    lines: Any = [{"price": floor.price_of(PACK), "quantity": 3}]
    customer = floor.stripe.customer("ann")
    session = floor.stripe.session(
        floor.price_of(PACK), customer, client_reference_id="ann", line_items=lines
    )
    assert isinstance(floor.stripe.world.pay(session, GOOD), Paid)
    floor.settle(asks=False)
    [payment] = ann.payments
    assert (payment["status"], payment["tokens"], ann.balance) == ("paid", 0, 0)
    assert "names no plan" in payment["note"]
    assert ask_stripe(floor.context).decided == 1
    [payment] = ann.payments
    assert (payment["tokens"], payment["note"], ann.balance) == (3_000, None, 3_000)


def test_lists_longer_than_an_event_shows_are_asked_for_whole(floor: Floor) -> None:
    """Twelve things in one contract: Stripe's events show ten of them, of items and of lines."""
    bea = Buyer(floor, "bea")
    inner = [floor.stripe.price(100 + number) for number in range(10)]
    lines: Any = [
        {"price": price, "quantity": 1}
        for price in (*inner, floor.price_of(BASIC), floor.price_of(REFILL))
    ]
    customer = floor.stripe.customer("bea")
    floor.stripe.subscription(
        floor.price_of(BASIC), customer, client_reference_id="bea", line_items=lines
    )
    floor.settle(asks=False)
    assert bea.balance == 0
    assert any(each["lines"]["has_more"] for each in floor.stripe.objects("invoice.paid"))
    floor.settle()
    assert bea.balance == 5_000
    assert len(bea.subscription["items"]) == 12
    plans = {item["plan_id"] for item in bea.subscription["items"]}
    assert plans == {None, BASIC, REFILL}


def test_a_stripe_that_errs_is_asked_again_once_it_answers(floor: Floor) -> None:
    """Nothing is given up for its silence."""
    cid = Buyer(floor, "cid")
    session = floor.stripe.session(
        floor.price_of(PACK), floor.stripe.customer("cid"), client_reference_id="cid"
    )
    assert isinstance(floor.stripe.world.pay(session, GOOD), Paid)
    floor.settle(asks=False)
    floor.stripe.world.set_answering(kind="errors", status=500)
    assert ask_stripe(floor.context).silent >= 1
    assert cid.balance == 0
    floor.stripe.world.set_answering(kind="normal")
    with floor.context.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE questions SET next_ask_at = now()")
        connection.exec_driver_sql("UPDATE stripe_turn SET pause_until = NULL")
    assert ask_stripe(floor.context).decided >= 1
    assert cid.balance == 1_000
