"""Credit notes: what an invoice was lowered by, before it was paid or after."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from domain.payments.reversals import Refund


class CreditNote(NamedTuple):
    """One credit note by id; `target_id` is the invoice it lowers, amounts are minor units.

    `refunds` maps the refunds that paid it out to their part of it. A note that was voided once
    stays so.
    """

    id: str
    target_id: str
    amount_minor: int
    is_void: bool = False
    refunds: Mapping[str, int] = {}

    def join(self, other: "CreditNote") -> "CreditNote":
        """Both bodies of knowledge as one; what only grows is never forgotten."""
        return CreditNote(
            id=self.id,
            target_id=min(self.target_id, other.target_id),
            amount_minor=max(self.amount_minor, other.amount_minor),
            is_void=self.is_void or other.is_void,
            refunds={
                refund_id: max(self.refunds.get(refund_id, 0), other.refunds.get(refund_id, 0))
                for refund_id in sorted(self.refunds.keys() | other.refunds.keys())
            },
        )


def credited_minor(
    notes: Iterable[CreditNote], refunds: Iterable[Refund], refunded_total_minor: int
) -> int:
    """What credit notes took, without what is counted among the refunds already.

    `refunded_total_minor` is what counts as refunded: where a charge only told its cumulative sum
    (below API version 2024-10-28), it covers refunds whose ids nobody reported.
    """
    refund_by_id = {refund.id: refund for refund in refunds}
    nameless = refunded_total_minor - sum(
        refund.amount_minor for refund in refund_by_id.values() if refund.is_taken
    )
    total = 0
    for note in sorted(notes, key=lambda note: note.id):
        if note.is_void:
            continue
        total += note.amount_minor
        for refund_id, amount_minor in note.refunds.items():
            refund = refund_by_id.get(refund_id)
            if refund is None:
                covered = min(amount_minor, max(nameless, 0))
                nameless -= covered
            else:
                covered = min(amount_minor, refund.amount_minor) if refund.is_taken else 0
            total -= covered
    return total
