"""The only user of Stripe's client: asks Stripe, and answers in plain dictionaries.

SDK objects never leave this module. Every answer says when it was given, by Stripe's clock, which
dates events; ours may be wrong. Every call may take seconds, so none is made inside a
database transaction. Whatever creates something takes an idempotency key, so that asking again
after no answer makes nothing twice.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import stripe

from settings import Settings

# Connecting and answering. Two calls that both answer only when asked again stay below the 20 s
# that a frontend may wait; Stripe's own default of 80 s would outlive a worker's task.
TIMEOUTS_SECONDS = (3.05, 4.5)
NETWORK_RETRIES = 1
PAGE = 100
# A list longer than this is none of ours; it bounds what one event can make us fetch.
ENTRIES_MAX = 5_000

Json = dict[str, Any]


class Answer(Json):
    """An object as Stripe answered with it.

    `answered_created` is the second of that by Stripe's clock, as its events are dated: what
    happens at Stripe in a later second is not in the answer yet.
    """

    def __init__(self, found: Mapping[str, Any], answered_created: int) -> None:
        super().__init__(found)
        self.answered_created = answered_created


class StripeUnavailable(Exception):  # noqa: N818 - it says what is the case.
    """Stripe did not answer, or refused; `detail` says which, without any secret.

    `request_id` is Stripe's name for the request, `code` Stripe's name for the error, both None
    where it gave none. After an `indeterminate` one, what was asked may have happened. One that is
    `by_proxy` never came to Stripe: the proxy that the environment names did not let it through.
    """

    def __init__(self, error: stripe.StripeError) -> None:
        told = error.error
        self.request_id = error.request_id
        self.status = error.http_status
        self.code: str | None = getattr(told, "code", None)
        self.param: str | None = getattr(told, "param", None)
        self.indeterminate = self.status is None or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        self.by_proxy = _is_of_proxy(error)
        answer = f"HTTP {self.status or 'no answer'}"
        answer = "no way through the proxy" if self.by_proxy else answer
        self.detail = f"{type(error).__name__}, {answer}"
        super().__init__(f"Stripe could not be asked: {self.detail}.")


class StripeSilent(StripeUnavailable):
    """Stripe did not answer in the time that the one who asked had; it may answer yet."""

    def __init__(self) -> None:
        error = stripe.APIConnectionError("no answer")  # type: ignore[no-untyped-call]  # As it is.
        super().__init__(error)


class StripeMissing(StripeUnavailable):
    """Stripe answered that there is no such object for this key."""


class StripeBusy(StripeUnavailable):
    """Stripe answered that it is asked too often; `wait_seconds` is what it wishes, if it says."""

    def __init__(self, error: stripe.StripeError) -> None:
        super().__init__(error)
        told = str((error.headers or {}).get("retry-after", ""))
        self.wait_seconds = int(told) if told.isascii() and told.isdigit() else None


class StripeRefused(StripeUnavailable):
    """Stripe answered that what was asked cannot be done; asking again will not help."""


class StripeListTooLong(StripeUnavailable):
    """Stripe lists more entries than we read; some of them must not be taken for all."""

    def __init__(self, path: str) -> None:
        super().__init__(stripe.StripeError(f"{path} is too long"))
        self.indeterminate = False
        self.detail = f"/v1/{path} has more than {ENTRIES_MAX:,} entries, and no more are read"
        self.args = (f"Stripe's list is too long: {self.detail}.",)


class StripeKeyRefused(StripeUnavailable):
    """Stripe does not accept the secret key, or the key may not do this."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some of the account's events, newest first, as Stripe would send them; and if there are more.

    What is no object is left out. `answered_created` is as in `Answer`.
    """

    events: list[Answer]
    has_more: bool
    answered_created: int


class StripeGateway:
    """Questions to one Stripe account; every one raises `StripeUnavailable`.

    Make it after fork: its connections are per process. Threads may share it.
    """

    def __init__(self, settings: Settings) -> None:
        stripe.enable_telemetry = False
        self.api_version = stripe.api_version
        self._client = stripe.StripeClient(
            settings.stripe_secret_key,
            max_network_retries=NETWORK_RETRIES,
            http_client=stripe.RequestsClient(timeout=TIMEOUTS_SECONDS),
            base_addresses={"api": settings.stripe_api_base} if settings.stripe_api_base else {},
        )

    def account(self) -> Answer:
        """The account that the key is of."""
        return self._get("account")

    def invoice_lines(self, invoice_id: str) -> list[Answer]:
        """Every line of an invoice."""
        return self._whole(f"invoices/{_named(invoice_id)}/lines")

    def invoice_payments_of(self, intent_id: str) -> list[Answer]:
        """The links between a payment intent and the invoices it pays."""
        payment = {"type": "payment_intent", "payment_intent": intent_id}
        return self._whole("invoice_payments", payment=payment)

    def charge(self, charge_id: str) -> Answer:
        """A charge as it is now."""
        return self._get(f"charges/{_named(charge_id)}")

    def customer(self, customer_id: str) -> Answer:
        """A customer as it is now."""
        return self._get(f"customers/{_named(customer_id)}")

    def invoice(self, invoice_id: str, *, expand: tuple[str, ...] = ()) -> Answer:
        """An invoice as it is now; `expand` names what is to be told whole."""
        return self._get(f"invoices/{_named(invoice_id)}", **_wanted(expand))

    def subscription(self, subscription_id: str, *, expand: tuple[str, ...] = ()) -> Answer:
        """A subscription as it is now; `expand` names what is to be told whole."""
        return self._get(f"subscriptions/{_named(subscription_id)}", **_wanted(expand))

    def subscription_items(self, subscription_id: str) -> list[Answer]:
        """Every item of a subscription."""
        return self._whole("subscription_items", subscription=subscription_id)

    def subscriptions(self, *, after: str = "") -> Iterator[Answer]:
        """Every subscription, ended ones too, newest first, each with its latest invoice whole.

        `after` is the last one that was read before.
        """
        expand = _wanted(("data.latest_invoice",))
        return self._every("subscriptions", after, status="all", **expand)

    def webhook_endpoints(self) -> list[Answer]:
        """The account's webhook endpoints."""
        return self._whole("webhook_endpoints")

    def events(self, *, since: int, after: str = "") -> EventPage:
        """A page of the account's events of the second `since` (Stripe's) and later, newest first.

        `after` is the last event of the page before.
        """
        position = {"starting_after": after} if after else {}
        page = self._get("events", limit=PAGE, created={"gte": since}, **position)
        has_more = page.get("has_more") is True
        return EventPage(_objects(page), has_more, page.answered_created)

    def create_customer(self, user_id: str, *, idempotency_key: str) -> Answer:
        """A new customer that carries the user in its metadata."""
        return self._post("customers", {"metadata": {"user_id": user_id}}, idempotency_key)

    def customers_of(self, user_id: str) -> list[Answer]:
        """The customers that carry a user; Stripe's search lags a minute behind."""
        wanted = user_id.replace("\\", "\\\\").replace("'", "\\'")
        return _objects(self._get("customers/search", query=f"metadata['user_id']:'{wanted}'"))

    def newest_customers(self) -> list[Answer]:
        """The customers made last, whomever for; unlike the search it lags behind nothing."""
        return _objects(self._get("customers", limit=PAGE))

    def create_checkout_session(self, params: Mapping[str, Any], *, idempotency_key: str) -> Answer:
        """A new checkout session of Stripe's parameters."""
        return self._post("checkout/sessions", params, idempotency_key)

    def checkout_session(self, session_id: str, *, expand: tuple[str, ...] = ()) -> Answer:
        """A checkout session as it is now; `expand` names what is to be told whole."""
        return self._get(f"checkout/sessions/{_named(session_id)}", **_wanted(expand))

    def checkout_session_line_items(self, session_id: str) -> list[Answer]:
        """Everything that was bought in a checkout session."""
        return self._whole(f"checkout/sessions/{_named(session_id)}/line_items")

    def checkout_sessions_of_intent(self, intent_id: str) -> list[Answer]:
        """The checkout sessions that a payment intent was made for; there is one at most."""
        return _objects(self._get("checkout/sessions", payment_intent=intent_id))

    def checkout_sessions_of(self, customer_id: str) -> list[Answer]:
        """The newest checkout sessions of a customer."""
        return _objects(self._get("checkout/sessions", customer=customer_id, limit=PAGE))

    def expire_checkout_session(self, session_id: str) -> Answer:
        """A checkout session that nobody can pay any more; refused where it is not open."""
        return self._post(f"checkout/sessions/{_named(session_id)}/expire", {})

    def create_portal_session(self, params: Mapping[str, Any]) -> Answer:
        """A new session of the customer portal; its address is short-lived."""
        return self._post("billing_portal/sessions", params)

    def products(self) -> Iterator[Answer]:
        """Every product of the account, archived ones too."""
        return self._every("products")

    def create_product(self, params: Mapping[str, Any], *, idempotency_key: str) -> Answer:
        """A new product."""
        return self._post("products", params, idempotency_key)

    def update_product(self, product_id: str, params: Mapping[str, Any]) -> Answer:
        """A changed product."""
        return self._post(f"products/{_named(product_id)}", params)

    def prices(self) -> Iterator[Answer]:
        """Every price of the account, archived ones too."""
        return self._every("prices")

    def create_price(self, params: Mapping[str, Any], *, idempotency_key: str) -> Answer:
        """A new price."""
        return self._post("prices", params, idempotency_key)

    def update_price(self, price_id: str, params: Mapping[str, Any]) -> Answer:
        """A changed price; Stripe lets amount and currency never change."""
        return self._post(f"prices/{_named(price_id)}", params)

    def _get(self, path: str, **params: object) -> Answer:
        return self._ask("get", path, params)

    def _post(
        self, path: str, params: Mapping[str, Any], idempotency_key: str | None = None
    ) -> Answer:
        key = {"idempotency_key": idempotency_key} if idempotency_key else {}
        return self._ask("post", path, {**params, **key})

    def _ask(self, method: str, path: str, params: Mapping[str, Any]) -> Answer:
        began = time.monotonic()
        try:
            # Unlike SDK objects the answer itself keeps every value as Stripe wrote it.
            answer = self._client.raw_request(method, f"/v1/{path}", **params)
        except stripe.StripeError as error:
            raise _refusal(error) from error
        found = json.loads(answer.body)
        second = _answered_created(answer.headers, time.monotonic() - began)
        return Answer(found if isinstance(found, dict) else {}, second)

    def _whole(self, path: str, **params: object) -> list[Answer]:
        """Every entry of a list; raises `StripeListTooLong` rather than to leave one out."""
        found: list[Answer] = []
        for entry in self._every(path, **params):
            if len(found) == ENTRIES_MAX:
                raise StripeListTooLong(path)
            found.append(entry)
        return found

    def _every(self, path: str, after: str = "", /, **params: object) -> Iterator[Answer]:
        position = {"starting_after": after} if after else {}
        while True:
            page = self._get(path, limit=PAGE, **params, **position)
            found = _objects(page)
            yield from found
            if not found or page.get("has_more") is not True:
                return
            position = {"starting_after": found[-1]["id"]}


