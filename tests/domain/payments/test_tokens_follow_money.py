"""Contract §5 by examples: what each kind of payment is worth, with figures worked out by hand."""

from typing import Any

import pytest

from tests.play import Player, play
from tests.stripe_objects import (
    NEW,
    OLD,
    a_charge,
    a_dispute,
    a_line,
    a_refund,
    a_session,
    a_subscription,
    an_event,
    an_intent,
    an_invoice,
    an_invoice_payment,
)

SHAPES = pytest.mark.parametrize("shape", [OLD, NEW])


def paid_package() -> list[dict[str, Any]]:
    """A package of 1,000 tokens bought for 5.00 with intent `pi_1`."""
    return [
        an_event("payment_intent.succeeded", an_intent()),
        an_event("checkout.session.completed", a_session()),
    ]


def paid_invoice(shape: str, lines: list[dict[str, Any]], **changes: Any) -> list[dict[str, Any]]:
    """A paid invoice of a subscription whose metadata names `user_1`."""
    metadata = changes.pop("metadata", {"user_id": "user_1", "plan_id": "2"})
    invoice = an_invoice(lines, api_version=shape, metadata=metadata, **changes)
    return [an_event("invoice.paid", invoice, api_version=shape)]


def test_a_paid_one_time_session_gives_the_tokens_of_its_plan() -> None:
    """A session counts once, by the plan in its metadata; its intent adds nothing."""
    tables = play(paid_package())
    assert tables.balances == {"user_1": 1_000}
    payment = tables.payments["cs_1"]
    assert (payment.status, payment.amount_minor, payment.plan_id) == ("paid", 500, 4)


def test_a_session_that_needs_no_payment_gives_its_tokens() -> None:
    """A coupon of 100 % leaves nothing to pay, and the tokens are still bought."""
    session = a_session(payment_status="no_payment_required", amount_total=0, payment_intent=None)
    assert play([an_event("checkout.session.completed", session)]).balances == {"user_1": 1_000}


def test_an_unpaid_session_gives_nothing_until_the_money_arrives() -> None:
    """A delayed method completes the session first and pays days later."""
    waiting = an_event("checkout.session.completed", a_session(payment_status="unpaid"))
    arrived = an_event("checkout.session.async_payment_succeeded", a_session())
    assert play([waiting]).balances == {}
    assert play([waiting]).payments["cs_1"].status == "pending"
    assert play([waiting, arrived]).balances == {"user_1": 1_000}


def test_a_delayed_payment_that_fails_gives_nothing() -> None:
    """The session stays unpaid and shows as failed."""
    session = a_session(payment_status="unpaid")
    tables = play(
        [
            an_event("checkout.session.completed", session),
            an_event("checkout.session.async_payment_failed", session),
        ]
    )
    assert tables.balances == {}
    assert tables.payments["cs_1"].status == "failed"


@SHAPES
def test_a_session_and_the_invoice_made_for_it_are_one_payment(shape: str) -> None:
    """`invoice_creation` makes a second object for the same money: one grant, under the invoice."""
    events = [
        *paid_package()[:1],
        an_event("checkout.session.completed", a_session(invoice="in_1"), api_version=shape),
        *paid_invoice(
            shape,
            [a_line(500, "price_pack_usd", api_version=shape, subscription=None)],
            subscription=None,
            metadata={},
            payment_intent="pi_1",
        ),
        an_event("invoice_payment.paid", an_invoice_payment("in_1", "pi_1")),
    ]
    for order in (events, events[::-1]):
        tables = play(order)
        assert tables.balances == {"user_1": 1_000}
        assert list(tables.payments) == ["in_1"]


@SHAPES
def test_a_full_period_gives_tokens_times_quantity(shape: str) -> None:
    """A line of three seats at full price is worth three times the plan."""
    line = a_line(8_700, api_version=shape, quantity=3)
    assert play(paid_invoice(shape, [line])).balances == {"user_1": 30_000}


@SHAPES
def test_a_discount_changes_nothing(shape: str) -> None:
    """`line.amount` is before discounts: half the money buys the same tokens."""
    events = paid_invoice(shape, [a_line(2_900, api_version=shape)], amount_paid=1_450)
    assert play(events).balances == {"user_1": 10_000}


