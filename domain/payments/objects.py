"""Money objects: invoices, checkout sessions, intents and charges, and how reports of one merge.

Every type here is a join-semilattice: `join` is associative, commutative and idempotent, so the
order and number of the events that report an object cannot matter. What a payment *is*, is the
set of objects that point to one root: charge to intent, intent and session to invoice.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple, TypeVar

from domain.events import Stamp
from domain.payments.claims import Assigned, UserClaim, earliest
from domain.payments.lines import Line
from domain.payments.sold import earliest_by_key

D = TypeVar("D")


class Kind(StrEnum):
    """The Stripe objects that are, or belong to, a payment; a root is the first of these."""

    INVOICE = "invoice"
    SESSION = "session"
    INTENT = "intent"
    CHARGE = "charge"
    RECORD = "payment_record"


_KIND_ORDER = {kind: order for order, kind in enumerate(Kind)}


INVOICE_RANK = {"draft": 0, "open": 1, "uncollectible": 2, "void": 3, "paid": 4}
SESSION_RANK = {"open": 0, "expired": 1, "complete": 2}
PAYMENT_STATUS_RANK = {"unpaid": 0, "no_payment_required": 1, "paid": 2}


@dataclass(frozen=True, slots=True)
class InvoiceDetails:
    """An invoice at its furthest known status; among equals a whole report, then the newest.

    `amount_paid_minor` only grows; `has_failed` once true stays. `total_minor` is before credit
    and credit notes; `noted_minor` is what Stripe says its credit notes add up to. `is_cut` says
    that the report shows only some of the lines, `lacks_periods` that it was read before 0.2, which
    kept neither periods nor items of lines.
    """

    rank: int
    stamp: Stamp
    currency: str
    amount_due_minor: int
    amount_paid_minor: int
    starts_subscription: bool
    lines: tuple[Line, ...]
    has_failed: bool = False
    receipt_url: str | None = None
    total_minor: int | None = None
    noted_minor: int = 0
    is_cut: bool = False
    lacks_periods: bool = False

    @property
    def is_paid(self) -> bool:
        """Whether Stripe says that nothing more is due."""
        return self.rank == INVOICE_RANK["paid"]

    @property
    def is_prorated(self) -> bool:
        """Whether a line is a proration, whose worth may depend on a subscription's periods."""
        return any(line.is_proration for line in self.lines)

    @property
    def is_void(self) -> bool:
        """Whether the claim was withdrawn or given up."""
        return self.rank in (INVOICE_RANK["void"], INVOICE_RANK["uncollectible"])

    def join(self, other: "InvoiceDetails") -> "InvoiceDetails":
        """The further of the two; money paid and failures seen are never forgotten."""
        further = max(
            self,
            other,
            key=lambda details: (
                details.rank,
                not details.is_cut,
                details.stamp,
                not details.lacks_periods,
            ),
        )
        return replace(
            further,
            amount_paid_minor=max(self.amount_paid_minor, other.amount_paid_minor),
            has_failed=self.has_failed or other.has_failed,
        )


class SessionLine(NamedTuple):
    """One line item of a checkout session."""

    price_id: str | None
    quantity: int | Fraction


