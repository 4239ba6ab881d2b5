"""The only user of Stripe's client: asks Stripe, and answers in plain dictionaries.

SDK objects never leave this module. Every call may take seconds, so none is made inside a
database transaction. Whatever creates something takes an idempotency key, so that asking again
after no answer makes nothing twice.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import islice
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


class StripeUnavailable(Exception):  # noqa: N818 - it says what is the case.
    """Stripe did not answer, or refused; `detail` says which, without any secret.

    `request_id` is Stripe's name for the request, `code` Stripe's name for the error, both None
    where it gave none. After an `indeterminate` one, what was asked may have happened.
    """

    def __init__(self, error: stripe.StripeError) -> None:
        told = error.error
        self.request_id = error.request_id
        self.status = error.http_status
        self.code: str | None = getattr(told, "code", None)
        self.param: str | None = getattr(told, "param", None)
        self.indeterminate = self.status is None or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        self.detail = f"{type(error).__name__}, HTTP {self.status or 'no answer'}"
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


class StripeKeyRefused(StripeUnavailable):
    """Stripe does not accept the secret key, or the key may not do this."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some of the account's events, newest first, as Stripe would send them; and if there are more.

    What is no object is left out.
    """

    events: list[Json]
    has_more: bool


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

    def invoice_lines(self, invoice_id: str) -> list[Json]:
        """Every line of an invoice."""
        return self._whole(f"invoices/{_named(invoice_id)}/lines")

    def customer(self, customer_id: str) -> Json:
        """A customer as it is now."""
        return self._get(f"customers/{_named(customer_id)}")

    def invoice(self, invoice_id: str, *, expand: tuple[str, ...] = ()) -> Json:
        """An invoice as it is now; `expand` names what is to be told whole."""
        return self._get(f"invoices/{_named(invoice_id)}", **_wanted(expand))

    def subscription(self, subscription_id: str, *, expand: tuple[str, ...] = ()) -> Json:
        """A subscription as it is now; `expand` names what is to be told whole."""
        return self._get(f"subscriptions/{_named(subscription_id)}", **_wanted(expand))

    def subscription_items(self, subscription_id: str) -> list[Json]:
        """Every item of a subscription."""
        return self._whole("subscription_items", subscription=subscription_id)

    def subscriptions(self, *, after: str = "") -> Iterator[Json]:
        """Every subscription, ended ones too, newest first, each with its latest invoice whole.

        `after` is the last one that was read before.
        """
        expand = _wanted(("data.latest_invoice",))
        return self._every("subscriptions", after, status="all", **expand)

    def webhook_endpoints(self) -> list[Json]:
        """The account's webhook endpoints."""
        return self._whole("webhook_endpoints")

    def events(self, *, since: int, after: str = "") -> EventPage:
        """A page of the account's events of the second `since` (Stripe's) and later, newest first.

        `after` is the last event of the page before.
        """
        position = {"starting_after": after} if after else {}
        page = self._get("events", limit=PAGE, created={"gte": since}, **position)
        return EventPage(_objects(page), has_more=page.get("has_more") is True)

    def create_customer(self, user_id: str, *, idempotency_key: str) -> Json:
        """A new customer that carries the user in its metadata."""
        return self._post("customers", {"metadata": {"user_id": user_id}}, idempotency_key)

    def customers_of(self, user_id: str) -> list[Json]:
        """The customers that carry a user; Stripe's search lags a minute behind."""
        wanted = user_id.replace("\\", "\\\\").replace("'", "\\'")
        return _objects(self._get("customers/search", query=f"metadata['user_id']:'{wanted}'"))

    def newest_customers(self) -> list[Json]:
        """The customers made last, whomever for; unlike the search it lags behind nothing."""
        return _objects(self._get("customers", limit=PAGE))

    def create_checkout_session(self, params: Mapping[str, Any], *, idempotency_key: str) -> Json:
        """A new checkout session of Stripe's parameters."""
        return self._post("checkout/sessions", params, idempotency_key)

    def checkout_session(self, session_id: str, *, expand: tuple[str, ...] = ()) -> Json:
        """A checkout session as it is now; `expand` names what is to be told whole."""
        return self._get(f"checkout/sessions/{_named(session_id)}", **_wanted(expand))

    def checkout_sessions_of(self, customer_id: str) -> list[Json]:
        """The newest checkout sessions of a customer."""
        return _objects(self._get("checkout/sessions", customer=customer_id, limit=PAGE))

    def expire_checkout_session(self, session_id: str) -> Json:
        """A checkout session that nobody can pay any more; refused where it is not open."""
        return self._post(f"checkout/sessions/{_named(session_id)}/expire", {})

    def create_portal_session(self, params: Mapping[str, Any]) -> Json:
        """A new session of the customer portal; its address is short-lived."""
        return self._post("billing_portal/sessions", params)

    def products(self) -> Iterator[Json]:
        """Every product of the account, archived ones too."""
        return self._every("products")

    def create_product(self, params: Mapping[str, Any], *, idempotency_key: str) -> Json:
        """A new product."""
        return self._post("products", params, idempotency_key)

    def update_product(self, product_id: str, params: Mapping[str, Any]) -> Json:
        """A changed product."""
        return self._post(f"products/{_named(product_id)}", params)

    def prices(self) -> Iterator[Json]:
        """Every price of the account, archived ones too."""
        return self._every("prices")

    def create_price(self, params: Mapping[str, Any], *, idempotency_key: str) -> Json:
        """A new price."""
        return self._post("prices", params, idempotency_key)

    def update_price(self, price_id: str, params: Mapping[str, Any]) -> Json:
        """A changed price; Stripe lets amount and currency never change."""
        return self._post(f"prices/{_named(price_id)}", params)

    def _get(self, path: str, **params: object) -> Json:
        return self._ask("get", path, params)

    def _post(
        self, path: str, params: Mapping[str, Any], idempotency_key: str | None = None
    ) -> Json:
        key = {"idempotency_key": idempotency_key} if idempotency_key else {}
        return self._ask("post", path, {**params, **key})

    def _ask(self, method: str, path: str, params: Mapping[str, Any]) -> Json:
        try:
            # Unlike SDK objects the answer itself keeps every value as Stripe wrote it.
            answer = self._client.raw_request(method, f"/v1/{path}", **params)
        except stripe.StripeError as error:
            raise _refusal(error) from error
        found = json.loads(answer.body)
        return found if isinstance(found, dict) else {}

    def _whole(self, path: str, **params: object) -> list[Json]:
        return list(islice(self._every(path, **params), ENTRIES_MAX))

    def _every(self, path: str, after: str = "", /, **params: object) -> Iterator[Json]:
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


def _objects(page: Mapping[str, Any]) -> list[Json]:
    return [entry for entry in page.get("data") or () if isinstance(entry, dict)]


def _named(object_id: str) -> str:
    """An id as part of an address; whatever is in it stays inside that part."""
    return quote(object_id, safe="")


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


def open_gateway(settings: Settings) -> StripeGateway | None:
    """A gateway where Stripe is enabled and a key is configured, else None."""
    if not (settings.stripe_enabled and settings.stripe_secret_key):
        return None
    return StripeGateway(settings)
