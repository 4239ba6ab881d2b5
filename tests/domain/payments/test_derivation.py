"""From one payment's facts to its row: status, amounts, tokens, receipt, owner."""

from collections.abc import Sequence
from typing import Any

import pytest

from domain.catalogue.plans import Catalogue
from domain.events import Stamp
from domain.payments.claims import UserClaim
from domain.payments.derivation import Cluster, Payment, derive
from domain.payments.details import IntentDetails, InvoiceDetails, SessionDetails
from domain.payments.lines import Line
from domain.payments.objects import Kind, MoneyObject
from domain.payments.reversals import Dispute, Funds, Refund
from domain.payments.valuation import net_tokens
from tests.play import CATALOGUE, a_plan

LINE = Line(2_900, 1, "price_pro_usd", is_proration=False, from_subscription=True, plan_id=None)
STAMP = Stamp(1, "evt")


def an_invoice_fact(rank: int, paid: int = 2_900, **changes: Any) -> MoneyObject:
    """An invoice of 29.00 in one of the statuses."""
    url = changes.pop("url", None)
    details = InvoiceDetails(
        rank=rank,
        stamp=STAMP,
        currency="usd",
        amount_due_minor=2_900,
        amount_paid_minor=paid,
        starts_subscription=False,
        lines=(LINE,),
        receipt_url=url,
        **changes,
    )
    return MoneyObject("in_1", Kind.INVOICE, invoice=details)


def a_session_fact(session_id: str, rank: int, payment_rank: int, **changes: Any) -> MoneyObject:
    """A one-time session for the package of plan 4."""
    details = SessionDetails(
        is_one_time=changes.get("is_one_time", True),
        rank=rank,
        payment_rank=payment_rank,
        currency="usd",
        amount_total_minor=500,
        plan_id=4,
        has_failed=changes.get("has_failed", False),
    )
    return MoneyObject(session_id, Kind.SESSION, session=details)


def derived(*members: MoneyObject, **more: Any) -> Payment:
    """The payment that these objects are; the first is its root."""
    return derive(Cluster(members[0].id, members, **more), CATALOGUE)


@pytest.mark.parametrize(
    ("member", "status", "amount", "tokens"),
    [
        (an_invoice_fact(0, 0), "pending", 2_900, 0),
        (an_invoice_fact(1, 100), "pending", 2_900, 0),
        (an_invoice_fact(1, 0, has_failed=True), "failed", 2_900, 0),
        (an_invoice_fact(2, 0), "failed", 2_900, 0),
        (an_invoice_fact(3, 0), "failed", 2_900, 0),
        (an_invoice_fact(4), "paid", 2_900, 10_000),
        (an_invoice_fact(4, 0, has_failed=True), "paid", 0, 10_000),
        (a_session_fact("cs_1", 2, 0), "pending", 500, 0),
        (a_session_fact("cs_1", 2, 0, has_failed=True), "failed", 500, 0),
        (a_session_fact("cs_1", 2, 1), "paid", 500, 1_000),
        (a_session_fact("cs_1", 2, 2), "paid", 500, 1_000),
    ],
)
def test_a_payment_is_pending_failed_or_paid(
    member: MoneyObject, status: str, amount: int, tokens: int
) -> None:
    """What is due while unpaid, then what was paid."""
    payment = derived(member)
    assert (payment.status, payment.amount_minor, payment.tokens) == (status, amount, tokens)
    assert (payment.listed, payment.currency, payment.lacks_plan) == (True, "usd", False)


@pytest.mark.parametrize(
    "member",
    [
        a_session_fact("cs_1", 1, 0),
        a_session_fact("cs_1", 2, 2, is_one_time=False),
        MoneyObject("pi_1", Kind.INTENT, intent=IntentDetails(500, 0, "usd")),
        MoneyObject("in_1", Kind.INVOICE),
    ],
)
def test_what_is_no_invoice_and_no_completed_one_time_session_is_not_listed(
    member: MoneyObject,
) -> None:
    """Kept, worth nothing, and waiting for nobody."""
    payment = derived(member)
    assert payment == Payment(
        id=member.id,
        listed=False,
        user_id=None,
        status=None,
        currency=None,
        amount_minor=0,
        refunded_minor=0,
        disputed_minor=0,
        plan_id=None,
        plan_version=None,
        tokens=0,
        lacks_plan=False,
        receipt_url=None,
    )
    assert not payment.lacks_user


def refunds(*amounts: int) -> list[Refund]:
    """Refunds of the root."""
    return [Refund(f"re_{n}", "cs_1", "succeeded", each) for n, each in enumerate(amounts)]


