"""Ledger entries: what must be posted so that the ledger sums to what a payment stands for."""

from collections.abc import Mapping
from typing import NamedTuple

from domain.payments.derivation import Payment


class LedgerEntry(NamedTuple):
    """A ledger entry to be posted; what is posted is never changed."""

    user_id: str
    delta: int
    kind: str
    payment_id: str
    reason: str


def entries_for(
    payment: Payment, posted: Mapping[str, int], was_taken_minor: int
) -> list[LedgerEntry]:
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
            entries.append(LedgerEntry(user_id, delta, kind, payment.id, _reason(kind, payment)))
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
