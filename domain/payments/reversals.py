"""Refunds and disputes: money that went back of a payment, and how reports of one merge.

Both are join-semilattices, as money objects are.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from domain.payments.claims import earliest
from domain.payments.objects import MoneyObject

REFUND_RANK = {"pending": 0, "requires_action": 1, "succeeded": 2, "canceled": 3, "failed": 4}
_RETURNED = ("canceled", "failed")


class Refund(NamedTuple):
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


class Dispute(NamedTuple):
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


def refunded_minor(target: MoneyObject, refunds: Iterable[Refund]) -> int:
    """What was given back of one intent or charge and did not return.

    Refunds known by id are summed. Below API version 2024-10-28 a charge reports only its
    cumulative total; a refund that failed after that report is still inside it (contract §5).
    """
    every_refund = list(refunds)
    by_id = sum(refund.amount_minor for refund in every_refund if refund.is_taken)
    reports = (target.intent.refunded if target.intent else None) or {}
    if not reports:
        return by_id
    newest = max(report.created for report in reports.values())
    returned_since = sum(
        refund.amount_minor
        for refund in every_refund
        if not refund.is_taken
        and refund.failed_created is not None
        and refund.failed_created >= newest
    )
    cumulative = sum(report.amount_minor for report in reports.values())
    return max(by_id, cumulative - returned_since)
