"""Payment methods: cards as the account keeps them, each of one customer or of nobody yet."""

from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.simulate.contract_records import Customer
from sandbox.simulate.payment_objects import card_object
from sandbox.simulate.versions import NEW, ApiVersion
from sandbox.stripe.cards import DEBIT, Card, card_of

Json = dict[str, Any]


@dataclass(slots=True)
class Method:
    """A card; `detached` ones can be used no more."""

    id: str
    number: str
    created: int
    customer: Customer | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    # What the buyer said of who they are, as the request said it.
    billing: dict[str, Any] = field(default_factory=dict)
    detached: bool = False

    @property
    def card(self) -> Card:
        """How it behaves."""
        return card_of(self.number) or Card(self.number)


def stranger(version: ApiVersion = NEW[-1]) -> Customer:
    """Somebody of whom nothing is known."""
    return Customer("", "", version, "", "", "", "", 0, "", "", guest=True)


def method_object(method: Method) -> Json:
    """Draw a payment method."""
    card = method.card
    owner = replace(
        method.customer or stranger(),
        method_id=method.id,
        card_number=card.number,
        card_brand=card.brand,
        card_last4=card.last4,
    )
    drawn = card_object(owner, method.created)
    details = drawn["billing_details"]
    if method.billing:
        details = details | method.billing
        details["address"] = drawn["billing_details"]["address"] | method.billing.get("address", {})
    drawn |= {
        "billing_details": details,
        "customer": method.customer.id if method.customer else None,
        "metadata": dict(method.metadata),
    }
    if card.number == DEBIT:
        del drawn["card"]
        drawn |= {"type": DEBIT, "sepa_debit": _DEBIT | {"last4": card.last4}}
    return drawn


_DEBIT: Json = {
    "bank_code": "37040044",
    "branch_code": None,
    "country": "DE",
    "fingerprint": "OfflineDebit0001",
    "generated_from": {"charge": None, "setup_attempt": None},
}
