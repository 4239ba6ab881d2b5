"""An event as decoders read it: tolerant of what is optional, clear about what is missing."""

from collections.abc import Mapping
from typing import Any, TypeVar

from domain.errors import DecodeError
from domain.events import Event
from domain.json_values import (
    integer_of,
    list_of,
    mapping_of,
    plan_id_of,
    reference_of,
    text_of,
    time_of,
)
from domain.payments.claims import (
    CLIENT_REFERENCE,
    METADATA,
    SUBSCRIPTION_METADATA,
    Customer,
    UserClaim,
)

V = TypeVar("V", int, str)

# A note quotes what it found, but not a page of it.
_SHOWN_CHARACTERS_MAX = 40


class Source:
    """The object of one event. Collects notes on what could not be used.

    `is_cut` says that an embedded list shows only some of its entries, and that the facts that
    depend on the others are left out. `customer_id` is the payer that the object is about: a
    Stripe customer, else an account.
    """

    __slots__ = ("_claim", "_is_claim_read", "customer_id", "event", "is_cut", "notes", "object")

    def __init__(self, event: Event) -> None:
        self.event = event
        self.object: Mapping[str, Any] = event.object
        self.notes: list[str] = []
        self.is_cut = False
        self.customer_id = self._payer_id()
        self._claim: UserClaim | None = None
        self._is_claim_read = False

    def note(self, remark: str) -> None:
        """Keep for the inbox, once, what could not be used and what was done instead."""
        if remark not in self.notes:
            self.notes.append(remark)

    def required_id(self) -> str:
        """The object's own id; raises `DecodeError` when there is none."""
        return self._required(text_of(self.object.get("id")), "id")

    def required_reference(self, key: str) -> str:
        """The id of another object that must be named."""
        return self._required(reference_of(self.object.get(key)), key)

    def required_amount(self, key: str) -> int:
        """An amount in minor units that must be there and not be negative."""
        amount = self._required(integer_of(self.object.get(key)), key)
        if amount < 0:
            raise DecodeError(f"{self._place(key)} is negative.")
        return amount

    def required_text(self, key: str) -> str:
        """A string that must be there."""
        return self._required(text_of(self.object.get(key)), key)

    def amount(self, key: str) -> int:
        """An amount in minor units; what is missing or no amount is noted and read as 0."""
        value = self.object.get(key)
        amount = integer_of(value)
        if amount is None or amount < 0:
            what = "missing" if value is None else f"{_shown(value)}, which is no amount"
            self.note(f"{key} is {what}; read as 0")
            return 0
        return amount

    def rank(self, key: str, ranks: Mapping[str, int], default: str) -> int:
        """The rank of a status; one that is missing or new to us is noted, read as `default`."""
        value = self.object.get(key)
        status = value if isinstance(value, str) and value in ranks else default
        if status != value:
            what = "is missing" if value is None else f"{_shown(value)} is new to us"
            self.note(f"{key} {what}; read as {default}")
        return ranks[status]

    def quantity(self, item: Mapping[str, Any], place: str) -> int:
        """How many of a line or item of the list `place`; null, as on metered ones, is one."""
        named = item.get("quantity")
        quantity = 1 if named is None else integer_of(named)
        if quantity is None:
            self.note(f"{place}.data[].quantity {_shown(named)} is no number; read as 1")
            return 1
        return quantity

    def reference(self, key: str) -> str | None:
        """The id of another object, given as an id or expanded."""
        value = self.object.get(key)
        # Most are null.
        return None if value is None else reference_of(value)

    def created(self) -> int | None:
        """When Stripe made the object."""
        return time_of(self.object.get("created"))

    def currency(self) -> str:
        """The object's currency, lower case."""
        return self.required_text("currency").lower()

    def _payer_id(self) -> str | None:
        if self.object.get("object") == "customer":
            return text_of(self.object.get("id"))
        return self.reference("customer") or self.reference("customer_account")

    @property
    def user_claim(self) -> UserClaim | None:
        """The user that the object names, from the first place that has one (contract §4)."""
        if not self._is_claim_read:
            self._claim, self._is_claim_read = self._user_claim(), True
        return self._claim

    def _user_claim(self) -> UserClaim | None:
        named = mapping_of(self.object.get("metadata")).get("user_id")
        own = text_of(named)
        if own:
            return UserClaim(METADATA, self.event.stamp, own)
        if named:
            self.note(f"metadata.user_id {_shown(named)} is no user id")
        reference = text_of(self.object.get("client_reference_id"))
        if reference:
            return UserClaim(CLIENT_REFERENCE, self.event.stamp, reference)
        inherited = self._inherited("user_id")
        return UserClaim(SUBSCRIPTION_METADATA, self.event.stamp, inherited) if inherited else None

    def customer_link(self) -> list[Customer]:
        """The links that an object teaches: of user and payer, and of a payer's two names."""
        customer_id, claim = self.customer_id, self.user_claim
        if customer_id is None:
            return []
        account_id = self.reference("customer_account")
        if account_id is None or account_id == customer_id:
            return [Customer(customer_id, claim.user_id, claim.stamp)] if claim else []
        user_id, stamp = (claim.user_id, claim.stamp) if claim else (None, None)
        return [
            Customer(customer_id, user_id, stamp, alias_ids=frozenset({account_id})),
            Customer(account_id, alias_ids=frozenset({customer_id})),
        ]

    def plan_id(self, metadata: Mapping[str, Any]) -> int | None:
        """The plan that metadata names; a name that is no plan id is noted, not fatal."""
        named = metadata.get("plan_id")
        plan_id = plan_id_of(named)
        if plan_id is None and named is not None:
            self.note(f"metadata.plan_id {_shown(named)} is no plan id")
        return plan_id

    def own_plan_id(self) -> int | None:
        """The plan that the object's own metadata names."""
        return self.plan_id(mapping_of(self.object.get("metadata")))

    def subscription_details(self) -> Mapping[str, Any]:
        """What an invoice says of its subscription, in the shape since 2025-03-31 or before."""
        parent = self.object.get("parent")
        details = parent.get("subscription_details") if isinstance(parent, dict) else None
        return mapping_of(details or self.object.get("subscription_details"))

    def missing(self, what: str) -> DecodeError:
        """The error to raise for something that must be there."""
        return DecodeError(f"{self._place(what)} is missing or not of the expected type.")

    def _inherited(self, key: str) -> str | None:
        for place in (self.subscription_details(), *list_of(self.object.get("lines"))):
            metadata = place.get("metadata")
            if isinstance(metadata, dict) and (text := text_of(metadata.get(key))):
                return text
        return None

    def _required(self, value: V | None, key: str) -> V:
        if value is None:
            raise self.missing(key)
        return value

    def _place(self, key: str) -> str:
        return f"{self.event.type}: data.object.{key}"


def _shown(value: object) -> str:
    return repr(str(value)[:_SHOWN_CHARACTERS_MAX])
