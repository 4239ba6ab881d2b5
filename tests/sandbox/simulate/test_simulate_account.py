"""The simulated account: what it emits, in which shape, and what is expected to follow."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from sandbox.simulate.account import Account
from sandbox.simulate.contract_records import Customer, Subscription
from sandbox.simulate.engine import after_interval, changed
from sandbox.simulate.expected import Expectation
from sandbox.simulate.money_records import Charge
from sandbox.simulate.plans import (
    SAMPLE_PLANS,
    CatalogueError,
    Plan,
    from_listing,
    offer,
    read_file,
)
from sandbox.simulate.play import play
from sandbox.simulate.report import _HANDLED
from sandbox.simulate.scene import shelf
from sandbox.simulate.stories import ENABLED
from sandbox.simulate.versions import NEW, OLD, ApiVersion

START = 1_750_000_000
TODAY = 1_800_000_000
OLDEST, ACACIA = OLD
CLOVER, ENDIVE = NEW

PRO = Plan(1, "full", "Pro", 10_000, "month", {"usd": 2900}, {"usd": "price_pro"}, 14, 500)
MAX = Plan(2, "full", "Max", 30_000, "month", {"usd": 5800}, {"usd": "price_max"})
PACK = Plan(4, "token", "Pack", 1000, None, {"usd": 500}, {"usd": "price_pack"})
REFILL = Plan(6, "token", "Refill", 3000, "month", {"usd": 1200, "jpy": 1800})
PLANS = (PRO, MAX, PACK, REFILL)


def an_account() -> Account:
    """An account whose clock stands at START."""
    return Account(seed=1, run="test", starts_at=START)


def a_customer(account: Account, version: ApiVersion = CLOVER) -> Customer:
    """A buyer called `user`."""
    return account.customer("user", version)


def outcome(account: Account) -> Expectation:
    """What the only user must have."""
    (only,) = account.expected.users()
    return only


def charge_of(account: Account, subscription: Subscription) -> Charge:
    """The charge of a subscription's latest invoice."""
    intent = account.invoices[subscription.latest_invoice or ""].intent
    assert intent is not None
    assert intent.charge is not None
    return intent.charge


def objects(account: Account, kind: str) -> list[dict[str, Any]]:
    """The objects of all events of a type."""
    return [event.payload["data"]["object"] for event in account.events if event.type == kind]


def playable(plans: Sequence[Plan]) -> set[str]:
    """The stories that a catalogue has something for: not every one has a price rise to tell of."""
    shelves = [shelf(plans, currency) for currency in ("usd", "eur", "jpy")]
    return {name for name, story in ENABLED.items() if any(map(story.playable, shelves))}


def a_season(seed: int = 7, run: str = "test") -> Account:
    """Enough customers for every story, twice over."""
    account = Account(seed=seed, run=run, starts_at=START)
    play(account, PLANS, OLD + NEW, customers=2 * len(ENABLED), today=TODAY)
    return account


def test_a_season_plays_every_story_with_unique_events_of_the_past() -> None:
    """Every story is played, no event id repeats and nothing happens after today."""
    account = Account(seed=7, run="test", starts_at=START)
    cast = play(account, PLANS, OLD + NEW, customers=250, today=TODAY)
    assert set(cast) == playable(PLANS)
    assert len({event.id for event in account.events}) == len(account.events)
    assert max(event.created for event in account.events) < TODAY
    per_customer = len(account.events) / 250
    assert 10 <= per_customer <= 25


def test_a_season_sends_every_handled_type_but_the_rarest_and_some_unknown_ones() -> None:
    """The stream covers what the receiver handles, and carries types it only keeps."""
    account = Account(seed=7, run="test", starts_at=START)
    play(account, PLANS, OLD + NEW, customers=400, today=TODAY)
    sent = Counter(event.type for event in account.events)
    assert not _HANDLED - sent.keys()
    assert {"invoice.created", "charge.succeeded", "invoice.upcoming"} <= sent.keys() - _HANDLED


