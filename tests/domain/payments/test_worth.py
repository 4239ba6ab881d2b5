"""What payments are worth where comparable systems came out wrong: figures worked out by hand.

Every situation is played in every order of its events; the end is the same.
"""

from collections.abc import Mapping
from itertools import permutations
from typing import Any

import pytest

from domain.catalogue.plans import Catalogue
from domain.payments.derivation import Payment
from tests.play import CATALOGUE, Tables, a_plan, play
from tests.stripe_objects import (
    NEW,
    OLD,
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

Json = dict[str, Any]
USER = {"user_id": "user_1"}
CLAIM = {"user_id": "user_1", "plan_id": "2"}
START, END = 1_700_000_000, 1_702_592_000
COMPLETED = "checkout.session.completed"
SHAPES = pytest.mark.parametrize("shape", [OLD, NEW])


def end_of(*events: Json, catalogue: Catalogue = CATALOGUE) -> Tables:
    """The tables after these events, the same in whatever order they come."""
    ends = [play(order, catalogue) for order in permutations(events)]
    assert all(end.balances == ends[0].balances for end in ends)
    assert all(end.payments == ends[0].payments for end in ends)
    return ends[0]


def an_item(item_id: str, price: str, unit: int | None = None, **more: Any) -> Json:
    """A subscription item at an inline price; `usage` and `period` say more."""
    usage, period = more.get("usage", "licensed"), more.get("period", (START, END))
    price_object = {
        "id": price,
        "object": "price",
        "currency": "usd",
        "unit_amount": unit,
        "recurring": {"interval": "month", "interval_count": 1, "usage_type": usage},
    }
    return {
        "id": item_id,
        "object": "subscription_item",
        "price": price_object,
        "quantity": 1,
        "current_period_start": period[0],
        "current_period_end": period[1],
    }


def with_items(*items: Json, **changes: Any) -> Json:
    """A subscription of these items."""
    listed = {"object": "list", "data": list(items), "has_more": False}
    return a_subscription(**{"items": listed, **changes})


def of_item(line: Json, item_id: str, **changes: Any) -> Json:
    """A line of one subscription item, in the shape since 2025-03-31."""
    details = line["parent"]["subscription_item_details"] | {"subscription_item": item_id}
    parent = {"type": "subscription_item_details", "subscription_item_details": details}
    return line | {"parent": parent} | changes


def costing(line: Json, unit: int) -> Json:
    """A line that tells what one unit costs."""
    return line | {"pricing": line["pricing"] | {"unit_amount_decimal": str(unit)}}


def the(tables: Tables, payment_id: str = "in_1") -> Payment:
    """One payment."""
    return tables.payments[payment_id]


# One plan claim is for one licensed item.


def test_metered_overage_beside_a_claimed_plan_is_worth_nothing() -> None:
    """58.00 of overage on a plan sold inline once granted 20,000 tokens too many."""
    plan = of_item(costing(a_line(2_900, "price_inline"), 2_900), "si_a")
    overage = of_item(costing(a_line(5_800, "price_overage", quantity=5_800), 1), "si_m")
    invoice = an_invoice([overage, plan], metadata=CLAIM)
    subscription = with_items(
        an_item("si_m", "price_overage", 1, usage="metered"), an_item("si_a", "price_inline", 2_900)
    )
    tables = end_of(
        an_event("customer.subscription.created", subscription), an_event("invoice.paid", invoice)
    )
    assert tables.balances == {"user_1": 10_000}
    assert the(tables).plan_id == 2


@pytest.mark.parametrize("is_known", [True, False])
def test_an_invoice_of_overage_alone_is_no_plan(*, is_known: bool) -> None:
    """The only item of an invoice is not the only licensed one: the report says it is metered."""
    overage = of_item(costing(a_line(5_800, "price_overage"), 5_800), "si_m")
    if not is_known:
        overage = of_item(overage, "si_gone")
    invoice = an_event("invoice.paid", an_invoice([overage], metadata=CLAIM))
    metered = an_item("si_m", "price_overage", 1, usage="metered")
    report = an_event("customer.subscription.created", with_items(metered, metadata=CLAIM))
    assert end_of(report, invoice).balances == {}


def test_a_line_known_by_price_leaves_no_claim_for_another() -> None:
    """An item of unknown price beside it is no second plan."""
    lines = [of_item(a_line(2_900), "si_a"), of_item(a_line(5_800, "price_x"), "si_b")]
    assert end_of(an_event("invoice.paid", an_invoice(lines, metadata=CLAIM))).balances == {
        "user_1": 10_000
    }


def test_of_several_licensed_items_the_one_at_the_plans_price_is_the_plan() -> None:
    """The first by id among equals; with none the invoice is flagged and worth nothing yet."""
    named = [("si_c", 900), ("si_b", 2_900), ("si_a", 2_900)]
    lines = [of_item(costing(a_line(unit, f"price_{i}"), unit), i) for i, unit in named]
    tables = end_of(an_event("invoice.paid", an_invoice(lines, metadata=CLAIM)))
    assert (the(tables).tokens, the(tables).lacks_plan) == (10_000, True)
    others = [of_item(costing(a_line(unit, f"price_{i}"), unit), i) for i, unit in named[:1]]
    more = of_item(costing(a_line(1_000, "price_d"), 1_000), "si_d")
    tables = end_of(an_event("invoice.paid", an_invoice([*others, more], metadata=CLAIM)))
    assert the(tables).tokens == 0
    assert "none of several items" in (the(tables).note or "")


def test_an_item_that_a_proration_leaves_out_is_still_one_of_several() -> None:
    """A proration of the add-on alone must not make it the plan: the report knows both."""
    addon = of_item(a_line(450, "price_addon", proration=True), "si_b")
    subscription = with_items(
        an_item("si_a", "price_inline", 2_900), an_item("si_b", "price_addon", 900)
    )
    tables = end_of(
        an_event("customer.subscription.created", subscription),
        an_event("invoice.paid", an_invoice([addon], metadata=CLAIM)),
    )
    assert (the(tables).tokens, the(tables).lacks_plan) == (0, True)


def test_a_price_without_tokens_sells_none_and_flags_nothing() -> None:
    """A setup fee beside a claimed plan."""
    catalogue = Catalogue.of(CATALOGUE.plans, prices_without_tokens=["price_setup"])
    fee = a_line(9_900, "price_setup", subscription=None)
    plan = of_item(a_line(2_900, "price_inline"), "si_a")
    invoice = an_event("invoice.paid", an_invoice([fee, plan], metadata=CLAIM))
    tables = end_of(invoice, catalogue=catalogue)
    assert (the(tables).tokens, the(tables).lacks_plan) == (10_000, False)
    assert the(end_of(invoice)).lacks_plan


# What was sold keeps its terms.


def risen(created: int) -> Catalogue:
    """Plan 2 costs 39.00 from a moment on."""
    newer = a_plan(2, 10_000, version=2, prices={"usd": 3_900}, effective_from=created)
    return Catalogue.of([*CATALOGUE.plans, newer])


def test_a_renewal_after_a_price_rise_keeps_the_terms_of_its_first_report() -> None:
    """The subscription was named before; an inline subscriber once renewed for 7,435."""
    report = an_event("customer.subscription.created", a_subscription(metadata=CLAIM), created=50)
    line = of_item(a_line(2_900, "price_inline"), "si_sub_1")
    renewal = an_invoice([line], metadata=CLAIM, created=2_000)
    events = (report, an_event("invoice.paid", renewal, created=2_001))
    assert end_of(*events, catalogue=risen(1_000)).balances == {"user_1": 10_000}


def test_a_sale_after_a_price_rise_has_the_new_terms() -> None:
    """The counterpart: first named when the new terms were in force."""
    report = an_event("customer.subscription.created", a_subscription(), created=1_500)
    line = of_item(a_line(3_900, "price_inline"), "si_sub_1")
    invoice = an_invoice([line], metadata=CLAIM, created=1_500)
    events = (report, an_event("invoice.paid", invoice, created=1_501))
    assert end_of(*events, catalogue=risen(1_000)).balances == {"user_1": 10_000}


def test_an_invoice_is_worth_the_plan_that_its_own_metadata_names() -> None:
    """A plan changed in place: the earliest claim is another one."""
    first = an_event("customer.subscription.created", a_subscription(metadata=CLAIM), created=50)
    changed = a_subscription(metadata=CLAIM | {"plan_id": "1"})
    second = an_event("customer.subscription.updated", changed, created=60)
    line = of_item(a_line(900, "price_inline_basic"), "si_sub_1")
    invoice = an_invoice([line], metadata=CLAIM | {"plan_id": "1"}, created=70)
    tables = end_of(first, second, an_event("invoice.paid", invoice, created=71))
    assert (the(tables).tokens, the(tables).plan_id) == (3_000, 1)


# Prorations whose discount is hidden.


def proration(amount: int, price: str, **more: Any) -> Json:
    """Half a month of a plan under a coupon: what is shown is net of it."""
    changes: Json = {
        "period": {"start": START + 1_296_000, "end": END},
        "discounts": ["di_1"],
        "discount_amounts": [{"amount": more.pop("shown", 0), "discount": "di_1"}],
    }
    quantity = more.pop("quantity", 1)
    line = a_line(amount, price, proration=True, quantity=quantity) | changes
    details = line["parent"]["subscription_item_details"] | {
        "proration_details": {"credited_items": more.pop("credited", None)}
    }
    return line | {
        "parent": {"type": "subscription_item_details", "subscription_item_details": details}
    }


REPORT = an_event(
    "customer.subscription.created",
    a_subscription(metadata=USER),
    created=50,
    event_id="evt_report",
)


def test_an_upgrade_under_a_hidden_coupon_is_valued_by_time() -> None:
    """Half of 3,000 goes, half of 10,000 comes, whatever the coupon left of the money."""
    lines = [proration(-225, "price_basic_usd"), proration(725, "price_pro_usd")]
    invoice = an_event("invoice.paid", an_invoice(lines, metadata=USER))
    assert end_of(REPORT, invoice).balances == {"user_1": 3_500}


def test_an_itemized_proration_is_before_discounts_and_valued_by_amount() -> None:
    """The same upgrade where the subscription itemizes discounts gives the same."""
    lines = [
        proration(-450, "price_basic_usd", shown=225),
        proration(1_450, "price_pro_usd", shown=725),
    ]
    invoice = an_event("invoice.paid", an_invoice(lines, metadata=USER))
    assert end_of(REPORT, invoice).balances == {"user_1": 3_500}


def test_prorations_in_a_free_month_take_and_give_by_what_they_credit() -> None:
    """All amounts are 0: only `credited_items` tells the line that takes."""
    credited = {"invoice": "in_0", "invoice_line_items": ["il_0"]}
    lines = [
        proration(0, "price_pro_usd", quantity=2, credited=credited),
        proration(0, "price_pro_usd", quantity=3),
    ]
    invoice = an_event("invoice.paid", an_invoice(lines, metadata=USER, amount_paid=0))
    assert end_of(REPORT, invoice).balances == {"user_1": 5_000}


def test_a_proration_of_nothing_without_any_sign_is_flagged() -> None:
    """Nothing tells whether it gives or takes."""
    invoice = an_event("invoice.paid", an_invoice([proration(0, "price_pro_usd")], metadata=USER))
    tables = end_of(REPORT, invoice)
    assert (the(tables).tokens, the(tables).lacks_plan) == (0, True)
    assert "hidden" in (the(tables).note or "")


def test_the_full_period_is_the_reported_one_that_ends_with_the_line() -> None:
    """From 31 January to 28 February are 28 days, not the 31 from 28 January."""
    january, february = 1_769_817_600, 1_772_236_800
    half = (february - january) // 2
    item = an_item("si_sub_1", "price_pro_usd", 2_900, period=(january, february))
    report = an_event("customer.subscription.created", with_items(item, metadata=USER), created=50)
    line = proration(725, "price_pro_usd") | {"period": {"start": february - half, "end": february}}
    invoice = an_event("invoice.paid", an_invoice([line], metadata=USER))
    assert end_of(report, invoice).balances == {"user_1": 5_000}
    counted_back = play([invoice]).balances["user_1"]
    assert counted_back == 10_000 * half // (31 * 86_400)


# Currencies, quantities.


def test_a_currency_that_the_plan_lacks_counts_by_quantity_and_time() -> None:
    """Half of the time of a month in kronor is half of the allowance."""
    whole = an_invoice([a_line(31_900, quantity=2)], currency="sek", metadata=USER)
    part = a_line(15_950, proration=True) | {"period": {"start": START + 1_296_000, "end": END}}
    half = an_invoice([part], currency="sek", metadata=USER, id="in_2")
    events = (an_event("invoice.paid", whole), an_event("invoice.paid", half), REPORT)
    assert end_of(*events).balances == {"user_1": 25_000}


def test_a_decimal_quantity_is_read_before_the_whole_one() -> None:
    """`quantity` is cut off; of a free plan the quantity alone decides."""
    line = a_line(0, "price_free_usd", quantity=2) | {"quantity_decimal": "2.5"}
    invoice = an_event("invoice.paid", an_invoice([line], metadata=USER))
    assert end_of(invoice).balances == {"user_1": 250}


# What a session is worth, and when it is paid.


def sold(amount: int, plan_id: str | None, **changes: Any) -> Json:
    """A completed one-time session over an amount."""
    metadata = {"user_id": "user_1"} | ({"plan_id": plan_id} if plan_id else {})
    found = {"amount_subtotal": amount, "amount_total": amount, "metadata": metadata} | changes
    return an_event(COMPLETED, a_session(**found))


@pytest.mark.parametrize(
    ("amount", "plan_id", "tokens"),
    [(500, "4", 1_000), (1_500, "4", 3_000), (50, "4", 0), (750, "4", 0), (500, None, 0)],
)
def test_a_session_is_worth_as_many_of_its_plan_as_the_subtotal_pays_for(
    amount: int, plan_id: str | None, tokens: int
) -> None:
    """Fifty cents that name a plan of 5.00 buy nothing yet, and the payment says why."""
    payment = the(end_of(sold(amount, plan_id)), "cs_1")
    assert (payment.status, payment.amount_minor, payment.tokens) == ("paid", amount, tokens)
    assert (payment.note is None) is (tokens > 0)
    assert payment.question == (None if tokens else "line_items")


def test_a_discounted_session_is_worth_its_subtotal() -> None:
    """Discounts and taxes do not change how many were bought."""
    event = sold(1_000, "4", amount_total=0, payment_status="no_payment_required")
    assert end_of(event).balances == {"user_1": 2_000}


def test_a_free_package_counts_once() -> None:
    """A subtotal of 0 pays for it; any other does not."""
    free = Catalogue.of([a_plan(5, 70, type="token", interval=None, prices={"usd": 0})])
    assert end_of(sold(0, "5"), catalogue=free).balances == {"user_1": 70}
    assert end_of(sold(100, "5"), catalogue=free).balances == {}


def test_line_items_decide_once_they_are_known() -> None:
    """Three packages of one kind, and something that is none; asked for, they come as an event."""
    lines = [
        {"id": "li_1", "price": {"id": "price_pack_usd"}, "quantity": 3},
        {"id": "li_2", "price": {"id": "price_mug"}, "quantity": 1},
    ]
    answered = a_session(
        amount_subtotal=2_700,
        amount_total=2_700,
        metadata=USER,
        line_items={"object": "list", "data": lines, "has_more": False},
    )
    silent = sold(2_700, None)
    answer = an_event(COMPLETED, answered, event_id="fetched_cs_1_line_items")
    payment = the(end_of(silent, answer), "cs_1")
    assert (payment.tokens, payment.note, payment.question) == (3_000, None, None)


def test_line_items_without_a_plan_leave_it_to_the_claim() -> None:
    """And are not asked for again."""
    lines = {"data": [{"id": "li_1", "price": {"id": "price_mug"}, "quantity": 1}]}
    event = sold(50, "4", line_items=lines)
    payment = the(end_of(event), "cs_1")
    assert (payment.tokens, payment.question) == (0, None)
    assert payment.note is not None


@pytest.mark.parametrize("failed", [False, True])
def test_an_invoice_that_is_paid_pays_its_session(*, failed: bool) -> None:
    """A bank debit (failed or not) on a package with an invoice, paid on the hosted page."""
    session = a_session(payment_status="unpaid", invoice="in_1")
    line = a_line(500, "price_pack_usd", subscription=None)
    events = [
        an_event(COMPLETED, session),
        an_event("invoice.paid", an_invoice([line], subscription=None, metadata=USER)),
    ]
    if failed:
        events.append(an_event("checkout.session.async_payment_failed", session))
    tables = end_of(*events)
    assert tables.balances == {"user_1": 1_000}
    assert (the(tables).status, the(tables).amount_minor) == ("paid", 500)


def test_money_back_is_measured_by_the_invoice_also_while_only_its_session_is_paid() -> None:
    """A package of 5.00 by a session that a credit note of half the invoice lowered."""
    session = a_session(invoice="in_1", amount_total=250)
    line = a_line(500, "price_pack_usd", subscription=None)
    open_invoice = an_invoice([line], subscription=None, metadata=USER, status="open")
    note = an_event("credit_note.created", a_credit_note(250))
    told = an_event("invoice.payment_failed", open_invoice | {"amount_paid": 0})
    assert end_of(an_event(COMPLETED, session), told, note).balances == {"user_1": 500}


def test_an_intent_that_collected_everything_pays_its_session() -> None:
    """Captured by hand: the session is never reported again."""
    waiting = an_event(COMPLETED, a_session(payment_status="unpaid"))
    captured = an_event("payment_intent.succeeded", an_intent())
    assert end_of(waiting, captured).balances == {"user_1": 1_000}
    part = an_event("payment_intent.succeeded", an_intent(amount_received=400))
    assert end_of(waiting, part).balances == {}


# Money going back.


def a_credit_note(amount: int, **changes: Any) -> Json:
    """A credit note on the invoice."""
    found = {
        "id": "cn_1",
        "object": "credit_note",
        "amount": amount,
        "currency": "usd",
        "customer": "cus_1",
        "invoice": "in_1",
        "status": "issued",
        "refunds": [],
    }
    return found | changes


PAID = an_event("invoice.paid", an_invoice([a_line(2_900)], metadata=USER))
LINK = an_event("invoice_payment.paid", an_invoice_payment("in_1", "pi_1"))


def test_a_written_off_invoice_is_paid_and_worth_nothing() -> None:
    """Nobody paid: the base is what the invoice was over."""
    paid = an_invoice([a_line(2_900)], metadata=USER, amount_paid=0, amount_due=0)
    paid |= {"pre_payment_credit_notes_amount": 2_900}
    tables = end_of(
        an_event("invoice.paid", paid), an_event("credit_note.created", a_credit_note(2_900))
    )
    assert (the(tables).status, the(tables).amount_minor, the(tables).tokens) == ("paid", 0, 0)
    assert the(tables).loose_ends == ()


def test_a_refund_of_a_credit_note_counts_once() -> None:
    """Half of it went back as a refund, half to the customer's balance."""
    note = a_credit_note(1_450, refunds=[{"amount_refunded": 725, "refund": "re_1"}])
    refund = an_event("refund.created", a_refund(id="re_1", amount=725))
    tables = end_of(PAID, LINK, refund, an_event("credit_note.created", note))
    assert (the(tables).tokens, the(tables).status) == (5_000, "partially_refunded")
    assert (the(tables).refunded_minor, the(tables).credited_minor) == (725, 725)


def test_a_voided_credit_note_takes_nothing() -> None:
    """Whether its creation is told before or after."""
    void = an_event("credit_note.voided", a_credit_note(1_450, status="void"))
    created = an_event("credit_note.created", a_credit_note(1_450))
    assert end_of(PAID, created, void).balances == {"user_1": 10_000}


def test_credit_notes_that_nobody_reported_are_flagged_and_not_counted() -> None:
    """The invoice's own sum says that there are some."""
    invoice = an_invoice([a_line(2_900)], metadata=USER, post_payment_credit_notes_amount=900)
    tables = end_of(an_event("invoice.paid", invoice))
    assert (the(tables).tokens, the(tables).loose_ends) == (10_000, ("credit_notes",))


def test_a_dispute_in_another_currency_takes_all() -> None:
    """Its amount cannot be compared; what is shown is what was paid."""
    withdrawn = a_dispute(amount=2_305, currency="gbp")
    tables = end_of(PAID, LINK, an_event("charge.dispute.funds_withdrawn", withdrawn))
    assert (the(tables).tokens, the(tables).disputed_minor) == (0, 2_900)
    inquiry = an_event("charge.dispute.created", withdrawn)
    assert end_of(PAID, LINK, inquiry).balances == {"user_1": 10_000}


def test_money_back_without_a_payment_is_a_loose_end_that_is_asked_about() -> None:
    """At API version 2025-03-31 nothing links the refund; the answer does."""
    refund = an_event("refund.created", a_refund(amount=2_900))
    played = play([PAID, refund])
    assert played.balances == {"user_1": 10_000}
    assert end_of(PAID, refund, LINK).balances == {}


def test_a_payment_record_that_paid_is_one_more_kind_of_money_object() -> None:
    """A refund on it finds the invoice."""
    payment = {"type": "payment_record", "payment_record": "pr_1"}
    link = an_event("invoice_payment.paid", an_invoice_payment("in_1", "") | {"payment": payment})
    refund = a_refund(amount=1_450, payment_intent=None, charge=None, payment_record="pr_1")
    assert end_of(PAID, link, an_event("refund.created", refund)).balances == {"user_1": 5_000}


# Payers with two names.


def known_as(found: Json, **payer: str | None) -> Json:
    """The same object of a payer by these names."""
    return found | {"customer": None, "customer_account": None} | payer


def test_an_account_is_a_second_name_of_the_payer() -> None:
    """The renewal names the account only; the session named the user and the customer."""
    session = known_as(
        a_session(mode="subscription", subscription="sub_1", payment_intent=None), customer="cus_1"
    )
    both = known_as(a_subscription(metadata={}), customer="cus_1", customer_account="acct_1")
    renewal = known_as(an_invoice([a_line(2_900)]), customer_account="acct_1")
    tables = end_of(
        an_event(COMPLETED, session),
        an_event("customer.subscription.updated", both),
        an_event("invoice.paid", renewal),
    )
    assert tables.balances == {"user_1": 10_000}
    assert tables.owners == {"cus_1": "user_1", "acct_1": "user_1"}


# What a person says.


def assigned(number: int, **said: Any) -> Json:
    """A person's word on the invoice, as an event of ours."""
    found: Mapping[str, Any] = {
        "id": f"manual_{number}",
        "object": "payment_assignment",
        "payment": "in_1",
        "by": "ann",
    }
    event = an_event("fiko.payment.assigned", {**found, **said}, event_id=f"manual_{number}")
    return event | {"created": number}


def test_the_newest_assignment_of_a_user_stands_over_every_claim() -> None:
    """The tokens move with it."""
    tables = end_of(PAID, assigned(5, user_id="user_2"), assigned(6, user_id="user_3"))
    assert tables.balances == {"user_3": 10_000}


def test_the_newest_assignment_stands_whichever_object_of_the_payment_it_names() -> None:
    """A person may name the session, another the invoice made for it."""
    session = an_event(COMPLETED, a_session(invoice="in_1"))
    by_session = assigned(6, user_id="user_3", payment="cs_1")
    assert end_of(session, assigned(5, user_id="user_2"), by_session).balances == {"user_3": 1_000}


def test_an_assigned_plan_is_that_of_lines_no_price_knows() -> None:
    """Metered lines excepted, as with any claim."""
    line = a_line(2_900, "price_x", subscription=None)
    invoice = an_event("invoice.paid", an_invoice([line], metadata=USER))
    assert end_of(invoice).balances == {}
    assert end_of(invoice, assigned(5, plan_id=2)).balances == {"user_1": 10_000}
