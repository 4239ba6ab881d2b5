"""Intents, charges, refunds and disputes: money collected, given back, and contested."""

from domain.decode.facts import Fact
from domain.decode.source import Source
from domain.decode.version_check import version_date
from domain.json_values import list_of, text_of
from domain.payments.details import IntentDetails, RefundedSoFar
from domain.payments.objects import Kind, MoneyObject, kind_of
from domain.payments.reversals import REFUND_RANK, Dispute, Funds, Refund

# From here on every refund is reported by id, and `charge.refunded` adds nothing (contract §5).
REFUNDS_BY_ID_SINCE = "2024-10-28"

_FUNDS_OF = {
    "charge.dispute.funds_withdrawn": Funds.WITHDRAWN,
    "charge.dispute.funds_reinstated": Funds.REINSTATED,
}

_DISPUTE_STATUSES = frozenset(
    {
        "warning_needs_response",
        "warning_under_review",
        "warning_closed",
        "needs_response",
        "under_review",
        "charge_refunded",
        "won",
        "lost",
        "prevented",
        "appeal_needs_response",
        "appeal_under_review",
    }
)


def intent(source: Source) -> list[Fact]:
    """A payment intent. It grants nothing: the session or invoice it pays does."""
    return _intent(source, has_failed=False)


def failed_intent(source: Source) -> list[Fact]:
    """An intent with a failed attempt; it may still succeed."""
    return _intent(source, has_failed=True)


def _intent(source: Source, *, has_failed: bool) -> list[Fact]:
    intent_id = source.required_id()
    invoice_id = source.reference("invoice")
    details = IntentDetails(
        amount_minor=source.required_amount("amount"),
        received_minor=source.amount("amount_received"),
        currency=source.currency(),
        has_failed=has_failed,
        receipt_url=_receipt_url(source),
    )
    intent = MoneyObject(
        id=intent_id,
        kind=Kind.INTENT,
        parents=frozenset({invoice_id} if invoice_id else ()),
        customer_id=source.customer_id,
        claim=source.user_claim,
        created=source.created(),
        intent=details,
    )
    return [*source.customer_link(), intent, *_invoice_stub(invoice_id)]


def _receipt_url(source: Source) -> str | None:
    # Before 2022-11-15 the intent carries its charges.
    charges = list_of(source.object.get("charges"))
    return next((url for charge in charges if (url := text_of(charge.get("receipt_url")))), None)


def _invoice_stub(invoice_id: str | None) -> list[Fact]:
    return [MoneyObject(invoice_id, Kind.INVOICE)] if invoice_id else []


def refunded_charge(source: Source) -> list[Fact]:
    """A charge that was refunded in part or in full, with the total given back so far."""
    charge_id = source.required_id()
    intent_id, invoice_id = source.reference("payment_intent"), source.reference("invoice")
    refunded = source.required_amount("amount_refunded")
    # A version we cannot date counts as old: refunds by id, if they come too, still win or agree.
    is_cumulative = (version_date(source.event.api_version) or "") < REFUNDS_BY_ID_SINCE
    report = {charge_id: RefundedSoFar(source.event.created, refunded)} if is_cumulative else None
    details = IntentDetails(
        currency=source.currency(),
        receipt_url=text_of(source.object.get("receipt_url")),
        refunded=report,
    )
    charge = MoneyObject(
        id=intent_id or charge_id,
        kind=Kind.INTENT if intent_id else Kind.CHARGE,
        parents=frozenset({invoice_id} if invoice_id else ()),
        customer_id=source.customer_id,
        claim=source.user_claim,
        intent=details,
    )
    facts: list[Fact] = [*source.customer_link(), charge, *_invoice_stub(invoice_id)]
    return [*facts, *_charge_of(charge_id, intent_id)]


def refund(source: Source) -> list[Fact]:
    """A refund in its present status."""
    target_id, links = _target(source)
    if target_id is None:
        source.note("names no payment_intent and no charge; it takes from no payment")
        return list(source.customer_link())
    status = _refund_status(source)
    failed = source.event.created if status in ("failed", "canceled") else None
    return [
        *source.customer_link(),
        *links,
        Refund(
            id=source.required_id(),
            target_id=target_id,
            status=status,
            amount_minor=source.required_amount("amount"),
            failed_created=failed,
        ),
    ]


def _refund_status(source: Source) -> str:
    # Stripe leaves the status of some refunds null until a bank has answered.
    status = text_of(source.object.get("status")) or "pending"
    source.rank("status", REFUND_RANK, "pending")
    return status


def dispute(source: Source) -> list[Fact]:
    """A dispute in its present status; only the two funds events say where the money is."""
    target_id, links = _target(source)
    if target_id is None:
        raise source.missing("payment_intent or charge")
    status = source.required_text("status")
    if status not in _DISPUTE_STATUSES:
        source.note(f"status {status[:40]!r} is new to us; kept as it is")
    funds = _FUNDS_OF.get(source.event.type, Funds.UNTOUCHED)
    return [
        *links,
        Dispute(
            id=source.required_id(),
            target_id=target_id,
            status=status,
            status_created=source.event.created,
            amount_minor=source.required_amount("amount"),
            funds=funds,
            funds_created=0 if funds is Funds.UNTOUCHED else source.event.created,
            currency=(text_of(source.object.get("currency")) or "").lower(),
        ),
    ]


def _target(source: Source) -> tuple[str | None, list[Fact]]:
    """What a refund or dispute takes from: the intent, else the charge, else a payment record."""
    intent_id, charge_id = source.reference("payment_intent"), source.reference("charge")
    target_id = intent_id or charge_id or source.reference("payment_record")
    if target_id is None:
        return None, []
    return target_id, [
        MoneyObject(target_id, kind_of(target_id)),
        *_charge_of(charge_id, intent_id),
    ]


def _charge_of(charge_id: str | None, intent_id: str | None) -> list[Fact]:
    if charge_id is None or intent_id is None:
        return []
    return [MoneyObject(charge_id, Kind.CHARGE, parents=frozenset({intent_id}))]