def test_the_same_seed_and_run_give_the_same_bytes_and_another_run_other_ids() -> None:
    """A run can be repeated exactly, or with the same stories under new ids."""
    first, same, other = a_season(), a_season(), a_season(run="other")
    assert [event.body for event in first.events] == [event.body for event in same.events]
    assert [event.type for event in first.events] == [event.type for event in other.events]
    assert not {event.id for event in first.events} & {event.id for event in other.events}


def test_events_are_as_large_as_the_real_ones() -> None:
    """Objects are full: invoices and subscriptions weigh kilobytes, as Stripe's do."""
    account = a_season()
    sizes = [len(event.body) for event in account.events]
    assert 3000 < sum(sizes) / len(sizes) < 6000


def test_an_old_invoice_names_its_subscription_and_payment_itself() -> None:
    """Before basil the links and the line's price sit on the invoice and its lines."""
    account = an_account()
    subscription = account.subscribe(a_customer(account, OLDEST), PRO)
    (invoice,) = objects(account, "invoice.paid")
    assert invoice["subscription"] == subscription.id
    assert invoice["subscription_details"]["metadata"]["user_id"] == "user"
    assert invoice["payment_intent"].startswith("pi_")
    assert invoice["lines"]["data"][0]["price"]["id"] == "price_pro"
    assert "parent" not in invoice
    assert not objects(account, "invoice_payment.paid")


def test_a_new_invoice_names_them_under_parent_and_its_payment_apart() -> None:
    """Since basil the links moved, and the payment is told by an event of its own."""
    account = an_account()
    subscription = account.subscribe(a_customer(account, CLOVER), PRO)
    (invoice,) = objects(account, "invoice.paid")
    assert invoice["parent"]["subscription_details"]["subscription"] == subscription.id
    line = invoice["lines"]["data"][0]
    assert line["pricing"]["price_details"]["price"] == "price_pro"
    assert line["parent"]["subscription_item_details"]["subscription_item"] == subscription.item_id
    assert not {"subscription", "payment_intent", "charge", "paid"} & invoice.keys()
    (payment,) = objects(account, "invoice_payment.paid")
    assert payment["invoice"] == invoice["id"]
    (intent,) = objects(account, "payment_intent.succeeded")
    assert payment["payment"]["payment_intent"] == intent["id"]
    assert "invoice" not in intent


@pytest.mark.parametrize(("version", "on_item"), [(OLDEST, False), (ENDIVE, True)])
def test_the_period_moved_from_the_subscription_to_its_items(
    version: ApiVersion, *, on_item: bool
) -> None:
    """The billing period is drawn where the version has it, and nowhere else."""
    account = an_account()
    account.subscribe(a_customer(account, version), PRO)
    drawn = objects(account, "customer.subscription.created")[0]
    assert ("current_period_end" in drawn["items"]["data"][0]) is on_item
    assert ("current_period_end" in drawn) is not on_item


def test_same_second_updates_chain_by_their_previous_attributes() -> None:
    """A first purchase reports incomplete, active and its card in one second, each with its own."""
    account = an_account()
    account.subscribe(a_customer(account), PRO)
    chain = [e for e in account.events if e.type.startswith("customer.subscription.")]
    assert len({event.created for event in chain}) == 1
    created, active, card = (event.payload["data"] for event in chain)
    assert created["object"]["status"] == "incomplete"
    assert active["previous_attributes"] == {"status": "incomplete"}
    assert card["previous_attributes"] == {"default_payment_method": None}
    assert card["object"]["status"] == "active"


def test_previous_attributes_hold_old_values_and_whole_arrays() -> None:
    """Nested objects tell only what changed; arrays are told in full."""
    before = {"a": 1, "b": {"c": 1, "d": 2}, "e": [1, 2], "gone": 5}
    after = {"a": 1, "b": {"c": 3, "d": 2}, "e": [1, 3], "new": 6}
    assert changed(before, after) == {"b": {"c": 1}, "e": [1, 2], "gone": 5, "new": None}


def test_a_month_after_the_thirty_first_is_the_last_of_the_next() -> None:
    """2025-01-31 renews on 2025-02-28, a leap day's year on the 28th."""
    assert after_interval(1_738_281_600, "month") == 1_740_700_800
    assert after_interval(1_709_164_800, "year") == 1_740_700_800


