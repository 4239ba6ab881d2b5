"""The only user of Stripe's client: asks Stripe, and answers in plain dictionaries.

SDK objects never leave this module. Every call may take seconds, so none is made inside a
database transaction.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from itertools import islice
from typing import Any

import stripe

from settings import Settings

# Connecting and answering; Stripe's own default of 80 s would outlive a worker's task.
TIMEOUTS_SECONDS = (3.05, 5.0)
NETWORK_RETRIES = 1
PAGE = 100
# A list longer than this is none of ours; it bounds what one event can make us fetch.
ENTRIES_MAX = 5_000


class StripeUnavailable(Exception):  # noqa: N818 - it says what is the case.
    """Stripe did not answer, or refused; `detail` says which, without any secret."""

    def __init__(self, error: stripe.StripeError) -> None:
        self.request_id = error.request_id
        self.detail = f"{type(error).__name__}, HTTP {error.http_status or 'no answer'}"
        super().__init__(f"Stripe could not be asked: {self.detail}.")


class StripeMissing(StripeUnavailable):
    """Stripe answered that there is no such object for this key."""


class StripeBusy(StripeUnavailable):
    """Stripe answered that it is asked too often; `wait_seconds` is what it wishes, if it says."""

    def __init__(self, error: stripe.StripeError) -> None:
        super().__init__(error)
        told = str((error.headers or {}).get("retry-after", ""))
        self.wait_seconds = int(told) if told.isascii() and told.isdigit() else None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some of the account's events, newest first, as Stripe would send them; and if there are more.

    What is no object is left out.
    """

    events: list[dict[str, Any]]
    has_more: bool


class StripeGateway:
    """Questions to one Stripe account. Make it after fork: its connections are per process."""

    def __init__(self, settings: Settings) -> None:
        stripe.enable_telemetry = False
        self.api_version = stripe.api_version
        self._client = stripe.StripeClient(
            settings.stripe_secret_key,
            max_network_retries=NETWORK_RETRIES,
            http_client=stripe.RequestsClient(timeout=TIMEOUTS_SECONDS),
            base_addresses={"api": settings.stripe_api_base} if settings.stripe_api_base else {},
        )

    def invoice_lines(self, invoice_id: str) -> list[dict[str, Any]]:
        """Every line of an invoice. Raises `StripeUnavailable`."""
        lines = self._client.v1.invoices.line_items
        return self._whole(lambda: lines.list(invoice_id, {"limit": PAGE}))

    def subscription_items(self, subscription_id: str) -> list[dict[str, Any]]:
        """Every item of a subscription. Raises `StripeUnavailable`."""
        items = self._client.v1.subscription_items
        return self._whole(lambda: items.list({"subscription": subscription_id, "limit": PAGE}))

    def webhook_endpoints(self) -> list[dict[str, Any]]:
        """The account's webhook endpoints. Raises `StripeUnavailable`."""
        endpoints = self._client.v1.webhook_endpoints
        return self._whole(lambda: endpoints.list({"limit": PAGE}))

    def events(self, *, since: int, after: str = "") -> EventPage:
        """A page of the account's events of the second `since` (Stripe's) and later, newest first.

        `after` is the last event of the page before. Raises `StripeUnavailable`.
        """
        position = {"starting_after": after} if after else {}
        try:
            # Unlike SDK objects the answer itself keeps every value as Stripe wrote it.
            answer = self._client.raw_request(
                "get", "/v1/events", limit=PAGE, created={"gte": since}, **position
            )
        except stripe.StripeError as error:
            raise _refusal(error) from error
        page = json.loads(answer.body)
        found = [event for event in page.get("data") or () if isinstance(event, dict)]
        return EventPage(found, has_more=page.get("has_more") is True)

    def _whole(self, first_page: Callable[[], stripe.ListObject[Any]]) -> list[dict[str, Any]]:
        try:
            entries = islice(first_page().auto_paging_iter(), ENTRIES_MAX)
            return [entry.to_dict(for_json=True) for entry in entries]
        except stripe.StripeError as error:
            raise _refusal(error) from error

    def subscription(self, subscription_id: str) -> dict[str, Any]:
        """A subscription as it is now. Raises `StripeUnavailable`."""
        try:
            found = self._client.v1.subscriptions.retrieve(subscription_id)
        except stripe.StripeError as error:
            raise _refusal(error) from error
        return found.to_dict(for_json=True)


def _refusal(error: stripe.StripeError) -> StripeUnavailable:
    if error.http_status == HTTPStatus.NOT_FOUND:
        return StripeMissing(error)
    if error.http_status == HTTPStatus.TOO_MANY_REQUESTS:
        return StripeBusy(error)
    return StripeUnavailable(error)


def open_gateway(settings: Settings) -> StripeGateway | None:
    """A gateway where Stripe is enabled and a key is configured, else None."""
    if not (settings.stripe_enabled and settings.stripe_secret_key):
        return None
    return StripeGateway(settings)
