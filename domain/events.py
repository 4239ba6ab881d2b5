"""What the receiver hands on and what a worker reads: deliveries and events, as values."""

from enum import StrEnum
from typing import Any, NamedTuple


class EventStatus(StrEnum):
    """Where an event stands in the inbox."""

    RECEIVED = "received"
    APPLIED = "applied"
    IGNORED = "ignored"
    FAILED = "failed"
    DEAD = "dead"


class Delivery(NamedTuple):
    """A verified event on its way to a worker, before anyone has looked inside.

    `body` is what Stripe signed, byte for byte, compressed with zstd. `created` is Stripe's
    clock in whole seconds, `received_ms` ours in milliseconds since 1970. `request_id` names the
    request that brought it, in the receiver's log; empty where nobody remembers. `signature` is the
    header that Stripe signed the body with, as it came; empty where the body came otherwise.
    """

    event_id: str
    event_type: str
    created: int
    received_ms: int
    body: bytes
    request_id: str = ""
    signature: str = ""


class Stamp(NamedTuple):
    """When something was said: an order that two different events never share.

    Contract §4: the earliest claim stands, by `created`, then by event id.
    """

    created: int
    event_id: str


class Event(NamedTuple):
    """One Stripe event, parsed: the shape every decoder reads.

    `object` is `data.object`, `previous_attributes` the old values of what a `*.updated` event
    changed (empty elsewhere). `api_version` is the version that shaped both. `account` is the
    Stripe account that the envelope names; events of our own account name none.
    """

    id: str
    type: str
    created: int
    api_version: str
    livemode: bool | None
    object: dict[str, Any]
    previous_attributes: dict[str, Any]
    account: str | None = None

    @property
    def stamp(self) -> Stamp:
        """When this event happened, in a total order."""
        return Stamp(self.created, self.id)


class Notice(NamedTuple):
    """A thin event: that something happened to an object, which Stripe is to be asked for.

    `type` is that of the snapshot event (`invoice.paid`), also where we do not handle it;
    `created_ms` are milliseconds since 1970. `object_id` and `path`, where the object is answered,
    are None where it speaks of none. `twin_id` is the snapshot event of the same change, where it
    is named. `account` is as in `Event`.
    """

    id: str
    type: str
    created_ms: int
    livemode: bool | None
    account: str | None = None
    object_id: str | None = None
    path: str | None = None
    twin_id: str | None = None

    @property
    def created(self) -> int:
        """When it happened, in whole seconds."""
        return self.created_ms // 1_000
