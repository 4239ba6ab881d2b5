"""What is expected of credit notes, foreign disputes and lost refunds, worked out by hand."""

from typing import Any

import pytest

from sandbox.simulate.account import Account
from sandbox.simulate.asked import invoice_payments
from sandbox.simulate.contract_records import Subscription
from sandbox.simulate.money_records import Charge
from sandbox.simulate.plans import Plan
from sandbox.simulate.records import Invoice
from sandbox.simulate.sales import Sale
from sandbox.simulate.versions import NEW, OLD, ApiVersion

PRO = Plan(1, "full", "Pro", 10_000, "month", {"usd": 2900, "eur": 2700}, {"usd": "price_pro"})
OLDEST, ACACIA, CLOVER, ENDIVE = *OLD, *NEW
UNLINKED = ApiVersion("2025-03-31.basil")


def a_subscription(
    version: ApiVersion = CLOVER, currency: str = "usd"
) -> tuple[Account, Subscription]:
    """An account with one subscriber, whose first month is paid."""
    account = Account(seed=1, run="test", starts_at=1_750_000_000)
    return account, account.subscribe(account.customer("user", version, currency=currency), PRO)


def first_invoice(account: Account) -> Invoice:
    """The invoice of the first month."""
    return next(iter(account.invoices.values()))


def charge_of(invoice: Invoice) -> Charge:
    """The charge that paid an invoice."""
    assert invoice.intent is not None
    assert invoice.intent.charge is not None
    return invoice.intent.charge


def newest(account: Account, *, asking: bool = False) -> Sale:
    """The user's last payment."""
    (user,) = account.expected.users(asking=asking)
    return user.sales[-1]


def figures(account: Account, *, asking: bool = False) -> tuple[str, int, int, int, int]:
    """Status, amount, refunded, disputed and tokens of the last payment."""
    sale = newest(account, asking=asking)
    return sale.status, sale.amount, sale.refunded, sale.disputed, sale.tokens


def told(account: Account, kind: str) -> list[dict[str, Any]]:
    """The objects of all events of a type."""
    return [event.payload["data"]["object"] for event in account.events if event.type == kind]


@pytest.mark.parametrize("version", OLD + NEW)
def test_an_open_renewal_written_off_is_paid_by_nobody_and_worth_nothing(
    version: ApiVersion,
) -> None:
    """Paid, 0 of 29.00, and no tokens (38); no payment succeeded and none is told of."""
    account, subscription = a_subscription(version)
    invoice = account.begin_cycle(subscription)
    account.fall_behind(subscription, invoice)
    before = len(told(account, "invoice_payment.paid"))
    account.credit_open(invoice, 2900)
    assert figures(account) == ("paid", 0, 0, 0, 0)
    paid = told(account, "invoice.paid")[-1]
    assert (paid["amount_due"], paid["amount_paid"], paid["total"]) == (0, 0, 2900)
    assert paid["pre_payment_credit_notes_amount"] == 2900
    assert len(told(account, "invoice_payment.paid")) == before


@pytest.mark.parametrize("version", OLD + NEW)
def test_a_renewal_reduced_before_it_is_paid_is_worth_less(version: ApiVersion) -> None:
    """10.00 of 29.00 off: 10,000 less the 3,449 that ten twenty-ninths are, rounded up."""
    account, subscription = a_subscription(version)
    invoice = account.begin_cycle(subscription)
    account.credit_open(invoice, 1000)
    account.pay(invoice)
    assert figures(account) == ("paid", 1900, 0, 0, 6551)
    assert told(account, "payment_intent.succeeded")[-1]["amount"] == 1900
    # All that was paid is given back: with the note that is all of it.
    account.refund(charge_of(invoice), 1900)
    assert figures(account) == ("refunded", 1900, 1900, 0, 0)


def test_a_renewal_reduced_after_a_failed_attempt_collects_the_rest() -> None:
    """The intent that failed over 29.00 is collected over 19.00."""
    account, subscription = a_subscription()
    invoice = account.begin_cycle(subscription)
    account.fall_behind(subscription, invoice)
    account.credit_open(invoice, 1000)
    account.catch_up(subscription, invoice)
    assert figures(account) == ("paid", 1900, 0, 0, 6551)
    assert told(account, "payment_intent.succeeded")[-1]["amount_received"] == 1900