@pytest.mark.parametrize(
    ("amounts", "disputed", "status", "tokens"),
    [
        ((499,), 0, "partially_refunded", 2),
        ((500,), 0, "refunded", 0),
        ((250, 250), 0, "refunded", 0),
        ((600,), 0, "refunded", 0),
        ((1,), 0, "partially_refunded", 998),
        ((), 1, "disputed", 998),
        ((500,), 500, "disputed", 0),
        ((100,), 200, "disputed", 400),
    ],
)
def test_disputed_comes_before_refunded_before_partially_refunded(
    amounts: Sequence[int], disputed: int, status: str, tokens: int
) -> None:
    """And the tokens follow both."""
    disputes = [Dispute("dp_1", "cs_1", "lost", 1, disputed, Funds.WITHDRAWN, 1)]
    payment = derived(
        a_session_fact("cs_1", 2, 2), refunds=refunds(*amounts), disputes=disputes[: disputed > 0]
    )
    assert (payment.status, payment.tokens) == (status, tokens)
    assert (payment.refunded_minor, payment.disputed_minor) == (sum(amounts), disputed)
    assert payment.taken_minor == sum(amounts) + disputed


@pytest.mark.parametrize(
    ("gross", "taken", "paid", "net"),
    [
        (1_000, 0, 500, 1_000),
        (1_000, 1, 3, 666),
        (1_000, 2, 3, 333),
        (1_000, 3, 3, 0),
        (1_000, 9, 3, 0),
        (1_000, 5, 0, 1_000),
        (-1_000, 5, 10, -1_000),
        (0, 5, 10, 0),
        (1, 1, 10, 0),
        (7, 1, 1, 0),
    ],
)
def test_the_net_is_the_gross_less_the_share_taken_rounded_up(
    gross: int, taken: int, paid: int, net: int
) -> None:
    """Contract §5, number by number."""
    assert net_tokens(gross, taken, paid) == net


def test_of_several_sessions_the_first_that_is_paid_counts() -> None:
    """And of several unpaid ones the first."""
    waiting, paid = a_session_fact("cs_1", 2, 0), a_session_fact("cs_2", 2, 2)
    invoice = an_invoice_fact(1, 0)
    assert derived(invoice, waiting, paid).status == "paid"
    assert derived(invoice, waiting).status == "pending"


def test_the_invoice_tells_of_the_money_unless_only_the_session_knows_it_is_paid() -> None:
    """They are one payment; amounts of the invoice win once it is paid too."""
    session = a_session_fact("cs_1", 2, 2)
    early = derived(an_invoice_fact(1, 0), session)
    assert (early.status, early.amount_minor, early.tokens) == ("paid", 500, 1_000)
    late = derived(an_invoice_fact(4), session)
    assert (late.status, late.amount_minor, late.tokens) == ("paid", 2_900, 1_000)
    unpaid = derived(an_invoice_fact(1, 0, has_failed=True), a_session_fact("cs_1", 2, 0))
    assert (unpaid.status, unpaid.amount_minor) == ("failed", 2_900)


def test_a_receipt_is_the_invoices_else_the_first_of_an_intent_or_charge() -> None:
    """By id, where several have one."""
    session = a_session_fact("cs_1", 2, 2)
    first, second = (
        MoneyObject(f"pi_{n}", Kind.INTENT, intent=IntentDetails(receipt_url=url))
        for n, url in [(1, None), (2, "intent")]
    )
    assert derived(session, second, first).receipt_url == "intent"
    assert derived(an_invoice_fact(4, url="invoice"), first, second).receipt_url == "invoice"
    assert derived(an_invoice_fact(4), first, second).receipt_url == "intent"
    assert derived(session, first).receipt_url is None


def test_a_payment_belongs_to_its_own_claim_before_the_owner_of_its_customer() -> None:
    """The better place first, then the earlier event."""
    session = a_session_fact("cs_1", 2, 2)
    assert derived(session, owner="owner").user_id == "owner"
    reference = session._replace(claim=UserClaim(2, Stamp(1, "a"), "reference"))
    intent = MoneyObject("pi_1", Kind.INTENT, claim=UserClaim(1, Stamp(9, "a"), "metadata"))
    assert derived(reference, owner="owner").user_id == "reference"
    assert derived(reference, intent, owner="owner").user_id == "metadata"
    assert derived(session).lacks_user
    assert not derived(reference).lacks_user


def test_only_the_invoice_that_is_the_root_tells_of_the_money() -> None:
    """Whatever else a circle of odd links may bring together."""
    payment = derived(a_session_fact("cs_1", 2, 2), an_invoice_fact(4))
    assert (payment.amount_minor, payment.tokens) == (500, 1_000)
    other = an_invoice_fact(4)._replace(id="in_0")
    assert derived(an_invoice_fact(1, 0), other).status == "pending"


def test_what_has_no_time_is_taken_for_the_first_sale() -> None:
    """Not for one in the first second after 1970."""
    plans = [
        a_plan(4, tokens, version=version, effective_from=version - 1, prices={"usd": 500})
        for version, tokens in [(1, 1_000), (2, 9_000)]
    ]
    cluster = Cluster("cs_1", [a_session_fact("cs_1", 2, 2)])
    assert derive(cluster, Catalogue.of(plans)).tokens == 1_000
    invoice = an_invoice_fact(4)
    assert invoice.invoice is not None
    line = LINE._replace(price_id=None, plan_id=4, amount_minor=500)
    known = invoice._replace(invoice=invoice.invoice._replace(lines=(line,)))
    assert derive(Cluster("in_1", [known]), Catalogue.of(plans)).tokens == 1_000
