"""The offline Stripe as its pages and its clock act on it: cards, portal, renewals, dunning."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.stripe.state.store import Store
from sandbox.stripe.views import Declined, NeedsAuthentication, Paid
from sandbox.stripe.world import World
from tests.offline_stripe import ASKS, BROKE, DAY, GOOD, LATER, Offline, offline_stripe

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account of its own."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


def since(offline: Offline, count: int) -> list[str]:
    """The types of the events after the first so many."""
    return offline.types()[count:]


def status_of(offline: Offline, subscription: str) -> str:
    """A subscription's status, as the API has it."""
    return str(offline.client.v1.subscriptions.retrieve(subscription).status)


def test_a_first_subscription_is_paid_before_there_is_a_contract(offline: Offline) -> None:
    """The sequence of a checkout since basil, with the contract's own chain of updates."""
    session = offline.session(offline.price(), offline.customer())
    known = len(offline.types())
    assert isinstance(offline.world.pay(session, GOOD), Paid)
    assert since(offline, known) == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "payment_method.attached",
        "invoice.created",
        "customer.subscription.created",
        "invoice.finalized",
        "invoice.paid",
        "invoice.payment_succeeded",
        "invoice_payment.paid",
        "customer.subscription.updated",
        "customer.subscription.updated",
        "checkout.session.completed",
    ]
    (invoice,) = offline.objects("invoice.paid")
    (intent,) = offline.objects("payment_intent.succeeded")
    (payment,) = offline.objects("invoice_payment.paid")
    assert payment["payment"]["payment_intent"] == intent["id"]
    assert (invoice["billing_reason"], invoice["amount_paid"]) == ("subscription_create", 2900)


def test_a_declined_card_leaves_the_session_open_for_the_next(offline: Offline) -> None:
    """One intent, one failed charge, no contract; then another card pays with the same intent."""
    session = offline.session(offline.price(), offline.customer())
    said = offline.world.pay(session, BROKE)
    assert said == Declined("Your card has insufficient funds.", "insufficient_funds")
    found = offline.world.checkout(session)
    assert found is not None
    assert found.status == "open"
    assert not offline.objects("customer.subscription.created")
    assert isinstance(offline.world.pay(session, GOOD), Paid)
    assert len(offline.objects("payment_intent.created")) == 1
    assert isinstance(offline.world.pay(session, GOOD), Paid)
    assert len(offline.objects("checkout.session.completed")) == 1


@pytest.mark.parametrize("number", ["", "4242", "4111111111111111", "not a card"])
def test_a_number_that_is_no_test_card_is_invalid(offline: Offline, number: str) -> None:
    """No real card ever works here, and nothing is emitted for a wrong number."""
    session = offline.session(offline.price(), offline.customer())
    known = len(offline.types())
    assert offline.world.pay(session, number) == Declined(
        "Your card number is invalid.", "incorrect_number"
    )
    assert not since(offline, known)


def test_a_card_that_asks_for_authentication_can_be_refused_and_then_accepted(
    offline: Offline,
) -> None:
    """The intent requires action, fails without a charge, and succeeds in the end."""
    session = offline.session(offline.price(500, interval=None), offline.customer())
    assert isinstance(offline.world.pay(session, ASKS), NeedsAuthentication)
    refused = offline.world.refuse_authentication(session)
    assert refused.code == "payment_intent_authentication_failure"
    assert isinstance(offline.world.pay(session, ASKS), NeedsAuthentication)
    assert isinstance(offline.world.pay(session, ASKS, authenticated=True), Paid)
    (failed,) = offline.objects("payment_intent.payment_failed")
    assert failed["last_payment_error"]["code"] == refused.code
    assert not offline.objects("charge.failed")


@pytest.mark.parametrize("invoicing", [False, True])
@pytest.mark.parametrize(("succeeds", "outcome"), [(True, "succeeded"), (False, "failed")])
def test_a_bank_debit_is_answered_later(
    offline: Offline, outcome: str, *, succeeds: bool, invoicing: bool
) -> None:
    """The session is complete but unpaid; days later the bank's answer is an event of its own."""
    session = offline.session(
        offline.price(500, interval=None),
        offline.customer(),
        invoice_creation={"enabled": invoicing},
    )
    assert isinstance(offline.world.pay_delayed(session), Paid)
    (completed,) = offline.objects("checkout.session.completed")
    assert completed["payment_status"] == "unpaid"
    assert [debit.session_id for debit in offline.world.dashboard().debits] == [session]
    offline.world.finish_delayed(session, succeeds)
    (told,) = offline.objects(f"checkout.session.async_payment_{outcome}")
    assert told["payment_status"] == ("paid" if succeeds else "unpaid")
    assert len(offline.objects("invoice.paid")) == (succeeds and invoicing)
    assert not offline.world.dashboard().debits