@SHAPES
def test_prorations_count_signed_and_are_truncated_once(shape: str) -> None:
    """An upgrade in mid-period: minus half of basic, plus half of pro, truncated at the end."""
    lines = [
        a_line(-451, "price_basic_usd", api_version=shape, proration=True),
        a_line(1_451, api_version=shape, proration=True),
    ]
    # -451/900 * 3000 + 1451/2900 * 10000 = -1503.33 + 5003.45 = 3500.11
    tables = play(paid_invoice(shape, lines, billing_reason="subscription_update"))
    assert tables.balances == {"user_1": 3_500}
    assert tables.payments["in_1"].plan_id == 2


@SHAPES
def test_a_downgrade_takes_tokens_back(shape: str) -> None:
    """Negative gross is posted as it is, truncated toward zero."""
    lines = [
        a_line(-2_000, api_version=shape, proration=True),
        a_line(301, "price_basic_usd", api_version=shape, proration=True),
    ]
    # -2000/2900 * 10000 + 301/900 * 3000 = -6896.55 + 1003.33 = -5893.22
    assert play(paid_invoice(shape, lines)).balances == {"user_1": -5_893}


@SHAPES
@pytest.mark.parametrize(
    ("reason", "tokens"), [("subscription_create", {"user_1": 500}), ("subscription_cycle", {})]
)
def test_a_trial_gives_its_own_tokens_only_at_the_start(
    shape: str, reason: str, tokens: dict[str, int]
) -> None:
    """A trial line costs nothing although its price is above zero, and spans the trial."""
    events = paid_invoice(shape, [a_line(0, api_version=shape)], billing_reason=reason)
    trial = a_subscription(api_version=shape, status="trialing", trial_end=1_702_592_000)
    report = an_event("customer.subscription.created", trial, api_version=shape)
    assert play([*events, report]).balances == play([report, *events]).balances == tokens


@SHAPES
@pytest.mark.parametrize("trial_end", [None, 1_702_591_999])
def test_an_amount_of_nothing_without_a_trial_of_that_span_is_no_trial(
    shape: str, trial_end: int | None
) -> None:
    """A metered item at its start, a free stretch up to a billing anchor, a quantity of 0."""
    events = paid_invoice(
        shape, [a_line(0, api_version=shape)], billing_reason="subscription_create"
    )
    report = a_subscription(api_version=shape, trial_end=trial_end)
    assert play([*events, an_event("customer.subscription.created", report)]).balances == {}


@SHAPES
def test_a_free_price_counts_by_quantity_but_not_as_a_proration(shape: str) -> None:
    """Without an amount to divide by, the quantity decides."""
    lines = [
        a_line(0, "price_free_usd", api_version=shape, quantity=2),
        a_line(0, "price_free_usd", api_version=shape, quantity=5, proration=True),
    ]
    assert play(paid_invoice(shape, lines)).balances == {"user_1": 200}


@SHAPES
def test_a_one_time_item_on_a_first_invoice_counts_by_its_price(shape: str) -> None:
    """A package in the same basket as a subscription; a setup fee of unknown price is nothing."""
    lines = [
        a_line(2_900, api_version=shape),
        a_line(500, "price_pack_usd", api_version=shape, subscription=None),
        a_line(9_900, "price_setup_fee", api_version=shape, subscription=None),
    ]
    assert play(paid_invoice(shape, lines)).balances == {"user_1": 11_000}


@SHAPES
def test_an_unknown_price_of_a_subscription_is_valued_by_its_metadata(shape: str) -> None:
    """An inline price has an id that no catalogue knows; the subscription says the plan."""
    line = a_line(2_900, "price_inline", api_version=shape)
    assert play(paid_invoice(shape, [line])).balances == {"user_1": 10_000}


def test_a_classic_proration_in_the_new_shape_comes_from_its_subscription() -> None:
    """It is an invoice item by kind, and names the subscription that it corrects."""
    details = {"proration": True, "subscription": "sub_1", "invoice_item": "ii_1"}
    line = a_line(1_450, "price_inline") | {
        "parent": {"type": "invoice_item_details", "invoice_item_details": details}
    }
    assert play(paid_invoice(NEW, [line])).balances == {"user_1": 5_000}
    fee = details | {"proration": False}
    line["parent"] = {"type": "invoice_item_details", "invoice_item_details": fee}
    assert play(paid_invoice(NEW, [line])).balances == {}


