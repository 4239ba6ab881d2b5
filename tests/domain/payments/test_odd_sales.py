"""Sales that fit the rules badly: odd currencies, strings, credit, prices and plans unknown."""

from typing import Any

import pytest

from domain.catalogue.plans import Catalogue
from domain.decode import decode, parse
from domain.working_set import Touched, WorkingSet, derive_touched, merge_money, merge_parties
from tests.play import CATALOGUE, Player, a_plan, play
from tests.stripe_objects import (
    NEW,
    OLD,
    a_line,
    a_refund,
    a_session,
    a_subscription,
    an_event,
    an_intent,
    an_invoice,
)

Json = dict[str, Any]
COMPLETED, UPDATED = "checkout.session.completed", "customer.subscription.updated"
PAID_INVOICE = an_invoice([a_line(2_900)], metadata={"user_id": "user_1"})


@pytest.mark.parametrize("currency", ["jpy", "kwd"])
def test_minor_units_are_taken_as_they_are(currency: str) -> None:
    """Yen have no decimals and Kuwaiti dinars three: no hundred appears anywhere."""
    plan = a_plan(2, 10_000, prices={currency: 4_500}, stripe_price_ids={"price_x": currency})
    invoice = an_invoice(
        [a_line(4_500, "price_x", quantity=1)], currency=currency.upper(), payment_intent="pi_1"
    )
    events = [
        an_event("invoice.paid", invoice),
        an_event(UPDATED, a_subscription()),
        an_event("invoice_payment.paid", {"invoice": "in_1", "payment": {"charge": "ch_1"}}),
        an_event("refund.created", a_refund(amount=1_500, payment_intent=None)),
    ]
    tables = play(events, Catalogue.of([plan]))
    payment = tables.payments["in_1"]
    assert (payment.currency, payment.amount_minor) == (currency, 4_500)
    # A third of 10,000 went back, rounded up to 3,334.
    assert tables.balances == {"user_1": 6_666}


@pytest.mark.parametrize("shape", [OLD, NEW])
def test_amounts_as_strings_count_as_numbers(shape: str) -> None:
    """Decimal strings of whole numbers, as some proxies re-encode them."""
    line = a_line(2_900, api_version=shape) | {"amount": "2900", "quantity": "1"}
    text_amounts: Json = {"amount_paid": "2900", "amount_due": "2900", "created": "1700000000"}
    invoice = an_invoice([a_line(2_900, api_version=shape)], api_version=shape) | text_amounts
    invoice["lines"] = {"data": [line]}
    event = an_event("invoice.paid", invoice, api_version=shape) | {"created": "1700000000"}
    tables = play([event, an_event(UPDATED, a_subscription())])
    assert tables.balances == {"user_1": 10_000}
    assert tables.payments["in_1"].amount_minor == 2_900


def test_a_negative_total_is_credit_and_no_payment() -> None:
    """A downgrade owes the buyer: due 0, paid 0, tokens taken back by the lines."""
    invoice = an_invoice([a_line(-1_450, proration=True)], metadata={"user_id": "user_1"})
    tables = play([an_event("invoice.paid", invoice)])
    payment = tables.payments["in_1"]
    assert (payment.amount_minor, payment.status, payment.tokens) == (0, "paid", -5_000)


def notes_after(*events: Json, catalogue: Catalogue = CATALOGUE) -> dict[str, list[str]]:
    """What the derivation says of these events, applied as one batch."""
    working_set, touched = WorkingSet(), Touched()
    facts = [(event["id"], fact) for event in events for fact in decode(parse(event)).facts]
    merge_parties(working_set, touched, facts)
    merge_money(working_set, touched, facts)
    return derive_touched(working_set, touched, catalogue).notes


def test_a_price_in_no_plan_counts_nothing_and_is_said() -> None:
    """The rest of the invoice counts; the payment waits for the catalogue."""
    lines = [a_line(2_900), a_line(900, "price_x", subscription=None), a_line(1, None)]
    event = an_event("invoice.paid", an_invoice(lines), event_id="evt_7")
    assert notes_after(event) == {
        "evt_7": [
            "in_1: price price_x is in no plan of the catalogue",
            "in_1: a line without a price names no plan of the catalogue",
        ]
    }
    payment = play([event]).payments["in_1"]
    assert (payment.tokens, payment.lacks_plan) == (10_000, True)


def test_a_plan_without_a_price_in_the_currency_counts_by_quantity() -> None:
    """There is nothing to divide by, and nothing to flag: the plan itself was bought."""
    lines = [a_line(4_400, quantity=3)]
    event = an_event("invoice.paid", an_invoice(lines, currency="jpy"), event_id="evt_7")
    assert notes_after(event) == {}
    assert play([event]).payments["in_1"].tokens == 30_000


def test_a_plan_deleted_from_the_catalogue_is_said_and_the_payment_kept() -> None:
    """Bringing the plan back gives the tokens."""
    session = an_event(COMPLETED, a_session(), event_id="evt_7")
    nothing = Catalogue()
    said = "cs_1: session cs_1 names plan 4, which the catalogue lacks"
    assert notes_after(session, catalogue=nothing) == {"evt_7": [said]}
    unnamed = an_event(COMPLETED, a_session(metadata={"user_id": "u"}), event_id="evt_7")
    why = "cs_1: session cs_1 was paid with 5.00 usd and names no plan"
    assert notes_after(unnamed) == {"evt_7": [why]}
    player = Player(nothing)
    player.apply(session)
    payment = player.tables().payments["cs_1"]
    assert (payment.lacks_plan, payment.tokens, payment.status) == (True, 0, "paid")
    player.catalogue = CATALOGUE
    player.apply(an_event("payment_intent.succeeded", an_intent()))
    assert player.tables().balances == {"user_1": 1_000}


def test_a_payment_that_is_wholly_valued_leaves_nothing_to_say() -> None:
    """The counterpart."""
    assert notes_after(an_event("invoice.paid", PAID_INVOICE)) == {}


def test_a_subscription_with_ten_items_shows_all_ten() -> None:
    """As many as Stripe embeds."""
    items = [
        {"id": f"si_{n}", "price": {"id": f"price_{n}"}, "quantity": n, "current_period_end": n}
        for n in range(10)
    ]
    found = a_subscription(items={"object": "list", "data": items, "has_more": False})
    state = play([an_event(UPDATED, found)]).subscriptions["sub_1"]
    assert state is not None
    assert [(each.id, each.price_id, each.quantity, each.period_end) for each in state.items] == [
        (f"si_{n}", f"price_{n}", n, n) for n in range(10)
    ]
    assert decode(parse(an_event(UPDATED, found))).note is None


def test_a_subscription_without_a_customer_is_kept_and_belongs_to_whom_it_names() -> None:
    """Accounts without customers are coming; the metadata still says the user."""
    tables = play([an_event(UPDATED, a_subscription(customer=None))])
    state = tables.subscriptions["sub_1"]
    assert state is not None
    assert state.user_id == "user_1"