@dataclass(frozen=True, slots=True)
class SessionDetails:
    """A checkout session at its furthest known status.

    `amount_subtotal_minor` is before discounts and taxes. `lines` are None until they were asked
    for: no event carries them. `named` maps each plan that the metadata ever named to when the
    first report did, in seconds since 1970.
    """

    is_one_time: bool
    rank: int
    payment_rank: int
    currency: str
    amount_total_minor: int
    plan_id: int | None
    has_failed: bool = False
    amount_subtotal_minor: int | None = None
    lines: tuple[SessionLine, ...] | None = None
    named: Mapping[int, int] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether the buyer finished the page; says nothing of the money."""
        return self.rank == SESSION_RANK["complete"]

    @property
    def is_paid(self) -> bool:
        """Whether the money is there, or none is due."""
        return self.payment_rank >= PAYMENT_STATUS_RANK["no_payment_required"]

    def join(self, other: "SessionDetails") -> "SessionDetails":
        """Statuses only move forward; the rest stands as the furthest report has it.

        The payment's status moves on its own and so takes no part in choosing that report: a
        join of joins would choose another one otherwise.
        """
        further = max(self, other, key=_session_order)
        return replace(
            further,
            payment_rank=max(self.payment_rank, other.payment_rank),
            has_failed=self.has_failed or other.has_failed,
            lines=_joined(self.lines, other.lines, _more_lines),
            named=earliest_by_key(self.named, other.named),
        )


def _more_lines(
    one: tuple[SessionLine, ...], other: tuple[SessionLine, ...]
) -> tuple[SessionLine, ...]:
    return max(one, other, key=lambda lines: (len(lines), [_line_order(line) for line in lines]))


def _line_order(line: SessionLine) -> tuple[str, int | Fraction]:
    return (line.price_id or "", line.quantity)


def _session_order(details: SessionDetails) -> tuple[object, ...]:
    return (
        details.rank,
        details.amount_total_minor,
        -1 if details.amount_subtotal_minor is None else details.amount_subtotal_minor,
        details.currency,
        -1 if details.plan_id is None else details.plan_id,
        details.is_one_time,
    )


class RefundedSoFar(NamedTuple):
    """What a charge said it had given back, cumulatively, at an event's time."""

    created: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class IntentDetails:
    """A payment intent, or a charge without one."""

    amount_minor: int = 0
    received_minor: int = 0
    currency: str = ""
    has_failed: bool = False
    receipt_url: str | None = None
    refunded: Mapping[str, RefundedSoFar] | None = None

    def join(self, other: "IntentDetails") -> "IntentDetails":
        """Amounts only grow; per charge the newest cumulative refund stands."""
        return IntentDetails(
            amount_minor=max(self.amount_minor, other.amount_minor),
            received_minor=max(self.received_minor, other.received_minor),
            currency=max(self.currency, other.currency),
            has_failed=self.has_failed or other.has_failed,
            receipt_url=earliest(self.receipt_url, other.receipt_url),
            refunded=_newest_by_charge(self.refunded, other.refunded),
        )


def _newest_by_charge(
    one: Mapping[str, RefundedSoFar] | None, other: Mapping[str, RefundedSoFar] | None
) -> Mapping[str, RefundedSoFar] | None:
    if not one or not other:
        return one or other
    charges = sorted(one.keys() | other.keys())
    return {
        charge: max(found[charge] for found in (one, other) if charge in found)
        for charge in charges
    }


@dataclass(frozen=True, slots=True)
class MoneyObject:
    """All that is known of one invoice, session, intent, charge or payment record.

    `parents` are the objects it was said to belong to; the first by kind, then id, counts.
    An object that was only named by another has no details yet. `assigned_user` and
    `assigned_plan` are what a person said.
    """

    id: str
    kind: Kind
    parents: frozenset[str] = frozenset()
    customer_id: str | None = None
    subscription_id: str | None = None
    claim: UserClaim | None = None
    created: int | None = None
    invoice: InvoiceDetails | None = None
    session: SessionDetails | None = None
    intent: IntentDetails | None = None
    assigned_user: Assigned | None = None
    assigned_plan: Assigned | None = None

    def join(self, other: "MoneyObject") -> "MoneyObject":
        """Both bodies of knowledge about one object as one."""
        return MoneyObject(
            id=self.id,
            kind=min(self.kind, other.kind, key=_KIND_ORDER.__getitem__),
            parents=self.parents | other.parents,
            customer_id=earliest(self.customer_id, other.customer_id),
            subscription_id=earliest(self.subscription_id, other.subscription_id),
            claim=earliest(self.claim, other.claim),
            created=earliest(self.created, other.created),
            invoice=_joined(self.invoice, other.invoice, InvoiceDetails.join),
            session=_joined(self.session, other.session, SessionDetails.join),
            intent=_joined(self.intent, other.intent, IntentDetails.join),
            assigned_user=_joined(self.assigned_user, other.assigned_user, max),
            assigned_plan=_joined(self.assigned_plan, other.assigned_plan, max),
        )


def _joined(one: D | None, other: D | None, join: Callable[[D, D], D]) -> D | None:
    if one is None or other is None:
        return other if one is None else one
    return join(one, other)


REFUND_RANK = {"pending": 0, "requires_action": 1, "succeeded": 2, "canceled": 3, "failed": 4}
_RETURNED = ("canceled", "failed")


