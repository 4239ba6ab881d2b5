"""What Stripe is known to tell elsewhere, or no longer, from a version on.

Decoders read what is there, so after such a move an event says less, or another event says it.
Only what is listed here may be missing in the newer version of an event without being called a
difference, and only on the conditions that stand beside it.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class Condition(StrEnum):
    """When a move is harmless."""

    # The fact helps in no decision that the newer version leaves to it.
    ALWAYS = "always"
    # The fact is known from elsewhere all the same, or an event that both versions tell brings it.
    KNOWN_OTHERWISE = "known otherwise"
    # What the payment comes to is the same.
    SAME_PAYMENT = "same payment"


@dataclass(frozen=True, slots=True)
class Move:
    """A fact that versions from a date on do not tell as those before; `path` is a pattern."""

    since: str
    path: re.Pattern[str]
    condition: Condition
    why: str

    def is_between(self, before: str, after: str) -> bool:
        """Whether it lies between two versions."""
        return before[:10] < self.since <= after[:10]


MOVES: tuple[Move, ...] = (
    Move(
        "2024-10-28",
        re.compile(r"(intent\.refunded\..*|refund)"),
        Condition.SAME_PAYMENT,
        "refunds are told one by one, and no longer as a sum on the charge",
    ),
    Move(
        "2025-03-31",
        re.compile(r"parents\[.*|object"),
        Condition.KNOWN_OTHERWISE,
        "which intent paid an invoice is told by `invoice_payment.paid`, on neither of the two",
    ),
    Move(
        "2025-03-31",
        re.compile(r"invoice\.lines\[\d+\]\.unit_amount_minor"),
        Condition.ALWAYS,
        "a line names its price only; the subscription's items say what a unit costs",
    ),
)

# From when on Stripe sends a type to an endpoint; older ones never see it.
SENT_SINCE = {
    "invoice_payment.paid": "2025-05-28",
    "refund.created": "2024-10-28",
    "refund.updated": "2024-10-28",
    "refund.failed": "2024-10-28",
}


def sends(version: str, event_type: str) -> bool:
    """Whether endpoints of a version are sent events of a type."""
    since = SENT_SINCE.get(event_type)
    return since is None or version[:10] >= since
