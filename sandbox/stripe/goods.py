"""What the account offers: products and prices, and the customers who may buy them.

Keeps every record by its id. Pure of I/O; whoever calls has checked what is asked.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from sandbox.simulate.account import Account
from sandbox.simulate.contract_records import Customer, Price, Scheme, Subscription
from sandbox.simulate.engine import Event, changed
from sandbox.simulate.expected import NothingExpected
from sandbox.simulate.objects import Json, customer_object, price_object
from sandbox.simulate.plans import Plan
from sandbox.simulate.records import HostedSession, Record
from sandbox.simulate.versions import NEW, ApiVersion
from sandbox.stripe.billing.items import InvoiceItem
from sandbox.stripe.billing.meters import Meter
from sandbox.stripe.billing.rates import Rate
from sandbox.stripe.billing.schedules import Schedule
from sandbox.stripe.clocks import Clock
from sandbox.stripe.offers import Code, Offer, code_object, offer_object
from sandbox.stripe.owed import BalanceMove, TaxNumber
from sandbox.stripe.paying.methods import Method
from sandbox.stripe.paying.setups import Setup
from sandbox.stripe.portals import DEFAULT_ID, PortalConfiguration

NEWEST = NEW[-1]
PER_UNIT = Scheme()
T = TypeVar("T")


class Period(NamedTuple):
    """How often something renews: every `times` of `day`, `week`, `month` or `year`."""

    interval: str
    times: int = 1


@dataclass(slots=True)
class Product:
    """Something that is sold, at one price or several."""

    id: str
    name: str
    created: int
    updated: int
    description: str | None = None
    active: bool = True
    metadata: dict[str, str] = field(default_factory=dict)
    default_price: str | None = None
    # Fields as a request stated them; nothing acts on them.
    stated: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Visit:
    """A customer's visit to the portal; `flow` names the page it opens.

    `after_flow` is where it leads once that page's task is done; None stays in the portal.
    """

    id: str
    customer: Customer
    created: int
    return_url: str | None
    flow: str | None = None
    flow_subscription: str | None = None
    after_flow: str | None = None
    configuration_id: str = DEFAULT_ID


Sold = Record | HostedSession | Product | Visit | Offer | Code
Owed = BalanceMove | TaxNumber | Meter
Kept = Sold | Method | Setup | InvoiceItem | Rate | Clock | Schedule | PortalConfiguration | Owed
Words = Mapping[str, str]


def _plan(name: str, period: Period | None, currency: str, unit_minor: int) -> Plan:
    # What a plan is called and costs; its tokens are nothing that Stripe knows.
    interval, count = period or (None, 1)
    return Plan(0, "", name, 0, interval, {currency: unit_minor}, interval_count=count)


def product_object(product: Product) -> Json:
    """Draw a product."""
    return {
        "id": product.id,
        "object": "product",
        "active": product.active,
        "created": product.created,
        "default_price": product.default_price,
        "description": product.description,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": dict(product.metadata),
        "name": product.name,
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": None,
        "updated": product.updated,
        "url": None,
        **product.stated,
    }


class Goods(Account):
    """Products, prices and customers, as made through the API."""

    # Who draws events in further versions; set while something is done to the account.
    also_told: Callable[[Event, object, Customer | None], None] | None = None

    def __init__(self, *, run: str, starts_at: int) -> None:
        super().__init__(seed=0, run=run, starts_at=starts_at)
        self.expected = NothingExpected()
        self.records: dict[str, Kept] = {}

    def __setstate__(self, state: dict[str, object]) -> None:
        # Release 0.2.0 saved it, and what is expected of the account, under another name.
        state.pop("books", None)
        self.__dict__.update({"thin_only": [], **state}, expected=NothingExpected())

    @property
    def account_id(self) -> str:
        """The account's own id, for as long as its file is."""
        return f"acct_1{self.run[:15]}"

    def speak(self, version: ApiVersion) -> None:
        """Tell events in the shapes of a version from now on; what is told already stays."""
        self.version = version
        for customer in self.customers.values():
            customer.version = version

    def emit(
        self,
        kind: str,
        drawn: Json,
        customer: Customer | None,
        previous: Json | None = None,
        *,
        by_stripe: bool = False,
    ) -> Event:
        """Record an event, also in the versions of further endpoints."""
        event = super().emit(kind, drawn, customer, previous, by_stripe=by_stripe)
        if self.also_told is not None:
            self.also_told(event, self.records.get(str(drawn.get("id"))), customer)
        return event

    def keep(self, record: Kept) -> None:
        """Remember a record by its id."""
        self.records[record.id] = record

    def every(self, kind: type[T]) -> Iterator[T]:
        """Every record of a kind, newest first."""
        return (one for one in reversed(self.records.values()) if isinstance(one, kind))

    def get(self, kind: type[T], record_id: str) -> T | None:
        """The record of that id, where it is of that kind."""
        record = self.records.get(record_id)
        return record if isinstance(record, kind) else None

    def add_product(
        self,
        name: str,
        *,
        product_id: str = "",
        description: str | None,
        metadata: Words,
        stated: Mapping[str, Any] | None = None,
    ) -> Product:
        """Make a product, under an id of its own or a given one."""
        product = Product(
            id=product_id or self.new_id("prod", 14),
            name=name,
            created=self.now,
            updated=self.now,
            description=description,
            metadata=dict(metadata),
            stated=dict(stated or {}),
        )
        self.keep(product)
        self.emit("product.created", product_object(product), None)
        return product

    def change_product(self, product: Product, changes: Mapping[str, object]) -> None:
        """Change fields of a product by name."""
        before = product_object(product)
        product.updated = self.now
        for name, value in changes.items():
            setattr(product, name, value)
        after = product_object(product)
        self.emit("product.updated", after, None, changed(before, after))

    def add_price(
        self,
        product: Product,
        *,
        currency: str,
        unit_minor: int,
        period: Period | None,
        lookup_key: str | None = None,
        nickname: str | None = None,
        metadata: Words | None = None,
        active: bool = True,
        metered: bool = False,
        scheme: Scheme = PER_UNIT,
    ) -> Price:
        """Make a price; `period` None sells once."""
        price = Price(
            id=self.new_id("price"),
            plan=_plan(product.name, period, currency, unit_minor),
            currency=currency,
            unit_minor=unit_minor,
            known=True,
            created=self.now,
            product_id=product.id,
            lookup_key=lookup_key,
            nickname=nickname,
            metadata=dict(metadata or {}),
            active=active,
            metered=metered,
            scheme=scheme,
        )
        self.keep(price)
        self.emit("price.created", price_object(price), None)
        return price

    def change_price(self, price: Price, changes: Mapping[str, object]) -> None:
        """Change what may change of a price, by field name."""
        before = price_object(price)
        for name, value in changes.items():
            setattr(price, name, value)
        after = price_object(price)
        self.emit("price.updated", after, None, changed(before, after))

    def offer(self, offer: Offer) -> None:
        """Put a coupon on offer."""
        self.keep(offer)
        self.emit("coupon.created", offer_object(offer), None)

    def promise(self, code: Code) -> None:
        """Let buyers type a promotion code."""
        self.keep(code)
        self.emit("promotion_code.created", code_object(code, self.version), None)

    def add_customer(
        self,
        *,
        name: str = "",
        email: str = "",
        metadata: Words | None = None,
        description: str | None = None,
        phone: str | None = None,
        guest: bool = False,
    ) -> Customer:
        """Make a customer; `announce` tells of it, at once or with the first purchase."""
        own_metadata = dict(metadata or {})
        customer = Customer(
            id=self.new_id("cus", 14),
            user_id=own_metadata.get("user_id", ""),
            version=self.version,
            currency="",
            name=name,
            email=email,
            country="",
            created=self.now,
            method_id="",
            card_last4="",
            guest=guest,
            linked=False,
            metadata=own_metadata,
            description=description,
            phone=phone,
        )
        self.customers[customer.id] = customer
        self.keep(customer)
        return customer

    def change_customer(self, customer: Customer, changes: Mapping[str, object]) -> None:
        """Change fields of a customer by name."""
        before = customer_object(customer)
        for name, value in changes.items():
            setattr(customer, name, value)
        customer.user_id = (customer.metadata or {}).get("user_id", "")
        after = customer_object(customer)
        if after != before:
            self.emit("customer.updated", after, customer, changed(before, after))

    def remove_customer(self, customer: Customer) -> None:
        """Delete a customer, which ends what still runs."""
        for subscription in self.every(Subscription):
            if subscription.customer is customer and subscription.ended_at is None:
                self.end(subscription, "cancellation_requested")
        customer.deleted = True
        self.emit("customer.deleted", customer_object(customer), customer)
