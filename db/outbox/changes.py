"""Which messages a change calls for: what users saw before, against what they see now."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

import db.access.shown
from db.access.states import Changed
from db.outbox import shown
from db.outbox.messages import Message, MessageType
from db.queries import ShownSubscription
from domain.catalogue.plans import Catalogue
from domain.decode.facts import Fact
from domain.json_values import mapping_of, text_of
from domain.payments.claims import Customer
from domain.payments.objects import MoneyObject
from domain.subscriptions.states import Version
from domain.subscriptions.versions import Subscription
from domain.working_set import Derived, Touched, WorkingSet

LOW_BALANCE = 0.1
TRIAL_ENDING = "customer.subscription.trial_will_end"
# A pending payment is told of by nobody: it becomes one of these, or nothing.
_TYPES = {
    "paid": MessageType.PAYMENT_PAID,
    "failed": MessageType.PAYMENT_FAILED,
    "refunded": MessageType.PAYMENT_REFUNDED,
    "partially_refunded": MessageType.PAYMENT_REFUNDED,
    "disputed": MessageType.PAYMENT_DISPUTED,
}


class Moved(NamedTuple):
    """A balance before and after; `last_grant` is the user's newest grant, if there was any."""

    user_id: str
    before: int
    balance: int
    last_grant: int | None
    updated_at: datetime


class Owned(NamedTuple):
    """A subscription as it is shown now, and who saw it before."""

    was: str | None
    now: ShownSubscription

    @property
    def users(self) -> set[str]:
        """Who sees it or saw it."""
        return {user_id for user_id in (self.was, self.now.user_id) if user_id is not None}


@dataclass(slots=True)
class Before:
    """What was known of what a batch touches, before its facts were merged."""

    customers: dict[str, Customer] = field(default_factory=dict)
    subscriptions: Mapping[str, Subscription] = field(default_factory=dict)
    objects: Mapping[str, MoneyObject] = field(default_factory=dict)

    def add_untouched(self, working_set: WorkingSet, touched: Touched) -> None:
        """Add the payers that were loaded since; no fact touched them."""
        for customer_id, customer in working_set.customers.items():
            if customer_id not in touched.customers:
                self.customers.setdefault(customer_id, customer)


def of_tokens(connection: Connection, moved: Iterable[Moved]) -> Iterator[Message]:
    """What users are told of their balances. Low and exhausted are told once a crossing.

    Both sides of a crossing are measured by the last grant as it is now. How much of it is low is
    an option of the engine.
    """
    share = connection.get_execution_options().get("low_balance", LOW_BALANCE)
    for account in moved:
        data = shown.balance(account.balance, account.updated_at)
        yield Message(account.user_id, MessageType.TOKENS_CHANGED, data)
        low = share * account.last_grant if account.last_grant else None
        if low is not None and account.balance < low <= account.before:
            yield Message(account.user_id, MessageType.TOKENS_LOW, data)
        if account.balance <= 0 < account.before:
            yield Message(account.user_id, MessageType.TOKENS_EXHAUSTED, data)


def of_payments(
    before: Before, working_set: WorkingSet, derived: Derived, catalogue: Catalogue
) -> Iterator[Message]:
    """What users are told of payments whose look has changed."""
    for object_id, root_id in derived.roots.items():
        was = working_set.payments.get(object_id)
        now = derived.payments[root_id] if object_id == root_id else None
        if was is None and now is None:
            continue
        root = working_set.objects[object_id]
        looked = shown.payment(was, before.objects.get(object_id), catalogue)
        looks = shown.payment(now, root, catalogue)
        moved = was is None or now is None or was.user_id != now.user_id
        if was and was.user_id and looked and (moved or not looks) and was.status in _TYPES:
            yield Message(was.user_id, _TYPES[was.status], shown.removed(object_id))
        if now and now.user_id and looks and (moved or looks != looked):
            kind = _TYPES.get(now.status or "") or _TYPES.get((was and was.status) or "")
            if kind is MessageType.PAYMENT_FAILED:
                looks["pay_url"] = shown.pay_url(now, root)
            if kind is not None:
                yield Message(now.user_id, kind, looks)


