"""What the offline Stripe's pages see and are answered: values only, nothing that acts.

Money is in minor units of `currency`, moments are Unix seconds of the account's own clock.
"""

from dataclasses import dataclass
from typing import NamedTuple

from sandbox.simulate.versions import EVERY

NEWEST = EVERY[-1]


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout session as its page shows it; `success_url` has the session's id put in.

    `amount_minor` is the price; with `trial_days` nothing is due today. `interval` is `month` or
    `3 months`, and None for what does not renew. `status` is `open`, `complete` or `expired`.
    One of `mode` `setup` keeps a card and sells nothing.
    """

    session_id: str
    status: str
    mode: str
    email: str
    success_url: str
    cancel_url: str
    product_name: str = ""
    description: str = ""
    amount_minor: int = 0
    currency: str = ""
    interval: str | None = None
    trial_days: int = 0
    # What is due today, thing by thing and in all; what is taken off, and what that is called.
    things: tuple[tuple[str, int], ...] = ()
    due_minor: int = 0
    discount_minor: int = 0
    discount_name: str = ""
    takes_code: bool = False
    # What it takes, and what its button is to say where somebody said so.
    takes_card: bool = True
    takes_debit: bool = True
    submit_type: str | None = None


@dataclass(frozen=True, slots=True)
class Paid:
    """The payment is made, or on its way; the buyer goes on to `redirect_url`, or stays."""

    redirect_url: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The payment is refused; `message` is for the buyer, `code` is Stripe's decline code."""

    message: str
    code: str


@dataclass(frozen=True, slots=True)
class NeedsAuthentication:
    """The bank wants to hear from the buyer first: pay again with `authenticated=True`."""


@dataclass(frozen=True, slots=True)
class PlanOption:
    """A price that a subscription can be switched to."""

    price_id: str
    product_name: str
    amount_minor: int
    interval: str


@dataclass(frozen=True, slots=True)
class PortalSubscription:
    """A subscription as the portal shows it; `cancel_at` is set once an end is scheduled."""

    id: str
    product_name: str
    amount_minor: int
    currency: str
    interval: str
    status: str
    period_end: int
    cancel_at_period_end: bool
    cancel_at: int | None
    trial_end: int | None
    options: tuple[PlanOption, ...]


@dataclass(frozen=True, slots=True)
class PortalInvoice:
    """An invoice of the history, newest first; `payable` ones are open and can be paid now."""

    id: str
    number: str
    created: int
    amount_minor: int
    currency: str
    status: str
    payable: bool


@dataclass(frozen=True, slots=True)
class Portal:
    """A visit to the portal; `flow` is None or the page to open first.

    Flows: `subscription_cancel`, `subscription_update`, `payment_method_update`; the first two
    may name their subscription in `flow_subscription`. Once its task is done the buyer goes on to
    `after_flow`, or stays where it is None.
    """

    return_url: str
    email: str
    name: str
    flow: str | None
    flow_subscription: str | None
    subscriptions: tuple[PortalSubscription, ...]
    invoices: tuple[PortalInvoice, ...]
    card_last4: str | None
    after_flow: str | None = None
    # What the visit's configuration offers: `period_end`, `now`; the rest is offered or not.
    cancel_moments: tuple[str, ...] = ("period_end", "now")
    switches: bool = True
    takes_card: bool = True
    shows_invoices: bool = True


@dataclass(frozen=True, slots=True)
class Switches:
    """How webhooks are delivered; probabilities are from 0 to 1.

    A lost event is never posted and stays in the events list; with `same_second` the events of
    one sequence share their `created`. They are told in the shapes of `api_version`.
    """

    duplicates: float = 0.0
    shuffle: bool = False
    delay_seconds: float = 0.0
    loss: float = 0.0
    same_second: bool = False
    api_version: str = NEWEST.name


class ThinSwitches(NamedTuple):
    """How thin events are delivered, whatever becomes of snapshots; see `Switches`.

    `names_twin` says whether a thin event names its snapshot event.
    """

    duplicates: float = 0.0
    shuffle: bool = False
    delay_seconds: float = 0.0
    loss: float = 0.0
    names_twin: bool = True


ANSWERING = ("normal", "slow", "hang", "errors")


@dataclass(frozen=True, slots=True)
class Answering:
    """How calls of the API are answered: `kind` is one of `ANSWERING`.

    A slow answer comes after `slow_seconds`, an error has the HTTP `status` 500 or 429, which says
    how long to wait where `retry_after_seconds` is set. `until` is a Unix time of the wall clock
    after which all is normal again; 0 means until it is set anew.
    """

    kind: str = "normal"
    slow_seconds: float = 3.0
    status: int = 500
    retry_after_seconds: int | None = None
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class CustomerLine:
    """A customer as the dashboard lists it."""

    id: str
    name: str
    email: str
    created: int
    card_last4: str | None
    subscriptions: int


@dataclass(frozen=True, slots=True)
class PaymentLine:
    """A charge as the dashboard lists it; refundable while money is left on it."""

    charge_id: str
    customer_id: str | None
    created: int
    description: str
    amount_minor: int
    refunded_minor: int
    currency: str
    status: str
    disputed: bool

    @property
    def refundable(self) -> bool:
        """Whether some of it can still be given back."""
        return self.status == "succeeded" and self.refunded_minor < self.amount_minor


@dataclass(frozen=True, slots=True)
class DebitLine:
    """A bank debit that is on its way; see `World.finish_delayed`."""

    session_id: str
    amount_minor: int
    currency: str
    due: int


@dataclass(frozen=True, slots=True)
class SubscriptionLine:
    """A subscription as the dashboard lists it; `ends` is set once an end is scheduled."""

    id: str
    buyer: str
    product_name: str
    status: str
    period_end: int
    ends: int | None


@dataclass(frozen=True, slots=True)
class EventLine:
    """An event as the dashboard lists it.

    `delivery` is `waiting`, `delivered`, `failed` (given up) or `lost` (on purpose); `answer`
    says what the receiver last answered.
    """

    id: str
    type: str
    created: int
    delivery: str
    attempts: int
    answer: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """What the dashboard shows: everything newest first, at most 50 of a kind.

    With `fails_next` the bank refuses whatever it is asked for next.
    """

    now: int
    clock_ahead_seconds: int
    webhook_url: str
    customers: tuple[CustomerLine, ...]
    payments: tuple[PaymentLine, ...]
    debits: tuple[DebitLine, ...]
    subscriptions: tuple[SubscriptionLine, ...]
    events: tuple[EventLine, ...]
    switches: Switches
    answering: Answering
    fails_next: bool = False
