"""Invoice items: what is billed with a customer's next invoice, or with a draft."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.simulate.contract_records import Customer, Line, Subscription
from sandbox.simulate.discount_objects import line_discounts
from sandbox.simulate.invoice_objects import line_object
from sandbox.simulate.records import Invoice

Json = dict[str, Any]


@dataclass(slots=True)
class InvoiceItem:
    """A line that waits for its invoice; `invoice` is set once it is on one."""

    id: str
    customer: Customer
    line: Line
    created: int
    subscription: Subscription | None = None
    invoice: Invoice | None = None
    metadata: dict[str, str] = field(default_factory=dict)


def item_id_of(line: Line) -> str:
    """What a line's item is called, on invoices as well."""
    return f"ii_{line.id[3:]}"


def invoice_item_object(item: InvoiceItem) -> Json:
    """Draw an invoice item."""
    line, contract = item.line, item.subscription
    on = item.invoice or _blank(item)
    drawn = line_object(line, on)
    old = {"plan": None, "price": drawn.get("price"), "unit_amount": line.price.unit_minor}
    details = {
        "subscription": contract.id if contract else None,
        "subscription_item": line.item_id,
    }
    new: Json = {
        "customer_account": item.customer.account_reference,
        "net_amount": line.amount - line.discount,
        "parent": {"subscription_details": details, "type": "subscription_details"}
        if contract
        else None,
        "pricing": drawn.get("pricing"),
        "proration_details": None,
    }
    decimals = item.customer.version.decimal_quantities
    return {
        "id": item.id,
        "object": "invoiceitem",
        "amount": line.amount,
        "currency": line.price.currency,
        "customer": item.customer.id,
        "date": item.created,
        "description": line.description,
        "discountable": not line.proration,
        "discounts": line_discounts(line, on)["discounts"],
        "invoice": item.invoice.id if item.invoice else None,
        "livemode": False,
        "metadata": dict(item.metadata),
        "period": {"end": line.period_end, "start": line.period_start},
        "proration": line.proration,
        "quantity": line.quantity,
        **({"quantity_decimal": str(line.quantity)} if decimals else {}),
        "tax_rates": [],
        "test_clock": None,
        **(
            new if item.customer.version.basil else {**old, "subscription": details["subscription"]}
        ),
    }


def _blank(item: InvoiceItem) -> Invoice:
    # Lines are drawn as parts of an invoice, and this one has none yet.
    return Invoice(
        id="",
        customer=item.customer,
        currency=item.line.price.currency,
        created=item.created,
        number="",
        reason="manual",
        lines=[],
        subscription=item.subscription,
        subscription_metadata={},
    )
