"""Invoices with their lines, in the shapes before and since API version 2025-03-31 (basil)."""

from collections.abc import Mapping
from typing import Any

from domain.decode.facts import Fact
from domain.decode.source import Source
from domain.json_values import (
    decimal_quantity_of,
    integer_of,
    list_of,
    mapping_of,
    reference_of,
    text_of,
    time_of,
)
from domain.payments.details import INVOICE_RANK, InvoiceDetails
from domain.payments.lines import Line
from domain.payments.objects import Kind, MoneyObject, kind_of

_DEFAULT_STATUS = {"invoice.voided": "void", "invoice.marked_uncollectible": "uncollectible"}


def reported(source: Source) -> list[Fact]:
    """An invoice in whatever status it says it has."""
    default = _DEFAULT_STATUS.get(source.event.type, "open")
    return _invoice(source, source.rank("status", INVOICE_RANK, default))


def paid(source: Source) -> list[Fact]:
    """An invoice that is paid: charged, covered by credit, free, or paid outside Stripe."""
    return _invoice(source, INVOICE_RANK["paid"])


def failed(source: Source) -> list[Fact]:
    """An invoice that an attempt to collect failed on; it may still be paid."""
    return [
        fact._replace(invoice=fact.invoice._replace(has_failed=True))
        if isinstance(fact, MoneyObject) and fact.invoice
        else fact
        for fact in reported(source)
    ]


def invoice_payment(source: Source) -> list[Fact]:
    """Which intent (or charge, or payment record) paid which invoice."""
    invoice_id = source.required_reference("invoice")
    payer = _payer_id(mapping_of(source.object.get("payment")))
    if payer is None:
        source.note("payment names nothing that we know; money from outside Stripe")
        return [MoneyObject(invoice_id, Kind.INVOICE)]
    return [MoneyObject(invoice_id, Kind.INVOICE), _payer(payer, invoice_id)]


def _invoice(source: Source, rank: int) -> list[Fact]:
    invoice_id = source.required_id()
    subscription_id = _subscription_id(source)
    customer_id = source.customer_id
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
    named = [source.object, *(mapping_of(named_by.get("payment")) for named_by in payments)]
    return sorted({payer_id for named_by in named if (payer_id := _payer_id(named_by))})


def _payer_id(payment: Mapping[str, Any]) -> str | None:
    for key in _PAYERS:
        if payer_id := reference_of(payment.get(key)):
            return payer_id
    return None


_PAYERS = ("payment_intent", "charge", "payment_record")


def _payer(payer_id: str, invoice_id: str) -> MoneyObject:
    return MoneyObject(payer_id, kind_of(payer_id), parents=frozenset({invoice_id}))


def _subscription_id(source: Source) -> str | None:
    return reference_of(source.subscription_details().get("subscription")) or source.reference(
        "subscription"
    )


def _details(source: Source, rank: int) -> InvoiceDetails:
    embedded = mapping_of(source.object.get("lines"))
    listed = embedded.get("data")
    if not isinstance(listed, list):
        raise source.missing("lines.data")
    if not all(isinstance(line, Mapping) for line in listed):
        raise source.missing("lines.data[]")
    plan_id = source.plan_id(mapping_of(source.subscription_details().get("metadata")))
    # Valued by some of its lines it would be worth too little, so it waits for the others.
    source.is_cut = embedded.get("has_more") is True
    return InvoiceDetails(
        rank=rank,
        stamp=source.event.stamp,
        currency=source.currency(),
        amount_due_minor=source.amount("amount_due"),
        amount_paid_minor=source.amount("amount_paid"),
        starts_subscription=source.object.get("billing_reason") == "subscription_create",
        lines=tuple(_line(source, line, plan_id) for line in listed),
        receipt_url=text_of(source.object.get("hosted_invoice_url")),
        total_minor=integer_of(source.object.get("total")),
        noted_minor=sum(
            integer_of(source.object.get(key)) or 0
            for key in ("pre_payment_credit_notes_amount", "post_payment_credit_notes_amount")
        ),
        is_cut=source.is_cut,
    )


def _line(source: Source, line: Mapping[str, Any], invoice_plan_id: int | None) -> Line:
    amount = integer_of(line.get("amount"))
    if amount is None:
        raise source.missing("lines.data[].amount")
    parent = _line_parent(line)
    is_proration = bool(parent.get("proration") or line.get("proration"))
    from_subscription = _is_of_subscription(line, parent, is_proration=is_proration)
    own_plan_id = source.plan_id(mapping_of(line.get("metadata"))) if from_subscription else None
    named_plan_id = invoice_plan_id if own_plan_id is None else own_plan_id
    period = mapping_of(line.get("period"))
    source.quantity(line, "lines")  # Notes one that is no number.
    price = mapping_of(line.get("price") or line.get("plan"))
    return Line(
        amount_minor=amount,
        quantity=decimal_quantity_of(line),
        price_id=_price_id(line),
        is_proration=is_proration,
        from_subscription=from_subscription,
        plan_id=named_plan_id if from_subscription else None,
        item_id=reference_of(parent.get("subscription_item"))
        or reference_of(line.get("subscription_item")),
        period_start=time_of(period.get("start")),
        period_end=time_of(period.get("end")),
        unit_amount_minor=_unit_amount_minor(line, price, is_proration=is_proration),
        is_metered=_is_metered(price),
        credits=_credits(line, parent),
        hides_discount=is_proration and _hides_discount(line),
    )


def _is_of_subscription(
    line: Mapping[str, Any], parent: Mapping[str, Any], *, is_proration: bool
) -> bool:
    return bool(
        parent.get("subscription_item")
        or line.get("subscription_item")
        or line.get("type") == "subscription"
        # Since 2025-03-31 a classic proration is an invoice item that names its subscription.
        or (is_proration and parent.get("subscription"))
    )


def _unit_amount_minor(
    line: Mapping[str, Any], price: Mapping[str, Any], *, is_proration: bool
) -> int | None:
    """What one unit costs: as the price says (before 2025-03-31), else as an ordinary line does.

    A proration's own unit amount is the proration's.
    """
    amount = integer_of(price.get("unit_amount", price.get("amount")))
    if amount is None and not is_proration:
        amount = integer_of(mapping_of(line.get("pricing")).get("unit_amount_decimal"))
    return amount


def _is_metered(price: Mapping[str, Any]) -> bool:
    """Whether the line says that its price is charged by use; since 2025-03-31 none does."""
    usage = mapping_of(price.get("recurring")).get("usage_type") or price.get("usage_type")
    return usage == "metered"


def _credits(line: Mapping[str, Any], parent: Mapping[str, Any]) -> bool:
    details = mapping_of(parent.get("proration_details") or line.get("proration_details"))
    return bool(details.get("credited_items"))


def _hides_discount(line: Mapping[str, Any]) -> bool:
    """Whether a discount applied that no figure shows: the amount is what was left of it."""
    shown = line.get("discount_amounts")
    amounts = shown if isinstance(shown, list) else []
    return bool(line.get("discounts")) and not any(
        mapping_of(entry).get("amount") for entry in amounts
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