def test_a_voided_note_takes_nothing() -> None:
    """All is due again, and all is worth what it was."""
    account, subscription = a_subscription()
    invoice = account.begin_cycle(subscription)
    note = account.credit_open(invoice, 1450)
    account.void_note(note)
    account.pay(invoice)
    assert figures(account) == ("paid", 2900, 0, 0, 10_000)
    (voided,) = told(account, "credit_note.voided")
    assert (voided["status"], voided["voided_at"]) == ("void", account.now)
    assert told(account, "invoice.paid")[-1]["pre_payment_credit_notes_amount"] == 0


def test_a_note_that_nobody_hears_of_takes_nothing() -> None:
    """The invoice's own sum is flagged, not counted."""
    account, subscription = a_subscription()
    account.credit_open(account.begin_cycle(subscription), 2900, heard=False)
    assert figures(account) == ("paid", 0, 0, 0, 10_000)
    assert told(account, "invoice.paid")[-1]["pre_payment_credit_notes_amount"] == 2900
    assert not told(account, "credit_note.created")


@pytest.mark.parametrize("version", OLD + NEW)
def test_a_refund_through_a_note_is_counted_once(version: ApiVersion) -> None:
    """Half back on the card: half the tokens, though note and refund both tell of it."""
    account, _ = a_subscription(version)
    account.credit_paid(first_invoice(account), refund=1450)
    assert figures(account) == ("partially_refunded", 2900, 1450, 0, 5000)
    (note,) = told(account, "credit_note.created")
    assert (note["type"], note["amount"]) == ("post_payment", 1450)
    if version.refund_events:
        (refund,) = told(account, "refund.created")
        named = [note["refund"]] if not version.basil else [e["refund"] for e in note["refunds"]]
        assert named == [refund["id"]]
    account.credit_paid(first_invoice(account), refund=1450)
    assert figures(account) == ("refunded", 2900, 2900, 0, 0)


def test_a_note_outlives_its_refund() -> None:
    """The bank sends the money back: nothing is refunded, and the note still takes half."""
    account, _ = a_subscription()
    note = account.credit_paid(first_invoice(account), refund=1450)
    assert note.refund is not None
    account.finish_refund(note.refund, succeeds=False)
    assert figures(account) == ("paid", 2900, 0, 0, 5000)


def test_credit_to_the_balance_takes_from_one_invoice_and_pays_the_next() -> None:
    """14.50 of credit: the first month is worth half, the second all, and costs half."""
    account, subscription = a_subscription()
    account.credit_paid(first_invoice(account), balance=1450)
    assert figures(account) == ("paid", 2900, 0, 0, 5000)
    assert told(account, "customer.updated")[-1]["balance"] == -1450
    account.renew(subscription)
    assert figures(account) == ("paid", 1450, 0, 0, 10_000)


def test_a_refund_of_an_invoice_paid_with_credit_is_measured_by_its_total() -> None:
    """Half of 29.00 came from the balance; a refund of the other half takes half."""
    account, subscription = a_subscription()
    account.credit_paid(first_invoice(account), balance=1450)
    account.refund(charge_of(account.renew(subscription)), 1450)
    assert figures(account) == ("refunded", 1450, 1450, 0, 5000)


def test_credit_in_hand_and_in_three_ways() -> None:
    """A fifth each to the card, to the balance and in hand: three fifths gone, one refunded."""
    account, _ = a_subscription()
    account.credit_paid(first_invoice(account), refund=580, balance=580, outside=580)
    assert figures(account) == ("partially_refunded", 2900, 580, 0, 4000)
    (note,) = told(account, "credit_note.created")
    assert (note["amount"], note["out_of_band_amount"]) == (1740, 580)
    assert [part["amount_refunded"] for part in note["refunds"]] == [580]
    account.credit_paid(first_invoice(account), outside=1160)
    assert figures(account) == ("partially_refunded", 2900, 580, 0, 0)


def test_a_memo_on_a_note_changes_nothing() -> None:
    """`credit_note.updated` says what changed."""
    account, _ = a_subscription()
    note = account.credit_paid(first_invoice(account), outside=290)
    account.explain(note, "Sorry.")
    (updated,) = [event.payload for event in account.events if event.type == "credit_note.updated"]
    assert updated["data"]["previous_attributes"] == {"memo": None}
    assert figures(account) == ("paid", 2900, 0, 0, 9000)


