"""Invoices with their lines, in the shapes before and since API version 2025-03-31 (basil)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from domain.decode.facts import Fact
from domain.decode.source import Source
from domain.payments import INVOICE_RANK, InvoiceDetails, Kind, Line, MoneyObject
from domain.reading import integer_of, list_of, mapping_of, reference_of, text_of


def reported(source: Source) -> list[Fact]:
    """An invoice in whatever status it says it has."""
    default = "void" if source.event.type == "invoice.voided" else "open"
    return _invoice(source, source.rank("status", INVOICE_RANK, default))


def paid(source: Source) -> list[Fact]:
    """A settled invoice: charged, covered by credit, free, or paid outside Stripe."""
    if mapping_of(source.object.get("lines")).get("has_more") is True:
        # Valued by some of its lines it would be worth too little; the links hold all the same.
        source.is_cut = True
        return [
            replace(fact, invoice=None) if isinstance(fact, MoneyObject) else fact
            for fact in _invoice(source, INVOICE_RANK["paid"])
        ]
    return _invoice(source, INVOICE_RANK["paid"])


def failed(source: Source) -> list[Fact]:
    """An invoice that an attempt to collect failed on; it may still be paid."""
    return [
        replace(fact, invoice=replace(fact.invoice, has_failed=True))
        if isinstance(fact, MoneyObject) and fact.invoice
        else fact
        for fact in reported(source)
    ]


def invoice_payment(source: Source) -> list[Fact]:
    """Which intent (or charge) paid which invoice."""
    invoice_id = source.required_reference("invoice")
    payer = _payer_id(mapping_of(source.object.get("payment")))
    if payer is None:
        source.note("payment names no intent and no charge; money from outside Stripe")
        return [MoneyObject(invoice_id, Kind.INVOICE)]
    return [MoneyObject(invoice_id, Kind.INVOICE), _payer(payer, invoice_id)]


def _invoice(source: Source, rank: int) -> list[Fact]:
    invoice_id = source.required_id()
    subscription_id = _subscription_id(source)
    customer_id = source.customer_id()
    facts: list[Fact] = [
        *source.customer_link(),
        MoneyObject(
            id=invoice_id,
            kind=Kind.INVOICE,
            customer_id=customer_id,
            subscription_id=subscription_id,
            claim=source.user_claim,
            created=source.created(),
            invoice=_details(source, rank),
        ),
    ]
    return [*facts, *(_payer(payer_id, invoice_id) for payer_id in _payer_ids(source))]


def _payer_ids(source: Source) -> list[str]:
    """Who paid: named by the invoice itself before 2025-03-31, since then in `payments`."""
    payments = list_of(source.object.get("payments"))
    named = [source.object, *(mapping_of(each.get("payment")) for each in payments)]
    return sorted({found for each in named if (found := _payer_id(each))})


def _payer_id(payment: Mapping[str, Any]) -> str | None:
    return reference_of(payment.get("payment_intent")) or reference_of(payment.get("charge"))


def _payer(payer_id: str, invoice_id: str) -> MoneyObject:
    kind = Kind.CHARGE if payer_id.startswith(("ch_", "py_")) else Kind.INTENT
    return MoneyObject(payer_id, kind, parents=frozenset({invoice_id}))


def _subscription_id(source: Source) -> str | None:
    return reference_of(source.subscription_details().get("subscription")) or source.reference(
        "subscription"
    )


def _details(source: Source, rank: int) -> InvoiceDetails:
    listed = mapping_of(source.object.get("lines")).get("data")
    if not isinstance(listed, list):
        raise source.missing("lines.data")
    if not all(isinstance(line, Mapping) for line in listed):
        raise source.missing("lines.data[]")
    plan_id = source.plan_id(mapping_of(source.subscription_details().get("metadata")))
    return InvoiceDetails(
        rank=rank,
        stamp=source.event.stamp,
        currency=source.currency(),
        amount_due_minor=source.amount("amount_due"),
        amount_paid_minor=source.amount("amount_paid"),
        starts_subscription=source.object.get("billing_reason") == "subscription_create",
        lines=tuple(_line(source, line, plan_id) for line in listed),
        receipt_url=text_of(source.object.get("hosted_invoice_url")),
    )


def _line(source: Source, line: Mapping[str, Any], invoice_plan_id: int | None) -> Line:
    amount = integer_of(line.get("amount"))
    if amount is None:
        raise source.missing("lines.data[].amount")
    parent = _line_parent(line)
    is_proration = bool(parent.get("proration") or line.get("proration"))
    from_subscription = bool(
        parent.get("subscription_item")
        or line.get("subscription_item")
        or line.get("type") == "subscription"
        # Since 2025-03-31 a classic proration is an invoice item that names its subscription.
        or (is_proration and parent.get("subscription"))
    )
    own_plan_id = source.plan_id(mapping_of(line.get("metadata"))) if from_subscription else None
    return Line(
        amount_minor=amount,
        quantity=source.quantity(line, "lines"),
        price_id=_price_id(line),
        is_proration=is_proration,
        from_subscription=from_subscription,
        plan_id=(invoice_plan_id if own_plan_id is None else own_plan_id)
        if from_subscription
        else None,
    )


def _line_parent(line: Mapping[str, Any]) -> Mapping[str, Any]:
    parent = mapping_of(line.get("parent"))
    return mapping_of(parent.get("subscription_item_details") or parent.get("invoice_item_details"))


def _price_id(line: Mapping[str, Any]) -> str | None:
    details = mapping_of(mapping_of(line.get("pricing")).get("price_details"))
    return (
        reference_of(details.get("price"))
        or reference_of(line.get("price"))
        or reference_of(line.get("plan"))
    )
