"""An event as decoders read it: tolerant of what is optional, clear about what is missing."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeVar

from domain.errors import DecodeError
from domain.events import Event
from domain.json_values import (
    integer_of,
    list_of,
    mapping_of,
    plan_id_of,
    quantity_of,
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
    depend on the others are left out.
    """

    def __init__(self, event: Event) -> None:
        self.event = event
        self.object: Mapping[str, Any] = event.object
        self.notes: list[str] = []
        self.is_cut = False

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
        quantity = quantity_of(item)
        if item.get("quantity") is not None and integer_of(item["quantity"]) is None:
            self.note(f"{place}.data[].quantity {_shown(item['quantity'])} is no number; read as 1")
        return quantity

    def reference(self, key: str) -> str | None:
        """The id of another object, given as an id or expanded."""
        return reference_of(self.object.get(key))

    def created(self) -> int | None:
        """When Stripe made the object."""
        return time_of(self.object.get("created"))

    def currency(self) -> str:
        """The object's currency, lower case."""
        return self.required_text("currency").lower()

    def customer_id(self) -> str | None:
        """The payer that the object is about: a Stripe customer, else an account."""
        if self.object.get("object") == "customer":
            return text_of(self.object.get("id"))
        return self.reference("customer") or self.reference("customer_account")

    @cached_property
    def user_claim(self) -> UserClaim | None:
        """The user that the object names, from the first place that has one (contract §4)."""
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
        customer_id, claim = self.customer_id(), self.user_claim
        if customer_id is None:
            return []
        account_id = self.reference("customer_account")
        aliases = frozenset({account_id} if account_id and account_id != customer_id else ())
        links = [Customer(alias, alias_ids=frozenset({customer_id})) for alias in sorted(aliases)]
        if claim is None:
            return [Customer(customer_id, alias_ids=aliases), *links] if links else []
        return [Customer(customer_id, claim.user_id, claim.stamp, alias_ids=aliases), *links]

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
        parent = mapping_of(self.object.get("parent"))
        return mapping_of(
            parent.get("subscription_details") or self.object.get("subscription_details")
        )

    def missing(self, what: str) -> DecodeError:
        """The error to raise for something that must be there."""
        return DecodeError(f"{self._place(what)} is missing or not of the expected type.")

    def _inherited(self, key: str) -> str | None:
        metadata = mapping_of(self.subscription_details().get("metadata"))
        lines = list_of(self.object.get("lines"))
        candidates = [metadata, *(mapping_of(line.get("metadata")) for line in lines)]
        return next(
            (text for candidate in candidates if (text := text_of(candidate.get(key)))), None
        )

    def _required(self, value: V | None, key: str) -> V:
        if value is None:
            raise self.missing(key)
        return value

    def _place(self, key: str) -> str:
        return f"{self.event.type}: data.object.{key}"


def _shown(value: object) -> str:
    return repr(str(value)[:_SHOWN_CHARACTERS_MAX])
