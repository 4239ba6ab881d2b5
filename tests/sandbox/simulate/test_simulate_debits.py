"""What is expected of one-time sales whose money comes after the session, by figures worked out."""

from typing import Any

import pytest

from sandbox.simulate.account import Account
from sandbox.simulate.plans import Plan
from sandbox.simulate.records import Invoice, Session
from sandbox.simulate.sales import Sale
from sandbox.simulate.versions import NEW, OLD, ApiVersion

PACK = Plan(4, "token", "Pack", 1000, None, {"usd": 500}, {"usd": "price_pack"})
ACACIA, CLOVER = OLD[1], NEW[0]


def an_account() -> Account:
    """An account of its own."""
    return Account(seed=1, run="test", starts_at=1_750_000_000)


def a_session(account: Account, version: ApiVersion = CLOVER) -> Session:
    """An open session over one package."""
    return account.open_session(account.customer("user", version), PACK, method="sepa_debit")


def a_debit(account: Account, version: ApiVersion = CLOVER) -> tuple[Session, Invoice]:
    """A package on its way by debit, with an open invoice."""
    session = a_session(account, version)
    session.invoicing = True
    invoice = account.begin_debit(session)
    assert invoice is not None
    return session, invoice


def only_sale(account: Account) -> Sale:
    """The one payment that is listed."""
    (user,) = account.expected.users()
    (sale,) = user.sales
    return sale


def figures(account: Account) -> tuple[str, int, int]:
    """Status, amount and tokens of the one payment."""
    sale = only_sale(account)
    return sale.status, sale.amount, sale.tokens


def told(account: Account, kind: str) -> list[dict[str, Any]]:
    """The objects of all events of a type."""
    return [event.payload["data"]["object"] for event in account.events if event.type == kind]


@pytest.mark.parametrize("version", OLD + NEW)
def test_an_invoice_pays_before_the_session_hears_of_it(version: ApiVersion) -> None:
    """Pending while the bank takes its time, 1,000 with `invoice.paid` (34), the session silent."""
    account = an_account()
    session, invoice = a_debit(account, version)
    (completed,) = told(account, "checkout.session.completed")
    assert (completed["payment_status"], completed["invoice"]) == ("unpaid", invoice.id)
    assert (only_sale(account).id, *figures(account)) == (invoice.id, "pending", 500, 0)
    account.arrive_by_invoice(session, says_so=False)
    assert figures(account) == ("paid", 500, 1000)
    assert not told(account, "checkout.session.async_payment_succeeded")


def test_the_sessions_own_event_a_day_later_counts_nothing_twice() -> None:
    """One payment, once, and a refund of half takes half."""
    account = an_account()
    session, _ = a_debit(account)
    account.arrive_by_invoice(session, says_so=True)
    (late,) = told(account, "checkout.session.async_payment_succeeded")
    assert late["payment_status"] == "paid"
    assert session.intent is not None
    assert session.intent.charge is not None
    account.refund(session.intent.charge, 250)
    assert figures(account) == ("partially_refunded", 500, 500)


@pytest.mark.parametrize("version", OLD + NEW)
def test_a_bounced_debit_is_paid_by_card_on_the_invoices_page(version: ApiVersion) -> None:
    """Failed, then paid: the session was told of the failure and of nothing after it."""
    account = an_account()
    session, invoice = a_debit(account, version)
    account.bounce(session)
    assert figures(account) == ("failed", 500, 0)
    sessions = len([event for event in account.events if event.type.startswith("checkout.")])
    charge = account.pay_hosted(invoice)
    assert figures(account) == ("paid", 500, 1000)
    assert len([e for e in account.events if e.type.startswith("checkout.")]) == sessions
    assert bool(told(account, "invoice_payment.paid")) is version.invoice_payments
    account.refund(charge, 500)
    assert figures(account) == ("refunded", 500, 0)


def test_a_bounced_debit_is_paid_outside_stripe() -> None:
    """Money in hand pays the invoice: paid, with no attempt that succeeded."""
    account = an_account()
    session, invoice = a_debit(account)
    account.bounce(session)
    account.pay_outside(invoice)
    assert figures(account) == ("paid", 500, 1000)
    assert not told(account, "invoice.payment_succeeded")
    assert not told(account, "payment_intent.succeeded")


def test_before_basil_money_in_hand_was_no_part_of_what_was_paid() -> None:
    """`paid_out_of_band`, an amount of 0, and the invoice's total for a base."""
    account = an_account()
    _, invoice = a_debit(account, ACACIA)
    account.pay_outside(invoice)
    (paid,) = told(account, "invoice.paid")
    assert (paid["paid_out_of_band"], paid["amount_paid"]) == (True, 0)
    assert figures(account) == ("paid", 0, 1000)


def test_a_bounced_debit_that_nobody_pays_stays_failed() -> None:
    """Voided or not."""
    account = an_account()
    session, invoice = a_debit(account)
    account.bounce(session)
    account.void(invoice)
    assert figures(account) == ("failed", 500, 0)


@pytest.mark.parametrize("version", OLD + NEW)
def test_a_captured_intent_pays_for_a_session_that_is_not_reported_again(
    version: ApiVersion,
) -> None:
    """Held, the payment is pending; captured, it is worth 1,000; half refunded, 500."""
    account = an_account()
    session = account.open_session(account.customer("user", version), PACK)
    account.authorize_card(session)
    assert figures(account) == ("pending", 500, 0)
    (held,) = told(account, "payment_intent.amount_capturable_updated")
    assert (held["capture_method"], held["status"]) == ("manual", "requires_capture")
    assert (held["amount_capturable"], held["amount_received"]) == (500, 0)
    charge = account.capture(session)
    (taken,) = told(account, "payment_intent.succeeded")
    assert (taken["amount_capturable"], taken["amount_received"]) == (0, 500)
    (completed,) = told(account, "checkout.session.completed")
    assert completed["payment_status"] == "unpaid"
    assert [c["captured"] for c in told(account, "charge.succeeded")] == [False]
    assert [c["captured"] for c in told(account, "charge.captured")] == [True]
    assert figures(account) == ("paid", 500, 1000)
    account.refund(charge, 250)
    assert figures(account) == ("partially_refunded", 500, 500)
