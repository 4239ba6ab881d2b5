"""Records of buyers and what they subscribed to: customers, prices, subscriptions, their lines."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

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
    # Whether a request made its card the default, before any invoice did.
    has_default: bool = False
    # Fields as a request stated them; nothing acts on them.
    stated: dict[str, Any] = field(default_factory=dict)

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


@dataclass(frozen=True, slots=True)
class Tier:
    """What units up to some number cost, as decimals of minor units; the last has no end."""

    up_to: int | None
    unit: str | None
    flat: str | None


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a price comes to its amount where that is not so much a unit."""

    tiers: tuple[Tier, ...] = ()
    mode: str | None = None
    meter: str | None = None


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
    scheme: Scheme = Scheme()
    # As it is sold in other currencies, by currency; each of these names it as its `base`.
    options: dict[str, "Price"] = field(default_factory=dict)
    base: "Price | None" = None

    @property
    def listed(self) -> "Price":
        """The price that others see, in whatever currency something was sold at it."""
        return self.base or self

    def sold_in(self, currency: str) -> "Price | None":
        """The price as it is sold in a currency; None where it is not."""
        return self if self.currency == currency else self.options.get(currency)

    @property
    def sellable(self) -> bool:
        """Whether it says what so many cost: by tiers or use that is only known later."""
        return not (self.metered or self.scheme.tiers)

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
    # Fields as a request stated them; nothing acts on them.
    stated: dict[str, Any] = field(default_factory=dict)

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
