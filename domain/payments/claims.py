"""Who and what an object says it is for: claims, and the rule by which the earliest stands."""

from typing import NamedTuple, TypeVar

from domain.events import Stamp

T = TypeVar("T", int, str, "UserClaim", "PlanClaim")


class UserClaim(NamedTuple):
    """A user named by an object; the smallest claim of a payment wins.

    `level` is contract §4's order of places: `METADATA` on the object itself, then
    `CLIENT_REFERENCE`, then `SUBSCRIPTION_METADATA` on an invoice or its lines.
    """

    level: int
    stamp: Stamp
    user_id: str


class Assigned(NamedTuple):
    """A user's id or a plan's, named for a payment by a person; the newest assignment stands."""

    stamp: Stamp
    value: str


METADATA = 1
CLIENT_REFERENCE = 2
SUBSCRIPTION_METADATA = 3


class PlanClaim(NamedTuple):
    """A plan named by a subscription's metadata or by the session that made the subscription.

    For what a payment is worth the earliest stands where the invoice itself names none: later
    metadata follows later sales, and what was sold keeps its terms.
    """

    stamp: Stamp
    plan_id: int


class Customer(NamedTuple):
    """What is known of one Stripe customer.

    `stamp` and `user_id` are the earliest claim; `other_user_ids` are users claimed by any other
    event, kept to be flagged. `alias_ids` are other names of the same payer: Stripe's objects
    since 2025-12-15 name an account (`customer_account`) beside the customer or in its place.
    """

    id: str
    user_id: str | None = None
    stamp: Stamp | None = None
    other_user_ids: frozenset[str] = frozenset()
    deleted_created: int | None = None
    alias_ids: frozenset[str] = frozenset()

    def join(self, other: "Customer") -> "Customer":
        """Both bodies of knowledge as one: the earliest claim stands, others are remembered."""
        first, second = (self, other) if _claims_before(self, other) else (other, self)
        if first is self and other[3:] == _NOTHING_BESIDE and other.user_id in (None, self.user_id):
            return self
        users = self.other_user_ids | other.other_user_ids
        if second.user_id is not None:
            users |= {second.user_id}
        return Customer(
            id=self.id,
            user_id=first.user_id,
            stamp=first.stamp,
            other_user_ids=users - {first.user_id or ""},
            deleted_created=earliest(self.deleted_created, other.deleted_created),
            alias_ids=self.alias_ids | other.alias_ids,
        )

    @property
    def claimed(self) -> "Customer":
        """What is claimed of this payer, without what it is called or whether it was deleted."""
        return Customer(self.id, self.user_id, self.stamp, self.other_user_ids)


# What is known of a payer of whom nothing but a claim is.
_NOTHING_BESIDE = Customer("")[3:]


def earliest(one: T | None, other: T | None) -> T | None:
    """The smaller of the two, or the one that is known."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _claims_before(one: Customer, other: Customer) -> bool:
    if one.stamp is None or other.stamp is None:
        return other.stamp is None
    return (one.stamp, one.user_id) <= (other.stamp, other.user_id)
