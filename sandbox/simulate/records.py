"""What the simulated account remembers of each thing it sold: records, not Stripe objects.

`objects`, `invoice_objects` and `payment_objects` draw a record in the shape of an API version.
Records hold whole seconds and minor units. Never imported by anything but the account.
"""

from dataclasses import dataclass, field
from fractions import Fraction

from sandbox.simulate.coupons import Discount, Parts
from sandbox.simulate.plans import Plan
from sandbox.simulate.versions import ApiVersion


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
    # A second name of the same payer, and which of the two other objects carry from now on:
    # `customer`, `account` or `both`.
    account_id: str | None = None
    named_by: str = "customer"

    @property
    def reference(self) -> str | None:
        """What other objects carry under `customer`."""
        by_account = self.named_by == "account" and self.version.customer_accounts
        return None if self.guest or by_account else self.id

    @property
    def account_reference(self) -> str | None:
        """What other objects carry under `customer_account`."""
        shown = self.named_by != "customer" and self.version.customer_accounts
        return self.account_id if shown else None


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
    metered: bool = False

    @property
    def product(self) -> str:
        """Return the product's id, steady per plan."""
        return self.product_id or f"prod_plan{self.plan.id:05d}"


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a subscription; a metered one has no quantity, and `plan` None sells none."""

    id: str
    price: Price
    quantity: int | None
    plan: Plan | None = None


@dataclass(slots=True)
class Subscription:
    """A contract: its item, what else it bills, and what is taken off.

    `sold` is False where nothing tells which plan its item sells.
    """

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
    more: list[Item] = field(default_factory=list)
    # How many of those come before the item itself.
    place: int = 0
    sold: bool = True
    discounts: list[Discount] = field(default_factory=list)
    # How a flexible contract bills discounts of prorations: `included` or `itemized`.
    proration_discounts: str | None = None
    resumes_at: int | None = None
    # Whether collection was ever paused: then the row must tell, and tell the end of it.
    was_paused: bool = False
    # Intervals since the anchor, the last invoice's line for the item, and what will be billed.
    turns: int = 0
    billed: "Line | None" = None
    billed_on: str = ""
    pending: "list[Line]" = field(default_factory=list)
    # How many of its items, and of its invoices' lines, an event shows; None shows all.
    lists_cut: int | None = None
    # A quantity that is no whole number; `quantity` is cut.
    quantity_decimal: str | None = None

    @property
    def items(self) -> list[Item]:
        """Everything it bills, in the order of the list."""
        plan = self.price.plan if self.sold else None
        main = Item(self.item_id, self.price, self.quantity, plan)
        return [*self.more[: self.place], main, *self.more[self.place :]]


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
    # The discounts that it names, and what each took off; a hidden one took off 0, or says nothing.
    discount_ids: tuple[str, ...] = ()
    parts: Parts = ()
    # What the seller billed a proration for: this part of one interval, less than 0 for a credit.
    share: Fraction | None = None
    credited: tuple[str, tuple[str, ...]] | None = None
    quantity_decimal: str | None = None


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