def test_an_unsettled_debit_settles_when_three_days_pass(offline: Offline) -> None:
    """Not after two; and it needs nobody to say so."""
    session = offline.session(offline.price(500, interval=None), offline.customer())
    offline.world.pay_delayed(session)
    offline.world.advance(2 * DAY)
    assert not offline.objects("checkout.session.async_payment_succeeded")
    offline.world.advance(DAY)
    assert len(offline.objects("checkout.session.async_payment_succeeded")) == 1


@pytest.mark.parametrize(("succeeds", "status"), [(True, "paid"), (False, "void")])
def test_a_subscription_by_debit_is_active_while_the_money_is_on_its_way(
    offline: Offline, status: str, *, succeeds: bool
) -> None:
    """A failed first debit voids the invoice and leaves the contract active."""
    session = offline.session(offline.price(), offline.customer())
    offline.world.pay_delayed(session)
    (contract,) = offline.client.v1.subscriptions.list().data
    (invoice,) = offline.client.v1.invoices.list().data
    assert (contract.status, invoice.status) == ("active", "open")
    offline.world.finish_delayed(session, succeeds)
    assert offline.client.v1.invoices.retrieve(invoice.id).status == status
    assert status_of(offline, contract.id) == "active"


def test_the_clock_renews_what_runs(offline: Offline) -> None:
    """Notice, new period, draft, and an hour later the money, all in one go."""
    contract = offline.subscription(offline.price(), offline.customer())
    known = len(offline.types())
    before = offline.world.now
    caused = offline.world.advance(31 * DAY)
    kinds = since(offline, known)
    assert caused == len(kinds)
    assert kinds == [
        "invoice.upcoming",
        "customer.subscription.updated",
        "invoice.created",
        "customer.subscription.updated",
        "invoice.finalized",
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice.paid",
        "invoice.payment_succeeded",
        "invoice_payment.paid",
    ]
    assert offline.world.now >= before + 31 * DAY
    assert status_of(offline, contract) == "active"
    paid = offline.objects("invoice.paid")[-1]
    first, second = (one["lines"]["data"][0]["period"] for one in offline.objects("invoice.paid"))
    assert (paid["billing_reason"], second["start"]) == ("subscription_cycle", first["end"])


def test_the_clock_does_not_stop_between_a_draft_and_its_payment(offline: Offline) -> None:
    """Put forward to the very end of the period, it goes on for the hour that a draft takes."""
    contract = offline.subscription(offline.price(), offline.customer())
    found = offline.client.v1.subscriptions.retrieve(contract)
    ends = found["items"].data[0].current_period_end
    offline.world.advance(ends - offline.world.now)
    assert len(offline.objects("invoice.paid")) == 2
    assert 3600 <= offline.world.now - ends <= 3700


def test_a_year_of_several_customers_happens_in_order_of_time(offline: Offline) -> None:
    """Events of all contracts follow each other by their time, twelve renewals for each."""
    price = offline.price()
    for user in ("a", "b"):
        offline.subscription(price, offline.customer(user))
        offline.world.advance(3 * DAY)
    offline.world.advance(366 * DAY)
    moments = [one.event.created for one in offline.world.log.posted]
    assert moments == sorted(moments)
    cycles = [i for i in offline.objects("invoice.paid") if i["billing_reason"].endswith("cycle")]
    assert len(cycles) == 24


