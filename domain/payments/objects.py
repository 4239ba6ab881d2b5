"""Money objects: invoices, checkout sessions, intents and charges, and how reports of one merge.

A money object is a join-semilattice, as its details are. What a payment *is*, is the set of
objects that point to one root: charge to intent, intent and session to invoice.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from domain.payments.claims import Assigned, UserClaim, earliest
from domain.payments.details import IntentDetails, InvoiceDetails, SessionDetails, joined


class Kind(StrEnum):
    """The Stripe objects that are, or belong to, a payment; a root is the first of these."""

    INVOICE = "invoice"
    SESSION = "session"
    INTENT = "intent"
    CHARGE = "charge"
    RECORD = "payment_record"


_KIND_ORDER = {kind: order for order, kind in enumerate(Kind)}


class MoneyObject(NamedTuple):
    """All that is known of one invoice, session, intent, charge or payment record.

    `parents` are the objects it was said to belong to; the first by kind, then id, counts.
    An object that was only named by another has no details yet. `assigned_user` and
    `assigned_plan` are what a person said.
    """

    id: str
    kind: Kind
    parents: frozenset[str] = frozenset()
    customer_id: str | None = None
    subscription_id: str | None = None
    claim: UserClaim | None = None
    created: int | None = None
    invoice: InvoiceDetails | None = None
    session: SessionDetails | None = None
    intent: IntentDetails | None = None
    assigned_user: Assigned | None = None
    assigned_plan: Assigned | None = None

    def join(self, other: "MoneyObject") -> "MoneyObject":
        """Both bodies of knowledge about one object as one."""
        if other[1:] in (self[1:], (self.kind, *_ONLY_NAMED)):
            return self
        return MoneyObject(
            id=self.id,
            kind=min(self.kind, other.kind, key=_KIND_ORDER.__getitem__),
            parents=self.parents | other.parents,
            customer_id=earliest(self.customer_id, other.customer_id),
            subscription_id=earliest(self.subscription_id, other.subscription_id),
            claim=earliest(self.claim, other.claim),
            created=earliest(self.created, other.created),
            invoice=joined(self.invoice, other.invoice, InvoiceDetails.join),
            session=joined(self.session, other.session, SessionDetails.join),
            intent=joined(self.intent, other.intent, IntentDetails.join),
            assigned_user=joined(self.assigned_user, other.assigned_user, max),
            assigned_plan=joined(self.assigned_plan, other.assigned_plan, max),
        )


# What is known of an object that another one only named, but for its id and kind.
_ONLY_NAMED = MoneyObject("", Kind.INTENT)[2:]


def root_of(object_id: str, objects: Mapping[str, MoneyObject]) -> str:
    """The object that a payment is known by, found by following parents upwards.

    A parent that is not among `objects` yet is itself the root.
    """
    seen = {object_id}
    while True:
        current = objects.get(object_id)
        if current is None or not current.parents:
            return object_id
        parent = min(current.parents, key=lambda candidate: _parent_order(candidate, objects))
        if parent in seen:
            return min(seen)
        seen.add(parent)
        object_id = parent


def _parent_order(object_id: str, objects: Mapping[str, MoneyObject]) -> tuple[int, str]:
    parent = objects.get(object_id)
    kind = parent.kind if parent else kind_of(object_id)
    return (_KIND_ORDER[kind], object_id)


def kind_of(object_id: str) -> Kind:
    """What an object is, by the prefix of its id; an intent when the prefix is unknown."""
    prefix = object_id.partition("_")[0]
    return _KIND_OF_PREFIX.get(prefix, Kind.INTENT)


_KIND_OF_PREFIX = {
    "in": Kind.INVOICE,
    "cs": Kind.SESSION,
    "ch": Kind.CHARGE,
    "py": Kind.CHARGE,
    "prec": Kind.RECORD,
    "pr": Kind.RECORD,
}
