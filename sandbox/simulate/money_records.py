"""Records of money that moved: intents, charges, refunds, disputes."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.simulate.contract_records import Customer


@dataclass(slots=True)
class Intent:
    """An attempt to collect an amount, with the charge of its last attempt."""

    id: str
    customer: Customer
    amount: int
    currency: str
    created: int
    method_type: str
    metadata: dict[str, str]
    description: str
    status: str = "requires_payment_method"
    invoice_id: str | None = None
    charge: "Charge | None" = None
    decline_code: str | None = None
    decline_message: str = "Your card was declined."
    # Taken only when the seller captures it; until then the money is held.
    manual: bool = False
    # A one-time session names its intent, whatever the version.
    named_by_session: bool = False
    # The card that it was tried with, where that is not the customer's own.
    method_id: str = ""
    card_brand: str = "visa"
    card_last4: str = ""
    canceled_at: int | None = None
    # Fields as a request stated them; nothing acts on them.
    stated: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Charge:
    """Money moved, or refused, for an intent; `sale_id` is the payment it stands for."""

    id: str
    intent: Intent
    created: int
    status: str
    sale_id: str = ""
    amount_refunded: int = 0
    disputed: bool = False


@dataclass(slots=True)
class Refund:
    """Money given back."""

    id: str
    charge: Charge
    amount: int
    created: int
    status: str
    reason: str | None = "requested_by_customer"
    failure_reason: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Dispute:
    """A bank's contest of a charge; an inquiry moves no money."""

    id: str
    charge: Charge
    amount: int
    created: int
    status: str
    inquiry: bool
    movements: list[tuple[str, int, int]] = field(default_factory=list)
    # The bank's own currency, where it is another than the payment's.
    foreign: str = ""

    @property
    def currency(self) -> str:
        """The currency its amount is in."""
        return self.foreign or self.charge.intent.currency
