"""What the simulated account remembers of each thing it sold: records, not Stripe objects.

`objects`, `invoice_objects` and `payment_objects` draw a record in the shape of an API version.
Records hold whole seconds and minor units. Never imported by anything but the account.
"""

from dataclasses import dataclass, field

from dev.simulate.plans import Plan
from dev.simulate.versions import ApiVersion


@dataclass(slots=True)
class Customer:
    """A buyer; `guest` buys without a Stripe customer, `linked` carries the user in metadata."""

    id: str
    user_id: str
    version: ApiVersion
    currency: str
    name: str
    email: str
    country: str
    created: int
    method_id: str
    card_last4: str
    guest: bool = False
    linked: bool = True
    announced: bool = False
    deleted: bool = False
    balance_minor: int = 0
    invoices: int = 0
    # What only a customer made through an API has; None means that `linked` decides.
    metadata: dict[str, str] | None = None
    description: str | None = None
    phone: str | None = None
    card_number: str = ""
    card_brand: str = "visa"

    @property
    def reference(self) -> str | None:
        """What other objects carry under `customer`."""
        return None if self.guest else self.id


@dataclass(slots=True)
class Price:
    """A price as sold; `known` tells whether the catalogue has its id.

    One made through an API has a `product_id`, and a plan that is nothing but its name and amount.
    """

    id: str
    plan: Plan
    currency: str
    unit_minor: int
    known: bool
    created: int
    product_id: str = ""
    lookup_key: str | None = None
    nickname: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    active: bool = True

    @property
    def product(self) -> str:
        """Return the product's id, steady per plan."""
        return self.product_id or f"prod_plan{self.plan.id:05d}"


@dataclass(slots=True)
class Subscription:
    """A contract with one item."""

    id: str
    item_id: str
    customer: Customer
    price: Price
    quantity: int
    created: int
    period_start: int
    period_end: int
    status: str
    flexible: bool
    metadata: dict[str, str]
    method_id: str | None = None
    latest_invoice: str | None = None
    cancel_at_period_end: bool = False
    cancel_at: int | None = None
    canceled_at: int | None = None
    ended_at: int | None = None
    cancel_reason: str | None = None
    trial_start: int | None = None
    trial_end: int | None = None
    pause_behavior: str | None = None
    paused_at: int | None = None
    anchor: int | None = None
    # The period, or trial, whose end has been announced.
    announced_end: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an invoice; `plan` is None for a fee the catalogue does not know."""

    id: str
    amount: int
    description: str
    price: Price
    plan: Plan | None
    quantity: int
    period_start: int
    period_end: int
    proration: bool = False
    trial: bool = False
    item_id: str | None = None
    discount: int = 0


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
        """What the lines cost after discounts; negative when the seller owes."""
        return self.subtotal - self.discount

    @property
    def amount_due(self) -> int:
        """What is to be collected after the customer's credit."""
        return max(0, self.total + min(0, self.starting_balance))


@dataclass(slots=True)
class Session:
    """A visit to hosted checkout."""

    id: str
    customer: Customer
    mode: str
    price: Price
    quantity: int
    created: int
    metadata: dict[str, str]
    amount_subtotal: int
    amount_total: int
    reference: str | None = None
    intent_metadata: dict[str, str] = field(default_factory=dict)
    contract_metadata: dict[str, str] = field(default_factory=dict)
    trial_days: int = 0
    # None leaves the billing mode of a contract to chance.
    flexible: bool | None = None
    expires_at: int = 0
    # When it expires on the account's clock, which may be ahead of the one that asked.
    deadline: int = 0
    success_url: str = ""
    cancel_url: str | None = None
    customer_given: bool = False
    customer_email: str | None = None
    promotion_codes: bool | None = None
    line_id: str = ""
    method_type: str = "card"
    status: str = "open"
    payment_status: str = "unpaid"
    invoicing: bool = False
    percent_off: int = 0
    intent: Intent | None = None
    invoice: Invoice | None = None
    subscription: Subscription | None = None


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


Record = Customer | Price | Subscription | Intent | Charge | Invoice | Session | Refund | Dispute
