"""From merged facts to what the tables must say of a payment, and to the entries it calls for."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from domain.catalogue.plans import Catalogue
from domain.payments.claims import UserClaim
from domain.payments.credit_notes import CreditNote
from domain.payments.line_plans import Invoiced
from domain.payments.objects import Kind, MoneyObject
from domain.payments.payment_money import Back, Money, back_of, money_of
from domain.payments.reversals import Dispute, Refund
from domain.payments.sold import Sold
from domain.payments.valuation import Gross, Ordered, gross_of_invoice, net_tokens


class Cluster(NamedTuple):
    """One payment with everything that belongs to it.

    `members` hold the root where it is known; refunds, disputes and credit notes are keyed by
    target id. `sold` is what the subscription of the invoice was reported to be, `owner` the user
    that the payer belongs to.
    """

    root_id: str
    members: Sequence[MoneyObject]
    refunds: Sequence[Refund] = ()
    disputes: Sequence[Dispute] = ()
    credit_notes: Sequence[CreditNote] = ()
    owner: str | None = None
    sold: Sold = Sold()


class Question(StrEnum):
    """What can be asked of Stripe about a payment that facts leave open."""

    LINE_ITEMS = "line_items"
    INVOICE_LINES = "invoice_lines"
    PAYMENT_OF = "payment_of"


class LooseEnd(StrEnum):
    """What of a payment hangs in the air, besides a missing user or plan."""

    MONEY_BACK = "money_back"
    UNCLAIMED_INTENT = "unclaimed_intent"
    CUT_LIST = "cut_list"
    CREDIT_NOTES = "credit_notes"


class Payment(NamedTuple):
    """What the tables say of one payment; amounts in minor units of `currency`.

    `credited_minor` is what credit notes took besides refunds. `note` says in words why a paid
    payment is worth nothing yet. `question` is what Stripe can be asked, of `question_subject`.
    `packages` are those bought by it, by plan id, with how many of each.
    """

    id: str
    listed: bool
    user_id: str | None
    status: str | None
    currency: str | None
    amount_minor: int
    refunded_minor: int
    disputed_minor: int
    plan_id: int | None
    plan_version: int | None
    tokens: int
    lacks_plan: bool
    receipt_url: str | None
    credited_minor: int = 0
    note: str | None = None
    loose_ends: tuple[str, ...] = ()
    question: str | None = None
    question_subject: str | None = None
    packages: Mapping[int, int] = {}

    @property
    def lacks_user(self) -> bool:
        """Whether tokens or money wait for someone to belong to."""
        return self.listed and self.user_id is None

    @property
    def taken_minor(self) -> int:
        """Money that went back, however it did."""
        return self.refunded_minor + self.disputed_minor + self.credited_minor


def derive(cluster: Cluster, catalogue: Catalogue) -> Payment:
    """Derive a payment from the facts of its cluster: pure, and the same for any order."""
    members = sorted(cluster.members, key=lambda member: member.id)
    invoice = _invoice(cluster.root_id, members)
    session = _one_time_session(members)
    money = money_of(invoice, session, members)
    gross = _gross(cluster, members, invoice, session, catalogue)
    back = back_of(members, cluster.refunds, cluster.disputes, cluster.credit_notes, money)
    is_paid = money is not None and money.is_paid
    tokens = net_tokens(gross.tokens, back.total, money.base_minor) if money and is_paid else 0
    ends = _loose_ends(cluster, members, money, back)
    question, subject = _question(cluster, session, gross, ends, is_paid=is_paid)
    return Payment(
        id=cluster.root_id,
        listed=money is not None,
        user_id=_user(cluster, members),
        status=_status(money, back) if money else None,
        currency=money.currency if money else None,
        amount_minor=money.amount_minor if money else 0,
        refunded_minor=back.refunded,
        disputed_minor=back.disputed,
        plan_id=gross.plan.id if gross.plan else None,
        plan_version=gross.plan.version if gross.plan else None,
        tokens=tokens,
        lacks_plan=bool(gross.unvalued),
        receipt_url=_receipt_url(invoice, members),
        credited_minor=back.credited,
        note="; ".join(gross.unvalued) if is_paid and gross.unvalued and not gross.tokens else None,
        loose_ends=ends,
        question=question,
        question_subject=subject,
        packages=gross.packages if money else {},
    )


def unvalued(cluster: Cluster, catalogue: Catalogue) -> tuple[str, ...]:
    """What of a payment nothing gives a worth to, and why, in words."""
    members = sorted(cluster.members, key=lambda member: member.id)
    invoice, session = _invoice(cluster.root_id, members), _one_time_session(members)
    return _gross(cluster, members, invoice, session, catalogue).unvalued


def _invoice(root_id: str, members: Iterable[MoneyObject]) -> MoneyObject | None:
    return next((member for member in members if member.id == root_id and member.invoice), None)


def _one_time_session(members: Iterable[MoneyObject]) -> MoneyObject | None:
    """The completed one-time session; of several, the first by id that is paid."""
    sessions = [
        member
        for member in members
        if member.session and member.session.is_one_time and member.session.is_complete
    ]
    paid = [member for member in sessions if member.session and member.session.is_paid]
    return next(iter(paid or sessions), None)


def _status(money: Money, back: Back) -> str:
    if not money.is_paid:
        return "failed" if money.has_failed else "pending"
    if back.disputed > 0:
        return "disputed"
    if back.refunded > 0:
        return "refunded" if back.refunded >= money.paid_minor else "partially_refunded"
    return "paid"


def _gross(
    cluster: Cluster,
    members: Sequence[MoneyObject],
    invoice: MoneyObject | None,
    session: MoneyObject | None,
    catalogue: Catalogue,
) -> Gross:
    """The session's worth counts first: it and its invoice are one payment and count once."""
    assigned_plan_id = _assigned_plan_id(members)
    ordered = None
    if session and session.session:
        created = session.created or 0
        ordered = Ordered(session.id, session.session, created, catalogue, assigned_plan_id)
        of_lines = ordered.gross_of_lines()
        if of_lines:
            return of_lines
    if invoice and invoice.invoice and (ordered is None or ordered.plan_id is None):
        invoiced = Invoiced(
            lines=invoice.invoice.lines,
            currency=invoice.invoice.currency,
            created=invoice.created or 0,
            catalogue=catalogue,
            sold=cluster.sold,
            assigned_plan_id=assigned_plan_id,
        )
        return gross_of_invoice(invoice.invoice, invoiced)
    return ordered.gross_of_plan() if ordered else Gross(0, None)


