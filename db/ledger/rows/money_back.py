"""Rows of what takes money back: refunds, disputes, credit notes."""

from db.ledger.rows.record import Field, Record, json_field
from domain.payments.credit_notes import CreditNote
from domain.payments.reversals import Dispute, Funds, Refund

REFUNDS = Record(
    Refund,
    [
        Field("id"),
        Field("target_id"),
        Field("status"),
        Field("amount_minor"),
        Field("failed_created"),
    ],
)
DISPUTES = Record(
    Dispute,
    [
        Field("id"),
        Field("target_id"),
        Field("status"),
        Field("status_created"),
        Field("amount_minor"),
        Field("funds", read=Funds),
        Field("funds_created"),
        Field("currency"),
    ],
)
CREDIT_NOTES = Record(
    CreditNote,
    [
        Field("id"),
        Field("target_id"),
        Field("amount_minor"),
        Field("is_void"),
        json_field("refunds", of=lambda note: dict(note.refunds)),
    ],
)
