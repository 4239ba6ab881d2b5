"""What every sale needs: the account's clock, its ids, its customers and its event log.

Pure but for its own memory: seeded, no I/O, no wall clock. The same seed, run and actions give the
same bytes. Knows nothing of HTTP or signatures.
"""

import hashlib
import random
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from sandbox.simulate import ids
from sandbox.simulate.contract_records import Customer, Price
from sandbox.simulate.expected import ExpectedAccount
from sandbox.simulate.objects import Json, customer_object
from sandbox.simulate.plans import Plan
from sandbox.simulate.records import Invoice, Record, Session
from sandbox.simulate.versions import NEW, ApiVersion, is_told

_NAMES = ("Ada Okafor", "Jürgen Weiß", "Zoë Laurent", "佐藤 花子", "Liam O'Neill", "Noor Haddad")
_DAYS = {"day": 1, "week": 7}
_COUNTRIES = {"usd": "US", "eur": "DE", "jpy": "JP"}


@dataclass(frozen=True, slots=True)
class Event:
    """An event as it happened; `body` is what Stripe would post, `created` whole seconds.

    One that is `thin_only` is of a type that the version of the endpoint does not have: only a
    thin event tells of it.
    """

    id: str
    type: str
    created: int
    customer_id: str
    user_id: str
    body: bytes
    thin_only: bool = False

    @property
    def payload(self) -> Json:
        """A fresh copy of the event as an object."""
        loaded: Json = orjson.loads(self.body)
        return loaded


def after_interval(start: int, interval: str, count: int = 1) -> int:
    """Return the same time `count` intervals later, on the last day where there is no such day.

    A negative count goes back.
    """
    if interval in _DAYS:
        return start + count * _DAYS[interval] * 86400
    then = datetime.fromtimestamp(start, UTC)
    months = then.month - 1 + count * (12 if interval == "year" else 1)
    year, month = then.year + months // 12, months % 12 + 1
    day = min(then.day, monthrange(year, month)[1])
    return int(then.replace(year=year, month=month, day=day).timestamp())


def changed(before: Json, after: Json) -> Json:
    """Return Stripe's `previous_attributes`: old values of changed keys, arrays in full."""
    previous: Json = {}
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        nested = isinstance(old, dict) and isinstance(new, dict)
        previous[key] = changed(old, new) if nested else old  # type: ignore[arg-type]
    return previous


