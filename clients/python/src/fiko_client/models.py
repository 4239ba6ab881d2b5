"""What the API answers, as records.

Fields that a later version of the API adds are passed over, so that an older client keeps working.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal, TypeVar

from fiko_client.errors import UnexpectedAnswer

PlanType = Literal["full", "token"]


class Record:
    """A record that is read from an answer."""

    __slots__ = ()


AnyRecord = TypeVar("AnyRecord", bound=Record)


def read(kind: type[AnyRecord], told: object) -> AnyRecord:
    """One record from the JSON of an answer."""
    if not isinstance(told, Mapping):
        raise UnexpectedAnswer(f"There is no {kind.__name__} in the answer.")
    values: dict[str, object] = {}
    for each in fields(kind):  # type: ignore[arg-type]  # Every record is a dataclass.
        if each.name in told:
            convert: Callable[[Any], object] = each.metadata.get("convert", _as_it_is)
            values[each.name] = convert(told[each.name])
    try:
        return kind(**values)
    except TypeError as error:
        raise UnexpectedAnswer(f"A field of {kind.__name__} is missing: {error}") from error


def moment_of(told: object) -> datetime | None:
    """A time of the API."""
    if told is None:
        return None
    try:
        return datetime.fromisoformat(str(told))
    except ValueError as error:
        raise UnexpectedAnswer(f"{told!r} is no time.") from error


def _as_it_is(told: object) -> object:
    return told


def one(kind: type[AnyRecord]) -> Callable[[object], AnyRecord]:
    """Reads a record within a record."""
    return lambda told: read(kind, told)


def many(kind: type[AnyRecord]) -> Callable[[Sequence[object] | None], tuple[AnyRecord, ...]]:
    """Reads a list of records within a record."""
    return lambda told: tuple(read(kind, each) for each in told or ())


MOMENT = {"convert": moment_of}


@dataclass(frozen=True, slots=True)
class Balance(Record):
    """A user's tokens; below zero after a refund of tokens that were spent."""

    balance: int
    updated_at: datetime | None = field(default=None, metadata=MOMENT)


@dataclass(frozen=True, slots=True)
class LedgerEntry(Record):
    """One line of the ledger: by how much the balance moved, and why."""

    id: int
    delta: int
    kind: str
    balance_after: int
    payment_id: str | None = None
    event_id: str | None = None
    reason: str = ""
    created_at: datetime | None = field(default=None, metadata=MOMENT)


@dataclass(frozen=True, slots=True)
class Plan(Record):
    """A plan or a token package on sale. Money is in minor units."""

    id: int
    plan_type: PlanType
    name: str
    tokens: int
    description: str = ""
    interval: str | None = None
    interval_count: int | None = None
    currency: str | None = None
    amount: int | None = None
    prices: Mapping[str, int] = field(default_factory=dict)
    trial_days: int = 0
    trial_tokens: int = 0


@dataclass(frozen=True, slots=True)
class SubscriptionItem(Record):
    """One thing subscribed to."""

    plan_id: int | None = None
    quantity: int | None = None


@dataclass(frozen=True, slots=True)
class Subscription(Record):
    """A subscription as Stripe last reported it."""

    id: str
    status: str
    is_active: bool
    plan_id: int | None = None
    plan_type: PlanType | None = None
    quantity: int | None = None
    items: tuple[SubscriptionItem, ...] = field(
        default=(), metadata={"convert": many(SubscriptionItem)}
    )
    current_period_start: datetime | None = field(default=None, metadata=MOMENT)
    current_period_end: datetime | None = field(default=None, metadata=MOMENT)
    cancel_at_period_end: bool = False
    cancel_at: datetime | None = field(default=None, metadata=MOMENT)
    canceled_at: datetime | None = field(default=None, metadata=MOMENT)
    trial_end: datetime | None = field(default=None, metadata=MOMENT)
    pause_collection: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Checkout(Record):
    """Where to send a buyer."""

    session_id: str
    url: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Portal(Record):
    """Where to send a customer."""

    url: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Spooled(Record):
    """A spend that is on disk, and will be in the ledger once the service is back."""

    user: str
    key: str
    amount: int
    reason: str


@dataclass(frozen=True, slots=True)
class Message(Record):
    """A webhook of ours: the whole state of what it speaks of, with a version that only grows."""

    type: str
    user: str
    version: int
    data: Mapping[str, Any]
    created_at: datetime | None = field(default=None, metadata=MOMENT)