def test_the_plan_of_a_subscription_may_become_known_late() -> None:
    """The session that sold the subscription arrives after its invoice."""
    invoice = paid_invoice(NEW, [a_line(2_900, "price_inline")], metadata={})
    session = a_session(
        mode="subscription",
        subscription="sub_1",
        payment_intent=None,
        invoice="in_1",
        metadata={"user_id": "user_1", "plan_id": "2"},
    )
    events = [*invoice, an_event("checkout.session.completed", session)]
    for order in (events, events[::-1]):
        tables = play(order)
        assert tables.balances == {"user_1": 10_000}
        assert list(tables.payments) == ["in_1"]


def test_another_currency_uses_its_own_price() -> None:
    """`unit_amount` is the catalogue's price in the invoice's currency."""
    events = paid_invoice(NEW, [a_line(2_700, "price_pro_eur")], currency="eur")
    assert play(events).balances == {"user_1": 10_000}


def test_an_unpaid_invoice_is_listed_and_worth_nothing() -> None:
    """What is due is shown, first as failed, and then as paid."""
    due = an_invoice([a_line(2_900)], metadata={"user_id": "user_1"}, status="open", amount_paid=0)
    failed = an_event("invoice.payment_failed", due)
    tables = play([failed])
    assert tables.balances == {}
    assert (tables.payments["in_1"].status, tables.payments["in_1"].amount_minor) == (
        "failed",
        2_900,
    )
    for order in ([failed, *paid_invoice(NEW, [a_line(2_900)])],):
        assert play(order).payments["in_1"].status == "paid"
        assert play(order[::-1]).payments["in_1"].status == "paid"


def test_partial_refunds_by_id_add_up() -> None:
    """Net = gross - ceil(gross * taken / paid), by refund id, pending ones too."""
    refunds = [
        an_event("refund.created", a_refund(amount=100, status="pending")),
        an_event("refund.updated", a_refund(amount=100)),
        an_event("refund.created", a_refund(id="re_2", amount=33)),
    ]
    tables = play([*paid_package(), *refunds])
    # 1000 - ceil(1000 * 133 / 500) = 1000 - 266
    assert tables.balances == {"user_1": 734}
    payment = tables.payments["cs_1"]
    assert (payment.status, payment.refunded_minor) == ("partially_refunded", 133)


def test_a_refund_that_fails_gives_the_tokens_back() -> None:
    """The money never left; whatever the order, the payment is whole again."""
    events = [
        *paid_package(),
        an_event("refund.created", a_refund()),
        an_event("refund.failed", a_refund(status="failed"), created=1_700_000_500),
    ]
    for order in (events, events[::-1]):
        tables = play(order)
        assert tables.balances == {"user_1": 1_000}
        assert tables.payments["cs_1"].status == "paid"


def test_old_versions_report_refunds_cumulatively() -> None:
    """Two partial refunds, reported as 100 and then 150 in all, are 150 and not 250."""
    events = [
        *paid_package(),
        an_event("charge.refunded", a_charge(amount_refunded=100), api_version=OLD, created=10),
        an_event("charge.refunded", a_charge(amount_refunded=150), api_version=OLD, created=20),
    ]
    for order in (events, events[::-1]):
        tables = play(order)
        assert tables.balances == {"user_1": 700}
        assert tables.payments["cs_1"].refunded_minor == 150


def test_a_refund_that_failed_is_still_inside_an_earlier_cumulative_report() -> None:
    """Below 2024-10-28 the charge said 500; `charge.refund.updated` then says it failed."""
    events = [
        *paid_package(),
        an_event("charge.refunded", a_charge(), api_version=OLD, created=10),
        an_event("charge.refund.updated", a_refund(status="failed"), api_version=OLD, created=20),
    ]
    for order in (events, events[::-1]):
        assert play(order).balances == {"user_1": 1_000}


def test_new_versions_count_a_refund_once() -> None:
    """`charge.refunded` and `refund.created` tell of one refund; refunds by id decide."""
    events = [
        *paid_package(),
        an_event("charge.refunded", a_charge(amount_refunded=100)),
        an_event("refund.created", a_refund(amount=100)),
        an_event("refund.failed", a_refund(amount=100, status="failed")),
    ]
    assert play(events).balances == {"user_1": 1_000}