class Engine:
    """The account's memory; `now` is its clock in Unix seconds, moved by what happens."""

    # What every id says of whose making it is; the offline Stripe's ids say nothing.
    id_mark = ""

    def __init__(self, *, seed: int, run: str, starts_at: int) -> None:
        self.now = starts_at
        self.run = run
        self.events: list[Event] = []
        # What happened beside these and no endpoint of the version is told.
        self.thin_only: list[Event] = []
        # Whether somebody is told of these, so that every payment finds its invoice.
        self.links_are_told = False
        self.customers: dict[str, Customer] = {}
        self.invoices: dict[str, Invoice] = {}
        self.sessions: dict[str, Session] = {}
        self.expected = ExpectedAccount()
        # What caused the events of now: an API request's id and its idempotency key.
        self.cause: tuple[str, str | None] | None = None
        # What an envelope says of whose account its event is of: ours says nothing.
        self.whose: Json = {}
        # What the endpoint speaks of what belongs to no customer.
        self.version = NEW[-1]
        # Ids must differ between runs, what happens must not: two sources of chance.
        # Neither guards anything, both must repeat, so `random` is right.
        self.chance = random.Random(seed)  # noqa: S311
        self._ids = random.Random(f"{seed}:{run}")  # noqa: S311
        self._prices: dict[tuple[int, str, bool], Price] = {}

    def tell_before(self, last: int, first: int) -> None:
        """Move the events from number `first` on to before number `last`; their times stay."""
        self.events[last:] = self.events[first:] + self.events[last:first]

    def keep(self, record: Record) -> None:
        """Remember what may be asked for by its id; here nothing ever is."""

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.now += seconds

    def until(self, moment: int) -> None:
        """Let time pass until a moment; time never runs backwards."""
        self.now = max(self.now, moment)

    def start_over(self, moment: int) -> None:
        """Set the clock for another buyer, whose time is their own."""
        self.now = moment

    def draw_ids_from(self, chance: random.Random) -> None:
        """Take fresh ids from another source of chance."""
        self._ids = chance

    def new_id(self, prefix: str, length: int = 24) -> str:
        """Return a fresh id such as `in_1Ab…`; what is made later has a greater one."""
        told = ids.told(prefix, length, self.now, self.run)
        rest = self._ids.choices(ids.LETTERS, k=length - 1 - len(told))
        return f"{prefix}_1{self.id_mark}{told}{''.join(rest)}"

    def customer(
        self,
        user_id: str,
        version: ApiVersion,
        *,
        currency: str = "usd",
        linked: bool = True,
        guest: bool = False,
    ) -> Customer:
        """Meet a buyer; their Stripe customer is announced with the first thing they buy."""
        name = self.chance.choice(_NAMES)
        customer = Customer(
            id=self.new_id("cus", 14),
            user_id=user_id,
            version=version,
            currency=currency,
            name=name,
            email=f"{user_id}@example.com",
            country=_COUNTRIES.get(currency, "US"),
            created=self.now,
            method_id=self.new_id("pm"),
            card_last4=f"{self.chance.randrange(10000):04d}",
            guest=guest,
            linked=linked,
        )
        self.customers[customer.id] = customer
        self.expected.met(user_id)
        return customer

    def announce(self, customer: Customer) -> None:
        """Create the Stripe customer, once, unless the buyer is a guest."""
        if customer.guest or customer.announced:
            return
        customer.announced = True
        customer.created = self.now
        self.emit("customer.created", customer_object(customer), customer)

    def price(self, plan: Plan, currency: str, *, inline: bool = False) -> Price:
        """Return the price to sell a plan at: the catalogue's id where it has one."""
        is_in_catalogue = currency in plan.price_ids and not inline
        key = (plan.id, currency, is_in_catalogue)
        if key not in self._prices:
            self._prices[key] = Price(
                id=plan.price_ids[currency] if is_in_catalogue else self.new_id("price"),
                plan=plan,
                currency=currency,
                unit_minor=plan.prices[currency],
                known=is_in_catalogue,
                created=self.now,
            )
        return self._prices[key]

    def emit(
        self,
        kind: str,
        drawn: Json,
        customer: Customer | None,
        previous: Json | None = None,
        *,
        by_stripe: bool = False,
    ) -> Event:
        """Record an event about an object as drawn now; `by_stripe` means no API call caused it.

        `customer` is None for what belongs to nobody, such as a product.
        """
        version = customer.version if customer else self.version
        thin_only = not is_told(kind, version)
        event_id = self._unsaid_id(kind, drawn) if thin_only else self.new_id("evt")
        data: dict[str, Any] = {"object": drawn}
        if previous is not None:
            data["previous_attributes"] = previous
        request, key = (None, None) if by_stripe else self.cause or (self.new_id("req", 14), None)
        envelope: Json = {
            "id": event_id,
            "object": "event",
            "api_version": version.name,
            "created": self.now,
            "data": data,
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": request, "idempotency_key": key},
            "type": kind,
            **self.whose,
        }
        body = orjson.dumps(envelope, option=orjson.OPT_INDENT_2)
        whose = (customer.id, customer.user_id) if customer else ("", "")
        event = Event(event_id, kind, self.now, *whose, body, thin_only)
        (self.thin_only if thin_only else self.events).append(event)
        return event

    def _unsaid_id(self, kind: str, drawn: Json) -> str:
        # Made of what it tells: the ids of what is told stay as they are without it.
        what = f"{self.run}:{kind}:{drawn['id']}:{self.now}"
        return f"evt_1{ids.dated(self.now)}{hashlib.sha256(what.encode()).hexdigest()[:18]}"