def test_a_card_that_fails_later_is_tried_again_and_ends_in_cancellation(
    offline: Offline,
) -> None:
    """Past due from the first failure, tries after 1, 3 and 5 days, then the end."""
    contract = offline.subscription(offline.price(), offline.customer(), LATER)
    offline.world.advance(31 * DAY)
    assert status_of(offline, contract) == "past_due"
    offline.world.advance(10 * DAY)
    assert status_of(offline, contract) == "canceled"
    failed = offline.objects("invoice.payment_failed")
    assert [one["attempt_count"] for one in failed] == [1, 2, 3, 4]
    first, second, third, none = (one["next_payment_attempt"] for one in failed)
    assert (second - first, third - second, none) == (3 * DAY, 5 * DAY, None)
    (ended,) = offline.objects("customer.subscription.deleted")
    assert ended["cancellation_details"]["reason"] == "payment_failed"


def test_a_failed_invoice_is_paid_in_the_portal_and_the_contract_runs_again(
    offline: Offline,
) -> None:
    """A wrong card changes nothing but its count; a good one pays and stays for renewals."""
    customer = offline.customer()
    contract = offline.subscription(offline.price(), customer, LATER)
    offline.world.advance(31 * DAY)
    visit = offline.portal(customer)
    shown = offline.world.portal(visit)
    assert shown is not None
    (owed,) = [invoice for invoice in shown.invoices if invoice.payable]
    assert isinstance(offline.world.pay_invoice(visit, owed.id, BROKE), Declined)
    assert isinstance(offline.world.pay_invoice(visit, owed.id, ASKS), NeedsAuthentication)
    assert isinstance(offline.world.pay_invoice(visit, owed.id, GOOD), Paid)
    assert isinstance(offline.world.pay_invoice(visit, owed.id, GOOD), Declined)
    assert status_of(offline, contract) == "active"
    offline.world.advance(31 * DAY)
    assert status_of(offline, contract) == "active"


def test_a_new_card_is_what_the_next_try_takes(offline: Offline) -> None:
    """Replaced while past due, the retry of tomorrow pays."""
    customer = offline.customer()
    contract = offline.subscription(offline.price(), customer, LATER)
    offline.renew(contract, seconds_later=DAY)
    visit = offline.portal(customer, flow_data={"type": "payment_method_update"})
    assert isinstance(offline.world.set_card(visit, "1234"), Declined)
    assert offline.world.set_card(visit, GOOD) is None
    shown = offline.world.portal(visit)
    assert shown is not None
    assert (shown.card_last4, shown.flow) == ("4242", "payment_method_update")
    offline.world.advance(DAY)
    assert status_of(offline, contract) == "active"


def test_a_trial_is_announced_and_then_paid_for(offline: Offline) -> None:
    """Nothing due at first; notice three days before the end; then the first money."""
    contract = offline.subscription(
        offline.price(), offline.customer(), subscription_data={"trial_period_days": 14}
    )
    assert status_of(offline, contract) == "trialing"
    offline.world.advance(11 * DAY)
    assert len(offline.objects("customer.subscription.trial_will_end")) == 1
    assert len(offline.objects("invoice.paid")) == 1
    offline.world.advance(4 * DAY)
    assert status_of(offline, contract) == "active"
    assert [one["amount_paid"] for one in offline.objects("invoice.paid")] == [0, 2900]


def test_a_cancellation_in_the_portal_is_scheduled_undone_and_carried_out(
    offline: Offline,
) -> None:
    """Flexible billing tells the date only; at that date the contract ends without renewing."""
    customer = offline.customer()
    contract = offline.subscription(offline.price(), customer)
    visit = offline.portal(
        customer,
        flow_data={
            "type": "subscription_cancel",
            "subscription_cancel": {"subscription": contract},
        },
    )
    offline.world.cancel(visit, contract)
    shown = offline.world.portal(visit)
    assert shown is not None
    assert (shown.flow, shown.flow_subscription) == ("subscription_cancel", contract)
    assert shown.subscriptions[0].cancel_at == shown.subscriptions[0].period_end
    told = offline.objects("customer.subscription.updated")[-1]
    assert (told["cancel_at_period_end"], told["cancel_at"] is None) == (False, False)
    offline.world.undo_cancel(visit, contract)
    assert offline.objects("customer.subscription.updated")[-1]["cancel_at"] is None
    offline.world.cancel(visit, contract)
    offline.world.advance(40 * DAY)
    assert status_of(offline, contract) == "canceled"
    assert len(offline.objects("invoice.paid")) == 1