def test_only_withdrawn_funds_are_taken_for_a_dispute() -> None:
    """An inquiry moves no money; a chargeback does, and a dispute won brings it back."""
    inquiry = an_event("charge.dispute.created", a_dispute(status="warning_needs_response"))
    withdrawn = an_event("charge.dispute.funds_withdrawn", a_dispute(), created=1_700_000_300)
    won = an_event(
        "charge.dispute.funds_reinstated", a_dispute(status="won"), created=1_700_000_900
    )
    assert play([*paid_package(), inquiry]).balances == {"user_1": 1_000}
    lost = play([*paid_package(), inquiry, withdrawn])
    assert lost.balances == {}
    assert (lost.payments["cs_1"].status, lost.payments["cs_1"].disputed_minor) == ("disputed", 500)
    assert play([*paid_package(), won, withdrawn, inquiry]).balances == {"user_1": 1_000}


def test_a_refund_and_a_dispute_of_one_payment_take_it_only_once() -> None:
    """What is taken is capped at what was paid."""
    events = [
        *paid_package(),
        an_event("refund.created", a_refund(amount=300)),
        an_event("charge.dispute.funds_withdrawn", a_dispute(amount=500)),
    ]
    assert play(events).balances == {}


@SHAPES
def test_a_refund_of_an_invoice_finds_it_through_its_intent(shape: str) -> None:
    """The link is `invoice.payment_intent` in the old shape, `invoice_payment.paid` in the new."""
    events = [
        an_event("refund.created", a_refund(amount=1_450)),
        *paid_invoice(shape, [a_line(2_900, api_version=shape)], payment_intent="pi_1"),
    ]
    if shape == NEW:
        events.append(an_event("invoice_payment.paid", an_invoice_payment("in_1", "pi_1")))
    for order in (events, events[::-1]):
        tables = play(order)
        assert tables.balances == {"user_1": 5_000}
        assert tables.payments["in_1"].refunded_minor == 1_450


def test_nothing_paid_means_nothing_can_be_taken() -> None:
    """Neither paid nor due anything: net stays gross."""
    events = [
        *paid_invoice(NEW, [a_line(2_900)], amount_paid=0, total=0),
        an_event("invoice_payment.paid", an_invoice_payment("in_1", "pi_1")),
        an_event("refund.created", a_refund(amount=100)),
    ]
    assert play(events).balances == {"user_1": 10_000}


def test_what_waits_for_its_user_is_granted_when_the_link_arrives() -> None:
    """Two invoices of a customer that nobody knows; months later a session names the user."""
    first = an_invoice([a_line(2_900)], id="in_1")
    second = an_invoice([a_line(2_900)], id="in_2")
    player = Player()
    player.apply(an_event("invoice.paid", first))
    player.apply(an_event("invoice.paid", second))
    assert player.tables().balances == {}
    assert player.tables().payments["in_1"].lacks_user
    player.apply(an_event("customer.subscription.updated", a_subscription(), previous={}))
    assert player.tables().balances == {"user_1": 20_000}
    assert [kind for _, kind, _ in player.entries] == ["grant", "grant"]


def test_the_earliest_claim_of_a_customer_stands_whatever_arrives_first() -> None:
    """An earlier event that names another user moves what was granted, and both are known."""
    invoice = an_event("invoice.paid", an_invoice([a_line(2_900)]))
    late = an_event(
        "customer.subscription.created", a_subscription(metadata={"user_id": "thief"}), created=200
    )
    early = an_event(
        "customer.subscription.created", a_subscription(metadata={"user_id": "owner"}), created=100
    )
    for order in ([invoice, late, early], [early, late, invoice], [late, invoice, early]):
        player = Player()
        for event in order:
            player.apply(event)
        assert player.tables().balances == {"owner": 10_000}
        assert player.working_set.customers["cus_1"].other_user_ids == {"thief"}


def test_entries_are_named_for_what_happened() -> None:
    """Grant, reversal by refund, restore when the refund fails."""
    player = Player()
    for event in paid_package():
        player.apply(event)
    player.apply(an_event("refund.created", a_refund()))
    player.apply(an_event("refund.failed", a_refund(status="failed")))
    assert player.entries == [
        ("user_1", "grant", 1_000),
        ("user_1", "reversal", -1_000),
        ("user_1", "restore", 1_000),
    ]