def _assigned_plan_id(members: Iterable[MoneyObject]) -> int | None:
    assigned = [member.assigned_plan for member in members if member.assigned_plan]
    return int(max(assigned).value) if assigned else None


def _loose_ends(
    cluster: Cluster, members: Sequence[MoneyObject], money: Money | None, back: Back
) -> tuple[str, ...]:
    ends = []
    invoice = _invoice(cluster.root_id, members)
    if money is None and back.total > 0:
        ends.append(LooseEnd.MONEY_BACK)
    elif money is None and _is_unclaimed(cluster.root_id, members):
        ends.append(LooseEnd.UNCLAIMED_INTENT)
    if invoice and invoice.invoice and invoice.invoice.is_cut:
        ends.append(LooseEnd.CUT_LIST)
    noted = sum(note.amount_minor for note in cluster.credit_notes)
    if invoice and invoice.invoice and invoice.invoice.noted_minor > noted:
        ends.append(LooseEnd.CREDIT_NOTES)
    return tuple(end.value for end in ends)


def _is_unclaimed(root_id: str, members: Iterable[MoneyObject]) -> bool:
    """Whether the root is an intent that collected money for nothing that we know."""
    return any(
        member.id == root_id
        and member.kind is Kind.INTENT
        and member.intent is not None
        and member.intent.received_minor > 0
        for member in members
    )


def _question(
    cluster: Cluster,
    session: MoneyObject | None,
    gross: Gross,
    ends: Sequence[str],
    *,
    is_paid: bool,
) -> tuple[str | None, str | None]:
    if LooseEnd.CUT_LIST in ends:
        return Question.INVOICE_LINES.value, cluster.root_id
    if is_paid and gross.asks_line_items and session:
        return Question.LINE_ITEMS.value, session.id
    if LooseEnd.MONEY_BACK in ends or LooseEnd.UNCLAIMED_INTENT in ends:
        return Question.PAYMENT_OF.value, cluster.root_id
    return None, None


def _user(cluster: Cluster, members: Sequence[MoneyObject]) -> str | None:
    assigned = [member.assigned_user for member in members if member.assigned_user]
    if assigned:
        return max(assigned).value
    claims: list[UserClaim] = [member.claim for member in members if member.claim]
    return min(claims).user_id if claims else cluster.owner


def _receipt_url(invoice: MoneyObject | None, members: Iterable[MoneyObject]) -> str | None:
    if invoice and invoice.invoice and invoice.invoice.receipt_url:
        return invoice.invoice.receipt_url
    urls = (member.intent.receipt_url for member in members if member.intent)
    return next((url for url in urls if url), None)