def test_the_api_schedules_a_cancellation_by_its_boolean(offline: Offline) -> None:
    """What the portal tells by a date, the API's parameter tells by itself too."""
    contract = offline.subscription(offline.price(), offline.customer())
    update = offline.client.v1.subscriptions.update
    changed = update(contract, {"cancel_at_period_end": True})
    assert changed.cancel_at_period_end
    assert changed.cancel_at is not None
    assert update(contract, {"cancel_at_period_end": False}).cancel_at is None
    assert offline.client.v1.subscriptions.cancel(contract).status == "canceled"


def test_a_switch_bills_the_difference_of_the_rest_of_the_period(offline: Offline) -> None:
    """At half time: half the old price back, half the new one; the period stays."""
    customer = offline.customer()
    small, large = offline.price(2000), offline.price(6000)
    contract = offline.subscription(small, customer)
    visit = offline.portal(customer)
    shown = offline.world.portal(visit)
    assert shown is not None
    assert [option.price_id for option in shown.subscriptions[0].options] == [large]
    start = offline.objects("invoice.paid")[0]["lines"]["data"][0]["period"]["start"]
    offline.world.advance((shown.subscriptions[0].period_end - start) // 2)
    assert isinstance(offline.world.switch_plan(visit, contract, large), Paid)
    bill = offline.objects("invoice.paid")[-1]
    assert (bill["billing_reason"], bill["amount_paid"]) == ("subscription_update", 2000)
    assert [line["amount"] for line in bill["lines"]["data"]] == [-1000, 3000]
    after = offline.world.portal(visit)
    assert after is not None
    assert after.subscriptions[0].period_end == shown.subscriptions[0].period_end
    assert [one.price_id for one in after.subscriptions[0].options] == [small]


def test_a_switch_to_another_interval_starts_a_new_period(offline: Offline) -> None:
    """The whole year is billed at once, less what is left of the month."""
    customer = offline.customer()
    contract = offline.subscription(offline.price(2000), customer)
    yearly = offline.price(20_000, "year")
    visit = offline.portal(customer)
    assert isinstance(offline.world.switch_plan(visit, contract, yearly), Paid)
    bill = offline.objects("invoice.paid")[-1]
    back, whole = bill["lines"]["data"]
    assert (back["amount"], whole["amount"]) == (-2000, 20_000)
    assert whole["period"]["end"] - whole["period"]["start"] in (365 * DAY, 366 * DAY)


def test_a_switch_that_the_card_would_not_pay_changes_nothing(offline: Offline) -> None:
    """The plan stays, and so does the list of events."""
    customer = offline.customer()
    contract = offline.subscription(offline.price(2000), customer, LATER)
    large = offline.price(6000)
    known = len(offline.types())
    said = offline.world.switch_plan(offline.portal(customer), contract, large)
    assert isinstance(said, Declined)
    assert not since(offline, known)


def test_the_portal_touches_only_what_is_its_visitors(offline: Offline) -> None:
    """Another customer's contract is as good as none."""
    contract = offline.subscription(offline.price(), offline.customer("one"))
    visit = offline.portal(offline.customer("other"))
    with pytest.raises(KeyError):
        offline.world.cancel(visit, contract, now=True)
    assert offline.world.portal("bps_none") is None
    assert offline.world.checkout("cs_none") is None


def test_an_open_session_expires_by_itself(offline: Offline) -> None:
    """After a day, even when the asker's clock knows nothing of the account's."""
    session = offline.session(offline.price(), offline.customer())
    offline.world.advance(DAY)
    found = offline.world.checkout(session)
    assert found is not None
    assert found.status == "expired"
    late = offline.session(offline.price(), offline.customer())
    assert isinstance(offline.world.pay(late, GOOD), Paid)


def test_refunds_and_disputes_are_told(offline: Offline) -> None:
    """A refund of all, its failure, and a dispute of what is left."""
    session = offline.session(offline.price(500, interval=None), offline.customer())
    offline.world.pay(session, GOOD)
    (payment,) = offline.world.dashboard().payments
    assert payment.refundable
    refund = offline.world.refund(payment.charge_id, None)
    assert not offline.world.dashboard().payments[0].refundable
    with pytest.raises(ValueError, match="0 left"):
        offline.world.refund(payment.charge_id, 1)
    offline.world.finish_refund(refund, succeeds=False)
    dispute = offline.world.dispute(payment.charge_id)
    offline.world.close_dispute(dispute, won=True)
    told = [kind for kind in offline.types() if "refund" in kind or "dispute" in kind]
    assert told == [
        "charge.refunded",
        "refund.created",
        "refund.updated",
        "refund.failed",
        "charge.refund.updated",
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    ]


@pytest.mark.parametrize("same_second", [False, True])
def test_a_purchase_shares_one_second_only_when_told_to(
    offline: Offline, *, same_second: bool
) -> None:
    """The switch makes ties of everything a sequence emits, a renewal's hour included."""
    offline.world.set_switches(same_second=same_second)
    session = offline.session(offline.price(), offline.customer())
    known = len(offline.types())
    offline.world.pay(session, GOOD)
    offline.world.advance(31 * DAY)
    posted = offline.world.log.posted[known:]
    renewal = [one.event for one in posted if "upcoming" not in one.event.type][13:]
    purchase = [one.event for one in posted][:13]
    for sequence in (purchase, renewal):
        assert (len({event.created for event in sequence}) == 1) is same_second


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    """Records, clock, switches, events and answers are there again; ids go on being new."""
    path = tmp_path / "stripe.sqlite"
    with offline_stripe(path) as first:
        customer = first.customer()
        first.client.v1.products.create({"name": "A"}, {"idempotency_key": "k"})
        contract = first.subscription(first.price(), customer)
        first.world.advance(31 * DAY)
        first.world.set_switches(loss=0.5)
        known, ahead = first.types(), first.world.ahead_seconds
    with offline_stripe(path) as second:
        assert second.world.set_aside is None
        assert second.types() == known
        assert abs(second.world.ahead_seconds - ahead) <= 2
        assert second.world.switches.loss == 0.5
        again = second.client.v1.products.create({"name": "A"}, {"idempotency_key": "k"})
        assert len(second.client.v1.products.list({"limit": 100}).data) == 2
        assert again.name == "A"
        second.world.set_switches(loss=0.0)
        second.world.cancel(second.portal(customer), contract, now=True)
        assert status_of(second, contract) == "canceled"
        ids = [one.event.id for one in second.world.log.posted]
        assert len(set(ids)) == len(ids)


def test_the_account_that_release_0_2_0_saved_is_read(tmp_path: Path) -> None:
    """Its records have other names today; the subscription goes on, and so do its refunds."""
    path = tmp_path / "stripe.sqlite"
    World.open(path).close()
    saved = (FIXTURES / "offline_stripe" / "state-0.2.0.pickle").read_bytes()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE account SET version = '93bfeebb', state = ?", (saved,))
    connection.close()
    with offline_stripe(path) as offline:
        assert offline.world.set_aside is None
        (contract,) = offline.client.v1.subscriptions.list().data
        (refund,) = offline.client.v1.refunds.list().data
        assert (contract.status, refund.amount) == ("active", 100)
        # How often it was renewed meanwhile is a matter of today's date.
        offline.world.tick()
        paid = offline.types().count("invoice.paid")
        offline.renew(contract.id, seconds_later=DAY)
        assert offline.types().count("invoice.paid") == paid + 1
    World.open(path).close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version FROM account").fetchone() != ("93bfeebb",)
    connection.close()


def test_a_file_of_another_version_is_moved_aside(tmp_path: Path) -> None:
    """The account begins anew and says where the old file went; nothing is thrown away."""
    path = tmp_path / "stripe.sqlite"
    World.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE account SET version = 'older'")
    connection.close()
    world = World.open(path)
    assert world.set_aside == tmp_path / "stripe.sqlite.old1"
    assert world.set_aside.exists()
    world.close()
    path.write_bytes(b"no database at all")
    world = World.open(path)
    assert world.set_aside == tmp_path / "stripe.sqlite.old2"
    world.close()


def test_an_act_that_breaks_leaves_the_account_as_it_was(tmp_path: Path) -> None:
    """Neither the records nor the events keep half of what an exception stopped."""
    world = World(Store(tmp_path / "stripe.sqlite"))

    def break_off() -> Any:
        with world.acting() as act:
            act.shop.announce(act.shop.add_customer(name="half"))
            raise RuntimeError("on the way")

    with pytest.raises(RuntimeError):
        break_off()
    assert not world.dashboard().customers
    assert not world.log.posted
    world.close()
