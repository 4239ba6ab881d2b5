"""What is reported of a money object: the details of invoices, sessions and intents.

Every type here is a join-semilattice: `join` is associative, commutative and idempotent, so the
order and number of the events that report an object cannot matter.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import NamedTuple, TypeVar

from domain.events import Stamp
from domain.payments.claims import earliest
from domain.payments.lines import Line
from domain.payments.sold import earliest_by_key

D = TypeVar("D")


INVOICE_RANK = {"draft": 0, "open": 1, "uncollectible": 2, "void": 3, "paid": 4}
SESSION_RANK = {"open": 0, "expired": 1, "complete": 2}
PAYMENT_STATUS_RANK = {"unpaid": 0, "no_payment_required": 1, "paid": 2}


def joined(one: D | None, other: D | None, join: Callable[[D, D], D]) -> D | None:
    """Both as one where both are known, else the one that is; None where neither is."""
    if one is None or other is None:
        return other if one is None else one
    return join(one, other)


class InvoiceDetails(NamedTuple):
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
        return further._replace(
            amount_paid_minor=max(self.amount_paid_minor, other.amount_paid_minor),
            has_failed=self.has_failed or other.has_failed,
        )


class SessionLine(NamedTuple):
    """One line item of a checkout session."""

    price_id: str | None
    quantity: int | Fraction


class SessionDetails(NamedTuple):
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
    named: Mapping[int, int] = {}

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
        return further._replace(
            payment_rank=max(self.payment_rank, other.payment_rank),
            has_failed=self.has_failed or other.has_failed,
            lines=joined(self.lines, other.lines, _more_lines),
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


class IntentDetails(NamedTuple):
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
        charge: max(reports[charge] for reports in (one, other) if charge in reports)
        for charge in charges
    }
