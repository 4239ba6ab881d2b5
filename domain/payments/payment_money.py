"""The money side of a payment: whether it is paid, how much, and what of it went back."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from domain.payments.credit_notes import CreditNote, credited_minor
from domain.payments.details import InvoiceDetails, SessionDetails
from domain.payments.objects import Kind, MoneyObject
from domain.payments.reversals import Dispute, Refund, refunded_minor


class Money(NamedTuple):
    """The money side of a payment, before anything went back.

    `base_minor` is what money going back is measured by: paid, or what the invoice was over.
    """

    is_paid: bool
    has_failed: bool
    amount_minor: int
    base_minor: int
    currency: str

    @property
    def paid_minor(self) -> int:
        """What was paid."""
        return self.amount_minor if self.is_paid else 0


class Back(NamedTuple):
    """Money that went back, in minor units."""

    refunded: int
    disputed: int
    credited: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.refunded + self.disputed + self.credited


def money_of(
    invoice: MoneyObject | None, session: MoneyObject | None, members: Sequence[MoneyObject]
) -> Money | None:
    """The payment is paid as soon as any of its objects says so; the first that does, tells."""
    of_invoice = _money_of_invoice(invoice.invoice) if invoice and invoice.invoice else None
    of_session = (
        _money_of_session(session.session, members) if session and session.session else None
    )
    if of_invoice is None or of_session is None:
        return of_invoice or of_session
    reported = of_session if of_session.is_paid and not of_invoice.is_paid else of_invoice
    same_currency = of_invoice.currency == of_session.currency
    base = max(reported.base_minor, of_invoice.base_minor if same_currency else 0)
    return reported._replace(base_minor=base)


def _money_of_invoice(details: InvoiceDetails) -> Money:
    amount = details.amount_paid_minor if details.is_paid else details.amount_due_minor
    paid = details.amount_paid_minor if details.is_paid else 0
    return Money(
        is_paid=details.is_paid,
        has_failed=details.has_failed or details.is_void,
        amount_minor=amount,
        base_minor=max(paid, details.total_minor or 0),
        currency=details.currency,
    )


def _money_of_session(details: SessionDetails, members: Iterable[MoneyObject]) -> Money:
    total = details.amount_total_minor
    is_paid = details.is_paid or any(_pays(member, details) for member in members)
    return Money(
        is_paid=is_paid,
        has_failed=details.has_failed,
        amount_minor=total,
        base_minor=total if is_paid else 0,
        currency=details.currency,
    )


def _pays(member: MoneyObject, session: SessionDetails) -> bool:
    """Whether an intent collected all that a one-time session is over."""
    intent = member.intent if member.kind is Kind.INTENT else None
    return (
        intent is not None
        and intent.currency == session.currency
        and intent.received_minor >= session.amount_total_minor > 0
    )


def back_of(
    members: Sequence[MoneyObject],
    refunds: Sequence[Refund],
    disputes: Iterable[Dispute],
    credit_notes: Iterable[CreditNote],
    money: Money | None,
) -> Back:
    """What went back of a payment: refunds, disputes and credit notes, each counted once."""
    by_target: dict[str, list[Refund]] = {}
    for refund in refunds:
        by_target.setdefault(refund.target_id, []).append(refund)
    refunded = sum(refunded_minor(member, by_target.get(member.id, ())) for member in members)
    return Back(
        refunded=refunded,
        disputed=_disputed_minor(disputes, money),
        credited=credited_minor(credit_notes, refunds, refunded),
    )


def _disputed_minor(disputes: Iterable[Dispute], money: Money | None) -> int:
    """What banks withdrew; one that counts in another currency than the payment took all of it."""
    withdrawn = [dispute for dispute in disputes if dispute.taken_minor]
    if money and any(dispute.currency not in ("", money.currency) for dispute in withdrawn):
        return money.paid_minor
    return sum(dispute.taken_minor for dispute in withdrawn)