@dataclass(frozen=True, slots=True)
class Refund:
    """One refund by id; `target_id` is the intent (or charge) it takes from.

    Its status only moves forward: Stripe may fail a refund up to 30 days after it succeeded.
    `failed_created` is when it was first reported failed or canceled.
    """

    id: str
    target_id: str
    status: str
    amount_minor: int
    failed_created: int | None = None

    @property
    def rank(self) -> int:
        """How far the refund got; a status Stripe adds later counts as money under way."""
        return REFUND_RANK.get(self.status, 0)

    @property
    def is_taken(self) -> bool:
        """Whether the money left, or is on its way."""
        return self.status not in _RETURNED

    def join(self, other: "Refund") -> "Refund":
        """The furthest status, the largest amount, the best target."""
        further = max(self, other, key=lambda refund: (refund.rank, refund.status))
        return Refund(
            id=self.id,
            target_id=min(self.target_id, other.target_id, key=_target_order),
            status=further.status,
            amount_minor=max(self.amount_minor, other.amount_minor),
            failed_created=earliest(self.failed_created, other.failed_created),
        )


class Funds(StrEnum):
    """Where a disputed payment's money is."""

    UNTOUCHED = "untouched"
    WITHDRAWN = "withdrawn"
    REINSTATED = "reinstated"


_FUNDS_ORDER = {funds: order for order, funds in enumerate(Funds)}


@dataclass(frozen=True, slots=True)
class Dispute:
    """One dispute by id. The newest report of its funds decides; an inquiry moves none."""

    id: str
    target_id: str
    status: str
    status_created: int
    amount_minor: int
    funds: Funds = Funds.UNTOUCHED
    funds_created: int = 0
    currency: str = ""

    @property
    def taken_minor(self) -> int:
        """What is withdrawn and not reinstated."""
        return self.amount_minor if self.funds is Funds.WITHDRAWN else 0

    def join(self, other: "Dispute") -> "Dispute":
        """Newest status, newest place of the money; in one second the later step stands."""
        newer = max(self, other, key=lambda dispute: (dispute.status_created, dispute.status))
        moved = max(
            self, other, key=lambda dispute: (dispute.funds_created, _FUNDS_ORDER[dispute.funds])
        )
        return Dispute(
            id=self.id,
            target_id=min(self.target_id, other.target_id, key=_target_order),
            status=newer.status,
            status_created=newer.status_created,
            amount_minor=max(self.amount_minor, other.amount_minor),
            funds=moved.funds,
            funds_created=moved.funds_created,
            currency=max(self.currency, other.currency),
        )


def _target_order(target_id: str) -> tuple[bool, str]:
    return (target_id.startswith("ch_"), target_id)


def root_of(object_id: str, objects: Mapping[str, MoneyObject]) -> str:
    """The object that a payment is known by, found by following parents upwards.

    A parent that is not among `objects` yet is itself the root.
    """
    seen = {object_id}
    while True:
        current = objects.get(object_id)
        if current is None or not current.parents:
            return object_id
        parent = min(current.parents, key=lambda candidate: _parent_order(candidate, objects))
        if parent in seen:
            return min(seen)
        seen.add(parent)
        object_id = parent


def _parent_order(object_id: str, objects: Mapping[str, MoneyObject]) -> tuple[int, str]:
    known = objects.get(object_id)
    kind = known.kind if known else kind_of(object_id)
    return (_KIND_ORDER[kind], object_id)


def kind_of(object_id: str) -> Kind:
    """What an object is, by the prefix of its id; an intent when the prefix is unknown."""
    prefix = object_id.partition("_")[0]
    return _KIND_OF_PREFIX.get(prefix, Kind.INTENT)


_KIND_OF_PREFIX = {
    "in": Kind.INVOICE,
    "cs": Kind.SESSION,
    "ch": Kind.CHARGE,
    "py": Kind.CHARGE,
    "prec": Kind.RECORD,
    "pr": Kind.RECORD,
}


def refunded_minor(target: MoneyObject, refunds: Iterable[Refund]) -> int:
    """What was given back of one intent or charge and did not return.

    Refunds known by id are summed. Below API version 2024-10-28 a charge reports only its
    cumulative total; a refund that failed after that report is still inside it (contract §5).
    """
    known = list(refunds)
    by_id = sum(refund.amount_minor for refund in known if refund.is_taken)
    reports = (target.intent.refunded if target.intent else None) or {}
    if not reports:
        return by_id
    newest = max(report.created for report in reports.values())
    returned_since = sum(
        refund.amount_minor
        for refund in known
        if not refund.is_taken
        and refund.failed_created is not None
        and refund.failed_created >= newest
    )
    cumulative = sum(report.amount_minor for report in reports.values())
    return max(by_id, cumulative - returned_since)