def test_two_seats_and_a_renewal_are_worth_four_allowances() -> None:
    """Each paid period gives tokens times quantity."""
    account = an_account()
    account.renew(account.subscribe(a_customer(account), PRO, quantity=2))
    assert outcome(account).balance == 40_000
    assert [sale.amount for sale in outcome(account).sales] == [5800, 5800]


def test_a_discount_and_an_unknown_fee_change_no_tokens() -> None:
    """Tokens follow the line before discounts; a fee of unknown price counts nothing."""
    account = an_account()
    account.subscribe(a_customer(account), PRO, percent_off=100, setup_fee_minor=1500)
    (sale,) = outcome(account).sales
    assert (sale.amount, sale.tokens, sale.status) == (1500, 10_000, "paid")


def test_a_trial_gives_trial_tokens_and_its_renewal_the_allowance() -> None:
    """500 for the trial, 10,000 once it is paid for."""
    account = an_account()
    subscription = account.subscribe(a_customer(account), PRO, trial=True)
    assert outcome(account).balance == 500
    assert subscription.status == "trialing"
    account.renew(subscription)
    assert outcome(account).balance == 10_500
    assert subscription.status == "active"


def test_an_upgrade_at_half_time_is_worth_half_the_difference() -> None:
    """Half of 30,000 in, half of 10,000 out, for half of 58.00 minus half of 29.00."""
    account = an_account()
    subscription = account.subscribe(a_customer(account), PRO)
    account.until((subscription.period_start + subscription.period_end) // 2)
    account.change(subscription, MAX, 1)
    sale = outcome(account).sales[-1]
    assert (sale.amount, sale.tokens) == (1450, 10_000)
    (_, update) = objects(account, "invoice.paid")
    assert [line["amount"] for line in update["lines"]["data"]] == [-1450, 2900]


def test_a_downgrade_takes_tokens_and_leaves_credit_that_pays_the_renewal() -> None:
    """The negative invoice is paid with 0, and the next one is cheaper but worth the same."""
    account = an_account()
    subscription = account.subscribe(a_customer(account), MAX)
    account.until((subscription.period_start + subscription.period_end) // 2)
    account.change(subscription, PRO, 1)
    account.renew(subscription)
    _, downgrade, renewal = outcome(account).sales
    assert (downgrade.amount, downgrade.tokens) == (0, -10_000)
    assert (renewal.amount, renewal.tokens) == (1450, 10_000)
    assert subscription.customer.balance_minor == 0


def test_an_invoice_of_a_session_is_the_one_payment() -> None:
    """A package with an invoice is listed once, under the invoice."""
    account = an_account()
    session = account.buy_package(a_customer(account), PACK, invoicing=True)
    (sale,) = outcome(account).sales
    assert session.invoice is not None
    assert (sale.id, sale.tokens, sale.amount) == (session.invoice.id, 1000, 500)


@pytest.mark.parametrize(
    ("succeeds", "status", "tokens"), [(True, "paid", 1000), (False, "failed", 0)]
)
def test_a_delayed_payment_waits_for_the_bank(*, succeeds: bool, status: str, tokens: int) -> None:
    """Pending and worthless until the bank has answered."""
    account = an_account()
    session = account.start_delayed(a_customer(account), PACK)
    assert [(s.status, s.tokens, s.amount) for s in outcome(account).sales] == [("pending", 0, 500)]
    account.finish_delayed(session, succeeds=succeeds)
    assert [(s.status, s.tokens) for s in outcome(account).sales] == [(status, tokens)]


def test_dunning_ends_without_tokens_and_without_access() -> None:
    """Only the first period was paid; the contract ends for the failed payment."""
    account = an_account()
    subscription = account.subscribe(a_customer(account), PRO)
    invoice = account.begin_cycle(subscription)
    account.fall_behind(subscription, invoice)
    assert subscription.status == "past_due"
    account.give_up(subscription, invoice, to="canceled")
    assert outcome(account).balance == 10_000
    assert [sale.status for sale in outcome(account).sales] == ["paid", "failed"]
    assert objects(account, "customer.subscription.deleted")[0]["status"] == "canceled"


@pytest.mark.parametrize(("version", "boolean"), [(OLDEST, True), (CLOVER, False)])
def test_a_scheduled_cancel_speaks_the_billing_mode(version: ApiVersion, *, boolean: bool) -> None:
    """Classic sets the boolean and the date, flexible only the date; undoing clears both."""
    account = an_account()
    subscription = account.subscribe(a_customer(account, version), PRO)
    subscription.flexible = not boolean
    account.schedule_cancel(subscription)
    assert subscription.cancel_at_period_end is boolean
    assert subscription.cancel_at == subscription.period_end
    account.undo_cancel(subscription)
    drawn = objects(account, "customer.subscription.updated")[-1]
    assert (drawn["cancel_at_period_end"], drawn["cancel_at"]) == (False, None)


def test_refunds_take_their_share_rounded_against_the_buyer() -> None:
    """A third of 2900 takes ceil(10000 * 966 / 2900) = 3332 tokens; a failed refund gives back."""
    account = an_account()
    charge = charge_of(account, account.subscribe(a_customer(account), PRO))
    refund = account.refund(charge, 966)
    (sale,) = outcome(account).sales
    assert (sale.tokens, sale.status, sale.refunded) == (6668, "partially_refunded", 966)
    account.finish_refund(refund, succeeds=False)
    assert (sale.tokens, sale.status, sale.refunded) == (10_000, "paid", 0)


@pytest.mark.parametrize(
    ("version", "types"),
    [
        (OLDEST, ["charge.refunded", "charge.refund.updated"]),
        (
            ACACIA,
            [
                "charge.refunded",
                "refund.created",
                "refund.updated",
                "refund.failed",
                "charge.refund.updated",
            ],
        ),
    ],
)
def test_refund_events_exist_from_the_version_that_brought_them(
    version: ApiVersion, types: list[str]
) -> None:
    """Before 2024-10-28 only the charge and the older twin tell of a refund."""
    account = an_account()
    charge = charge_of(account, account.subscribe(a_customer(account, version), PRO))
    account.finish_refund(account.refund(charge, 966), succeeds=False)
    assert [event.type for event in account.events if "refund" in event.type] == types


def test_a_dispute_takes_everything_until_it_is_won_and_an_inquiry_nothing() -> None:
    """Disputed money counts as taken while the bank holds it."""
    account = an_account()
    charge = charge_of(account, account.subscribe(a_customer(account), PRO))
    inquiry = account.dispute(charge, 2900, inquiry=True)
    (sale,) = outcome(account).sales
    assert (sale.tokens, sale.status) == (10_000, "paid")
    account.close_dispute(inquiry, won=True)
    dispute = account.dispute(charge, 2900)
    assert (sale.tokens, sale.status, sale.disputed) == (0, "disputed", 2900)
    account.close_dispute(dispute, won=True)
    assert (sale.tokens, sale.status) == (10_000, "paid")


def test_only_confirmed_plans_are_sold_by_their_price_ids() -> None:
    """A plan the server describes otherwise is sold inline, and the user is told."""
    listed: list[dict[str, Any]] = [
        {"id": 1, "plan_type": "full", "name": "Pro", "tokens": 10_000, "interval": "month"},
        {"id": 4, "plan_type": "token", "name": "Pack", "tokens": 999, "interval": None},
    ]
    listed[0]["prices"] = {"usd": 2900}
    listed[1]["prices"] = {"usd": 500}
    chosen = offer(PLANS, from_listing(listed))
    assert [dict(plan.price_ids) for plan in chosen.plans] == [{"usd": "price_pro"}, {}]
    assert "4 (Pack)" in chosen.notes[0]
    with pytest.raises(CatalogueError, match="load_plans"):
        offer(PLANS, ())


def test_the_sample_catalogue_can_play_every_story() -> None:
    """The file that `up` loads sells something to every story, in every currency."""
    plans = read_file(SAMPLE_PLANS)
    account = Account(seed=3, run="test", starts_at=START)
    cast = play(account, plans, OLD + NEW, customers=200, today=TODAY)
    assert set(cast) == playable(plans)
    rare = {"price rise, old price", "price rise, inline", "odd interval"}
    assert ENABLED.keys() - rare <= set(cast)
    assert {customer.currency for customer in account.customers.values()} == {"usd", "eur", "jpy"}