def _wanted(expand: Sequence[str]) -> Json:
    return {"expand": list(expand)} if expand else {}


def _objects(page: Answer) -> list[Answer]:
    entries = page.get("data") or ()
    return [Answer(each, page.answered_created) for each in entries if isinstance(each, dict)]


def _answered_created(headers: Mapping[str, str], took_seconds: float) -> int:
    """The second in which Stripe was asked, by its own clock; by ours where it tells no time.

    Its `Date` is of the end of the answer. One that was long under way may have been true only at
    its beginning, and must not pass for newer than what happened meanwhile.
    """
    told = next((value for name, value in headers.items() if name.lower() == "date"), "")
    try:
        ended = int(parsedate_to_datetime(told).timestamp())
    except ValueError:
        ended = int(time.time())
    return ended - int(took_seconds)


def _named(object_id: str) -> str:
    """An id as part of an address; whatever is in it stays inside that part."""
    return quote(object_id, safe="")


def _is_of_proxy(error: BaseException) -> bool:
    """Whether a proxy is the reason, which only the client behind Stripe's client knows."""
    cause = error.__cause__
    return cause is not None and (
        type(cause).__name__ in ("ProxyError", "InvalidProxyURL") or _is_of_proxy(cause)
    )


_REFUSALS: Mapping[int | None, type[StripeUnavailable]] = {
    HTTPStatus.NOT_FOUND: StripeMissing,
    HTTPStatus.TOO_MANY_REQUESTS: StripeBusy,
    HTTPStatus.BAD_REQUEST: StripeRefused,
    HTTPStatus.PAYMENT_REQUIRED: StripeRefused,
    HTTPStatus.UNAUTHORIZED: StripeKeyRefused,
    HTTPStatus.FORBIDDEN: StripeKeyRefused,
}


def _refusal(error: stripe.StripeError) -> StripeUnavailable:
    return _REFUSALS.get(error.http_status, StripeUnavailable)(error)


def key_hash(settings: Settings) -> str | None:
    """What stands for the key where the key itself must not be; None where Stripe is not asked."""
    if not (settings.stripe_enabled and settings.stripe_secret_key):
        return None
    return hashlib.sha256(settings.stripe_secret_key.encode()).hexdigest()


def open_gateway(settings: Settings) -> StripeGateway | None:
    """A gateway where Stripe is enabled and a key is configured, else None."""
    if not (settings.stripe_enabled and settings.stripe_secret_key):
        return None
    return StripeGateway(settings)