def owned(before: Before, shown_now: Iterable[ShownSubscription]) -> list[Owned]:
    """Subscriptions with who had them, by id."""
    in_order = sorted(shown_now, key=lambda row: row.subscription.id)
    return [
        Owned(_owner_before(before, row.subscription.id, row.customer_id), row) for row in in_order
    ]


def of_subscriptions(
    before: Before, working_set: WorkingSet, owned: Iterable[Owned], *, facts: Sequence[Fact]
) -> Iterator[Message]:
    """What users are told of subscriptions whose report or owner has changed.

    `owned` are those that were touched, and those that were `inherited`.
    """
    ending = _ending(facts)
    for was, row in owned:
        subscription_id = row.subscription.id
        now = working_set.subscriptions.get(subscription_id)
        if now is not None and was == row.user_id and not _looks_other(before, now):
            continue
        if was is not None and was != row.user_id:
            gone = shown.removed(subscription_id)
            yield Message(was, MessageType.SUBSCRIPTION_CHANGED, gone)
        if row.user_id is None:
            continue
        data = shown.subscription(row.subscription)
        yield Message(row.user_id, MessageType.SUBSCRIPTION_CHANGED, data)
        if subscription_id in ending and row.subscription.status == "trialing":
            yield Message(row.user_id, MessageType.TRIAL_ENDING, data)


def of_access(changed: Iterable[Changed]) -> Iterator[Message]:
    """What users are told of their access: all of it, as it is now."""
    for user in changed:
        data = db.access.shown.shown(user.access)
        yield Message(user.user_id, MessageType.ACCESS_CHANGED, data)


def between(
    before: Iterable[ShownSubscription], after: Iterable[ShownSubscription]
) -> Iterator[Message]:
    """What users are told where subscriptions were read before and after they were written."""
    was = {row.subscription.id: row for row in before}
    now = {row.subscription.id: row for row in after}
    for subscription_id in sorted(was.keys() | now.keys()):
        old, new = was.get(subscription_id), now.get(subscription_id)
        if old == new:
            continue
        owner = new.user_id if new else None
        if old and old.user_id is not None and old.user_id != owner:
            gone = shown.removed(subscription_id)
            yield Message(old.user_id, MessageType.SUBSCRIPTION_CHANGED, gone)
        if new and owner is not None:
            data = shown.subscription(new.subscription)
            yield Message(owner, MessageType.SUBSCRIPTION_CHANGED, data)


def of_deleted_payments(connection: Connection, ids: Collection[str]) -> list[Message]:
    """What users are told of payments that are about to be deleted."""
    rows = connection.execute(_LISTED, {"ids": list(ids)}) if ids else ()
    return [
        Message(row.user_id, _TYPES[row.status], shown.removed(row.id))
        for row in rows
        if row.status in _TYPES
    ]


def _looks_other(before: Before, now: Subscription) -> bool:
    """Whether it may be shown otherwise: by another report, of another customer or plan."""
    was = before.subscriptions.get(now.id)
    return was is None or (
        (was.versions, was.customer_id, was.sold.claims)
        != (now.versions, now.customer_id, now.sold.claims)
    )


def _owner_before(before: Before, subscription_id: str, customer_id: str | None) -> str | None:
    """Who saw a subscription before; one that only its owner's change concerns was not loaded."""
    was = before.subscriptions.get(subscription_id)
    if was is not None:
        if not was.versions:
            return None
        users = {_user_named(version) for version in was.versions}
        # Which report stands need be found only where they name several users.
        standing = was.newest()[0] if len(users) > 1 else was.versions[0]
        user_id = _user_named(standing) if standing else None
        if user_id is not None:
            return user_id
        customer_id = was.customer_id
    payer = before.customers.get(customer_id or "")
    return payer.user_id if payer else None


def _user_named(version: Version) -> str | None:
    return text_of(mapping_of(version.object.get("metadata")).get("user_id"))


def _ending(facts: Iterable[Fact]) -> set[str]:
    """The subscriptions of which an event says that their trial ends."""
    return {
        fact.id
        for fact in facts
        if isinstance(fact, Subscription)
        and any(version.event_type == TRIAL_ENDING for version in fact.versions)
    }


_LISTED = text(
    "SELECT id, user_id, status FROM payments"
    " WHERE listed AND user_id IS NOT NULL AND id = ANY(CAST(:ids AS text[])) ORDER BY id"
)
