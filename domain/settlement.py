"""From merged facts to what the tables must say of a payment, and to the entries it calls for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from domain.catalogue import Catalogue, Plan
from domain.claims import UserClaim
from domain.payments import (
    Dispute,
    InvoiceDetails,
    Line,
    MoneyObject,
    Refund,
    SessionDetails,
    refunded_minor,
)
from domain.valuation import Gross, gross_of_invoice, net_tokens, plan_of_line


@dataclass(frozen=True, slots=True)
class Cluster:
    """One payment with everything that belongs to it.

    `members` hold the root where it is known; refunds and disputes are keyed by target id.
    `claimed_plan_id` is the plan that the subscription of the invoice was sold as, `owner` the
    user that the Stripe customer belongs to.
    """

    root_id: str
    members: Sequence[MoneyObject]
    refunds: Sequence[Refund] = ()
    disputes: Sequence[Dispute] = ()
    owner: str | None = None
    claimed_plan_id: int | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """What the tables say of one payment; amounts in minor units of `currency`."""

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

    @property
    def lacks_user(self) -> bool:
        """Whether tokens or money wait for someone to belong to."""
        return self.listed and self.user_id is None

    @property
    def taken_minor(self) -> int:
        """Refunded and disputed money together."""
        return self.refunded_minor + self.disputed_minor


@dataclass(frozen=True, slots=True)
class _Money:
    """The money side of a payment, before refunds and disputes."""

    is_paid: bool
    has_failed: bool
    amount_minor: int
    paid_minor: int
    currency: str


def settle(cluster: Cluster, catalogue: Catalogue) -> Payment:
    """Derive a payment from the facts of its cluster: pure, and the same for any order."""
    members = sorted(cluster.members, key=lambda member: member.id)
    invoice = _invoice(cluster.root_id, members)
    session = _one_time_session(members)
    money = _money(invoice, session)
    gross = _gross(cluster, invoice, session, catalogue)
    refunded, disputed = _taken(cluster, members)
    paid = money.paid_minor if money else 0
    return Payment(
        id=cluster.root_id,
        listed=money is not None,
        user_id=_user(cluster, members),
        status=_status(money, refunded, disputed) if money else None,
        currency=money.currency if money else None,
        amount_minor=money.amount_minor if money else 0,
        refunded_minor=refunded,
        disputed_minor=disputed,
        plan_id=gross.plan.id if gross.plan else None,
        plan_version=gross.plan.version if gross.plan else None,
        tokens=net_tokens(gross.tokens, refunded + disputed, paid),
        lacks_plan=bool(gross.unvalued),
        receipt_url=_receipt_url(invoice, members),
    )


def unvalued(cluster: Cluster, catalogue: Catalogue) -> tuple[str, ...]:
    """What of a payment the catalogue gives no worth to, and why, in words."""
    members = sorted(cluster.members, key=lambda member: member.id)
    invoice, session = _invoice(cluster.root_id, members), _one_time_session(members)
    return _gross(cluster, invoice, session, catalogue).unvalued


def _invoice(root_id: str, members: Iterable[MoneyObject]) -> MoneyObject | None:
    return next((member for member in members if member.id == root_id and member.invoice), None)


def _one_time_session(members: Iterable[MoneyObject]) -> MoneyObject | None:
    """The completed one-time session; of several, the first by id that is paid."""
    found = [
        member
        for member in members
        if member.session and member.session.is_one_time and member.session.is_complete
    ]
    paid = [member for member in found if member.session and member.session.is_paid]
    return next(iter(paid or found), None)


def _money(invoice: MoneyObject | None, session: MoneyObject | None) -> _Money | None:
    """The invoice tells of the money, unless only the session knows yet that it is paid."""
    of_session = _money_of_session(session.session) if session and session.session else None
    of_invoice = _money_of_invoice(invoice.invoice) if invoice and invoice.invoice else None
    if of_invoice and of_session and of_session.is_paid and not of_invoice.is_paid:
        return of_session
    return of_invoice or of_session


def _money_of_invoice(details: InvoiceDetails) -> _Money:
    paid = details.amount_paid_minor if details.is_paid else 0
    return _Money(
        is_paid=details.is_paid,
        has_failed=details.has_failed or details.is_void,
        amount_minor=paid if details.is_paid else details.amount_due_minor,
        paid_minor=paid,
        currency=details.currency,
    )


def _money_of_session(details: SessionDetails) -> _Money:
    return _Money(
        is_paid=details.is_paid,
        has_failed=details.has_failed,
        amount_minor=details.amount_total_minor,
        paid_minor=details.amount_total_minor if details.is_paid else 0,
        currency=details.currency,
    )


def _status(money: _Money, refunded: int, disputed: int) -> str:
    if not money.is_paid:
        return "failed" if money.has_failed else "pending"
    if disputed > 0:
        return "disputed"
    if refunded > 0:
        return "refunded" if refunded >= money.paid_minor else "partially_refunded"
    return "paid"


def _gross(
    cluster: Cluster,
    invoice: MoneyObject | None,
    session: MoneyObject | None,
    catalogue: Catalogue,
) -> Gross:
    """The session's plan counts first: it and its invoice are one payment and count once."""
    assigned = _assigned_plan_id(cluster.members)
    if assigned is not None and session and session.session:
        return _gross_as_assigned(session, session.session, assigned, catalogue)
    from_session = _gross_of_session(session, catalogue)
    if from_session and from_session.plan:
        return from_session
    if invoice and invoice.invoice:
        return _gross_of_invoice(cluster, invoice, invoice.invoice, catalogue)
    return from_session or Gross(0, None)