@pytest.mark.parametrize(
    ("version", "there", "missing"),
    [
        (ACACIA, {"refund", "tax_amounts"}, {"refunds", "total_taxes", "pre_payment_amount"}),
        (UNLINKED, {"refunds", "total_taxes"}, {"refund", "pre_payment_amount"}),
        (CLOVER, {"refunds", "post_payment_amount"}, {"refund", "customer_account"}),
        (ENDIVE, {"refunds", "post_payment_amount", "customer_account"}, {"refund"}),
    ],
)
def test_a_note_is_drawn_at_the_paths_of_its_version(
    version: ApiVersion, there: set[str], missing: set[str]
) -> None:
    """`refund` became `refunds` with basil, the sums by time of payment came after."""
    account, _ = a_subscription(version)
    account.credit_paid(first_invoice(account), outside=100)
    (note,) = told(account, "credit_note.created")
    assert there <= note.keys()
    assert not missing & note.keys()


@pytest.mark.parametrize(("amount", "currency"), [(2305, "gbp"), (430_000, "jpy")])
def test_a_dispute_in_the_banks_currency_takes_all(amount: int, currency: str) -> None:
    """23.05 in pounds of 27.00 in euros (27): nothing is left, and 27.00 are shown disputed."""
    account, _ = a_subscription(currency="eur")
    dispute = account.dispute(charge_of(first_invoice(account)), amount, foreign=currency)
    assert figures(account) == ("disputed", 2700, 0, 2700, 0)
    (withdrawn,) = told(account, "charge.dispute.funds_withdrawn")
    assert (withdrawn["amount"], withdrawn["currency"]) == (amount, currency)
    account.close_dispute(dispute, won=True)
    assert figures(account) == ("paid", 2700, 0, 0, 10_000)


def test_a_foreign_dispute_beside_a_refund_takes_no_more_than_all() -> None:
    """9.00 refunded and all disputed; won back, only the refund stays taken."""
    account, _ = a_subscription(currency="eur")
    account.refund(charge_of(first_invoice(account)), 900)
    dispute = account.dispute(charge_of(first_invoice(account)), 1500, foreign="gbp")
    assert figures(account) == ("disputed", 2700, 900, 2700, 0)
    account.close_dispute(dispute, won=True)
    assert figures(account) == ("partially_refunded", 2700, 900, 0, 6666)


def test_an_inquiry_takes_nothing_until_it_becomes_a_chargeback() -> None:
    """In the bank's currency too."""
    account, _ = a_subscription(currency="eur")
    dispute = account.dispute(charge_of(first_invoice(account)), 2305, inquiry=True, foreign="gbp")
    assert figures(account) == ("paid", 2700, 0, 0, 10_000)
    account.escalate(dispute)
    assert figures(account) == ("disputed", 2700, 0, 2700, 0)
    account.close_dispute(dispute, won=False)
    assert figures(account) == ("disputed", 2700, 0, 2700, 0)


def test_a_refund_that_nothing_links_takes_nothing_until_stripe_is_asked() -> None:
    """At 2025-03-31 neither refund nor intent names the invoice (19); an answer of Stripe does."""
    account, _ = a_subscription(UNLINKED)
    invoice = first_invoice(account)
    account.refund(charge_of(invoice), 2900)
    assert not told(account, "invoice_payment.paid")
    assert "invoice" not in told(account, "charge.refunded")[0]
    assert figures(account) == ("paid", 2900, 0, 0, 10_000)
    assert figures(account, asking=True) == ("refunded", 2900, 2900, 0, 0)
    assert invoice.intent is not None
    (answer,) = invoice_payments(account, invoice.intent.id)["data"]
    assert answer["invoice"] == invoice.id
    assert answer["payment"]["payment_intent"] == invoice.intent.id


def test_a_dispute_that_nothing_links_takes_nothing_until_stripe_is_asked() -> None:
    """As with refunds; a package is different, for its session names the intent."""
    account, subscription = a_subscription(UNLINKED)
    account.dispute(charge_of(first_invoice(account)), 1450)
    assert figures(account) == ("paid", 2900, 0, 0, 10_000)
    assert figures(account, asking=True) == ("disputed", 2900, 0, 1450, 5000)
    pack = Plan(4, "token", "Pack", 1000, None, {"usd": 500}, {"usd": "price_pack"})
    session = account.buy_package(subscription.customer, pack, invoicing=True)
    assert session.invoice is not None
    account.refund(charge_of(session.invoice), 250)
    assert figures(account) == ("partially_refunded", 500, 250, 0, 500)
