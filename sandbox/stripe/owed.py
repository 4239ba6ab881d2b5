"""What a customer's balance went through, and a customer's tax numbers."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.simulate.contract_records import Customer

Json = dict[str, Any]


@dataclass(slots=True)
class BalanceMove:
    """A change of a customer's balance; less than nothing is credit."""

    id: str
    created: int
    customer: Customer
    amount: int
    currency: str
    ending: int
    kind: str
    description: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    invoice_id: str | None = None
    note_id: str | None = None


@dataclass(slots=True)
class TaxNumber:
    """A tax number of a customer's; nobody verifies it."""

    id: str
    created: int
    customer: Customer
    kind: str
    value: str


def move_object(move: BalanceMove) -> Json:
    """Draw a change of a customer's balance."""
    return {
        "id": move.id,
        "object": "customer_balance_transaction",
        "amount": move.amount,
        "checkout_session": None,
        "created": move.created,
        "credit_note": move.note_id,
        "currency": move.currency,
        "customer": move.customer.id,
        "customer_account": move.customer.account_reference,
        "description": move.description,
        "ending_balance": move.ending,
        "invoice": move.invoice_id,
        "livemode": False,
        "metadata": dict(move.metadata),
        "type": move.kind,
    }


def tax_number_object(number: TaxNumber) -> Json:
    """Draw a tax number."""
    # Those of the whole union say their country themselves.
    place = number.value if number.kind.startswith("eu_") else number.kind
    customer, account = number.customer.id, number.customer.account_reference
    owner = {"customer": customer, "customer_account": account, "type": "customer"}
    return {
        "id": number.id,
        "object": "tax_id",
        "country": place[:2].upper(),
        "created": number.created,
        "customer": customer,
        "customer_account": account,
        "livemode": False,
        "owner": owner,
        "type": number.kind,
        "value": number.value,
        "verification": {
            "status": "unavailable",
            "verified_address": None,
            "verified_name": None,
        },
    }