def _gross_of_session(session: MoneyObject | None, catalogue: Catalogue) -> Gross | None:
    if session is None or session.session is None:
        return None
    plan = catalogue.by_id(session.session.plan_id, session.created or 0)
    if plan is not None:
        return Gross(plan.tokens if session.session.is_paid else 0, plan)
    named = session.session.plan_id
    why = "names no plan" if named is None else f"names plan {named}, which the catalogue lacks"
    return Gross(0, None, (f"session {session.id} {why}",))


def _gross_of_invoice(
    cluster: Cluster, invoice: MoneyObject, details: InvoiceDetails, catalogue: Catalogue
) -> Gross:
    assigned = _assigned_plan_id(cluster.members)

    def plan_of(line: Line) -> Plan | None:
        if assigned is not None:
            sold = invoice.created or 0
            return catalogue.by_price(line.price_id) or catalogue.by_id(assigned, sold)
        return plan_of_line(line, cluster.claimed_plan_id, catalogue, invoice.created or 0)

    gross = gross_of_invoice(details, plan_of)
    return gross if details.is_paid else replace(gross, tokens=0)


def _assigned_plan_id(members: Iterable[MoneyObject]) -> int | None:
    """The plan that a person named for the payment, the newest of several."""
    named = [member.assigned_plan for member in members if member.assigned_plan]
    return int(max(named).value) if named else None


def _gross_as_assigned(
    session: MoneyObject, details: SessionDetails, plan_id: int, catalogue: Catalogue
) -> Gross:
    """A one-time session as a person said what it bought: as often as it paid the plan's price."""
    plan = catalogue.by_id(plan_id, session.created or 0)
    if plan is None:
        return Gross(0, None, (f"session {session.id} was given plan {plan_id}, which is unknown",))
    price = plan.prices.get(details.currency, 0)
    times = max(1, details.amount_total_minor // price) if price else 1
    return Gross(plan.tokens * times if details.is_paid else 0, plan)


def _taken(cluster: Cluster, members: Sequence[MoneyObject]) -> tuple[int, int]:
    by_target: dict[str, list[Refund]] = {}
    for refund in cluster.refunds:
        by_target.setdefault(refund.target_id, []).append(refund)
    refunded = sum(refunded_minor(member, by_target.get(member.id, ())) for member in members)
    return refunded, sum(dispute.taken_minor for dispute in cluster.disputes)


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


@dataclass(frozen=True, slots=True)
class Entry:
    """A ledger entry to be posted; what is posted is never changed."""

    user_id: str
    delta: int
    kind: str
    payment_id: str
    reason: str


def entries_for(payment: Payment, posted: Mapping[str, int], was_taken_minor: int) -> list[Entry]:
    """The entries that bring the ledger from what it holds to the payment's net.

    `posted` is the sum of this payment's entries by user; `was_taken_minor` what was refunded or
    disputed when they were posted, which tells a reversal from another correction.
    """
    wanted = {payment.user_id: payment.tokens} if payment.user_id and payment.tokens else {}
    entries = []
    for user_id in sorted(posted.keys() | wanted.keys()):
        delta = wanted.get(user_id, 0) - posted.get(user_id, 0)
        if delta:
            kind = _entry_kind(delta, payment, was_taken_minor, has_entries=user_id in posted)
            entries.append(Entry(user_id, delta, kind, payment.id, _reason(kind, payment)))
    return entries


def _entry_kind(delta: int, payment: Payment, was_taken_minor: int, *, has_entries: bool) -> str:
    if delta > 0 and not has_entries:
        return "grant"
    if delta < 0 and payment.taken_minor > was_taken_minor and has_entries:
        return "reversal"
    if delta > 0 and payment.taken_minor < was_taken_minor:
        return "restore"
    return "adjustment"


_REASONS = {
    "grant": "Payment {id} is paid",
    "reversal": "Money of payment {id} was refunded or disputed",
    "restore": "Refunded or disputed money of payment {id} came back",
    "adjustment": "Payment {id} now stands for {tokens} tokens of this user",
}


def _reason(kind: str, payment: Payment) -> str:
    return _REASONS[kind].format(id=payment.id, tokens=payment.tokens)
