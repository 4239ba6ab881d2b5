"""What the simulated account remembers of each thing it sold: records, not Stripe objects.

Bills, checkout sessions and credit notes are here; `contract_records` has buyers and what they
subscribed to, `money_records` the money. `objects`, `invoice_objects` and `payment_objects` draw
a record in the shape of an API version. Records hold whole seconds and minor units. Never
imported by anything but the account.
"""

from dataclasses import dataclass, field
from typing import Any

from sandbox.simulate.contract_records import Customer, Line, Price, Subscription
from sandbox.simulate.coupons import Discount
from sandbox.simulate.money_records import Charge, Dispute, Intent, Refund
from sandbox.simulate.plans import Plan


@dataclass(slots=True)
class Invoice:
    """A bill. Amounts follow from its lines, its discount and the customer's balance."""

    id: str
    customer: Customer
    currency: str
    created: int
    number: str
    reason: str
    lines: list[Line]
    subscription: Subscription | None
    subscription_metadata: dict[str, str]
    starting_balance: int = 0
    ending_balance: int | None = None
    percent_off: int = 0
    status: str = "draft"
    amount_paid: int = 0
    attempts: int = 0
    next_attempt: int | None = None
    finalized_at: int | None = None
    paid_at: int | None = None
    voided_at: int | None = None
    intent: Intent | None = None
    payment_id: str = ""
    discount_id: str = ""
    discounts: tuple[Discount, ...] = ()
    uncollectible_at: int | None = None
    # How many lines an event shows before it cuts the list; None shows all.
    lists_cut: int | None = None
    tax: int = 0
    # What credit notes took off before it was paid, and gave back after.
    pre_credited: int = 0
    post_credited: int = 0
    credit_notes: int = 0
    # Paid by money that never passed through Stripe.
    paid_outside: bool = False
    # Whether a draft is finished by itself, and an open one collected; None where its kind decides.
    auto_advance: bool | None = None
    # Days until a bill that is sent falls due; None collects by the customer's card.
    days_until_due: int | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    # Fields as a request stated them; nothing acts on them.
    stated: dict[str, Any] = field(default_factory=dict)

    @property
    def subtotal(self) -> int:
        """Sum of the lines before discounts."""
        return sum(line.amount for line in self.lines)

    @property
    def discount(self) -> int:
        """Sum of the lines' discounts."""
        return sum(line.discount for line in self.lines)

    @property
    def total(self) -> int:
        """What the lines cost after discounts and with tax; negative when the seller owes."""
        return self.subtotal - self.discount + self.tax

    @property
    def amount_due(self) -> int:
        """What is to be collected after the customer's credit and credit notes."""
        return max(0, self.total + min(0, self.starting_balance) - self.pre_credited)


@dataclass(frozen=True, slots=True)
class Pick:
    """One thing in a one-time session's basket, and how many of it."""

    price: Price
    quantity: int
    line_id: str

    @property
    def amount(self) -> int:
        """What it costs before discounts and taxes."""
        return self.price.unit_minor * self.quantity


@dataclass(frozen=True, slots=True)
class Embedding:
    """A page inside the shop's own: where its buyer goes then, and whether at all."""

    return_url: str | None
    redirects: str = "always"


@dataclass(slots=True, kw_only=True)
class HostedSession:
    """A visit to hosted checkout, whatever it is for."""

    id: str
    customer: Customer
    mode: str
    created: int
    metadata: dict[str, str]
    reference: str | None = None
    expires_at: int = 0
    # When it expires on the account's clock, which may be ahead of the one that asked.
    deadline: int = 0
    success_url: str = ""
    cancel_url: str | None = None
    embedding: Embedding | None = None
    customer_given: bool = False
    customer_email: str | None = None
    status: str = "open"
    payment_status: str = "unpaid"
    # Fields as a request stated them; the page acts on `payment_method_types`, `submit_type`.
    stated: dict[str, Any] = field(default_factory=dict)

    @property
    def method_types(self) -> tuple[str, ...]:
        """What its page takes."""
        return tuple(self.stated.get("payment_method_types") or ("card", "sepa_debit"))


@dataclass(slots=True, kw_only=True)
class Session(HostedSession):
    """One that sells."""

    price: Price
    quantity: int
    amount_subtotal: int
    amount_total: int
    intent_metadata: dict[str, str] = field(default_factory=dict)
    # What its intent says as a request stated it: `description`, `setup_future_usage`.
    intent_stated: dict[str, Any] = field(default_factory=dict)
    contract_metadata: dict[str, str] = field(default_factory=dict)
    trial_days: int = 0
    # None leaves the billing mode of a contract to chance.
    flexible: bool | None = None
    promotion_codes: bool | None = None
    line_id: str = ""
    method_type: str = "card"
    invoicing: bool = False
    percent_off: int = 0
    discounts: tuple[Discount, ...] = ()
    intent: Intent | None = None
    invoice: Invoice | None = None
    subscription: Subscription | None = None
    payment_link: str | None = None
    # Several things in one session; empty where there is only `price` times `quantity`.
    basket: tuple[Pick, ...] = ()
    tax: int = 0
    promotion_code: str | None = None
    # The plan that its metadata names, where that is not what is sold.
    names: Plan | None = None
    manual_capture: bool = False

    @property
    def picks(self) -> tuple[Pick, ...]:
        """What is sold, one thing after the other."""
        return self.basket or (Pick(self.price, self.quantity, self.line_id),)

    @property
    def discount(self) -> int:
        """What was taken off before tax."""
        return self.amount_subtotal + self.tax - self.amount_total


@dataclass(slots=True)
class CreditNote:
    """A reduction of an invoice: before it was paid, or money given back after."""

    id: str
    invoice: Invoice
    number: str
    amount: int
    created: int
    line_id: str
    before_payment: bool
    refund: Refund | None = None
    balance_transaction: str | None = None
    outside: int = 0
    memo: str | None = None
    voided_at: int | None = None


Record = (
    Customer
    | Price
    | Subscription
    | Intent
    | Charge
    | Invoice
    | Session
    | Refund
    | Dispute
    | CreditNote
)
