"""What each call sends and how its answer is read, without sending anything."""

import base64
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from fiko_client.errors import UnexpectedAnswer, failure_of
from fiko_client.models import PlanType

KEY_HEADER = "Idempotency-Key"
AMOUNT_MAX = 2**53 - 1
REASON_LENGTH_MAX = 500
LEDGER = "/billing/tokens/ledger/"
SUBSCRIPTIONS = "/billing/subscriptions/"
PLANS: Mapping[PlanType, str] = {
    "full": "/billing/plans/full/",
    "token": "/billing/plans/token/",
}
_REDIRECT = 300
_KEY = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class Call:
    """One request; every try of it is the same."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spend:
    """Tokens to be spent once, under a key."""

    amount: int
    reason: str
    key: str

    @classmethod
    def of(cls, amount: int, reason: str, key: str | None) -> "Spend":
        """A spend that the API will take; the key is made here, once, where none is given.

        What is certain to be refused is refused here: in a spool it would lie for good.
        """
        if isinstance(amount, bool) or not isinstance(amount, int):
            raise TypeError("amount is a whole number of tokens")
        if not 1 <= amount <= AMOUNT_MAX:
            raise ValueError(f"amount is from 1 to {AMOUNT_MAX}")
        if not reason.strip() or len(reason) > REASON_LENGTH_MAX or "\0" in reason:
            raise ValueError(f"reason has 1 to {REASON_LENGTH_MAX} characters")
        return cls(amount, reason, new_key() if key is None else checked_key(key))

    @property
    def call(self) -> Call:
        """The request."""
        body = {"amount": self.amount, "reason": self.reason}
        return Call("POST", "/billing/tokens/debit/", body=body, headers={KEY_HEADER: self.key})


def new_key() -> str:
    """A key that nobody has used."""
    return str(uuid.uuid4())


def checked_key(key: str) -> str:
    """A key that a header can carry."""
    if not _KEY.fullmatch(key):
        raise ValueError("a key has 1 to 255 visible ASCII characters")
    return key


def balance() -> Call:
    """The caller's tokens."""
    return Call("GET", "/billing/tokens/")


def access() -> Call:
    """What the caller may use."""
    return Call("GET", "/billing/access/")


def page(path: str, cursor: str | None, query: Mapping[str, str]) -> Call:
    """One page of a list."""
    return Call("GET", path, query={**query, **({"cursor": cursor} if cursor else {})})


def checkout(
    plan_type: PlanType,
    plan_id: int,
    *,
    success_url: str | None,
    cancel_url: str | None,
    currency: str | None,
    key: str | None,
) -> Call:
    """A checkout session for a plan."""
    optional = {"success_url": success_url, "cancel_url": cancel_url, "currency": currency}
    body: dict[str, object] = {"plan_type": plan_type, "plan_id": plan_id, **_given(optional)}
    headers = {KEY_HEADER: new_key() if key is None else checked_key(key)}
    return Call("POST", "/billing/stripe/checkout-session/", body=body, headers=headers)


def portal(*, return_url: str | None, flow: str | None, subscription_id: str | None) -> Call:
    """A session of the customer portal."""
    optional = {"return_url": return_url, "flow": flow, "subscription_id": subscription_id}
    return Call("POST", "/billing/stripe/customer-portal/", body=_given(optional))


def _given(fields: Mapping[str, str | None]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def answer_of(status: int, headers: Mapping[str, str], body: bytes) -> Mapping[str, object]:
    """The object that an answer holds; raises what a refusal or failure says."""
    if status >= _REDIRECT:
        raise failure_of(status, headers, body)
    try:
        told = json.loads(body)
    except ValueError as error:
        raise UnexpectedAnswer("The answer is not JSON.") from error
    if not isinstance(told, dict):
        raise UnexpectedAnswer("The answer is no JSON object.")
    return told


def items_of(told: Mapping[str, object]) -> tuple[list[object], str | None]:
    """The items of a page, and the cursor of the next one."""
    items, cursor = told.get("items"), told.get("next_cursor")
    if not isinstance(items, list):
        raise UnexpectedAnswer("The answer has no items.")
    return items, cursor if isinstance(cursor, str) else None


def user_of(token: str) -> str:
    """Whose token it is: the `sub` of the JWT, which is read here and proven by the service."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        user = claims["sub"]
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            "the token is no JWT with a sub, so it does not say whose it is"
        ) from error
    if not isinstance(user, str) or not user:
        raise ValueError("the sub of the token is no user")
    return user
