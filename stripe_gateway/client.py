"""Sends requests through Stripe's client, and reads answers and lists."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import stripe

from settings import Settings
from stripe_gateway.answers import Answer, answered_created, objects
from stripe_gateway.errors import StripeListTooLong, refusal

# Connecting and answering. Two calls that both answer only when asked again stay below the 20 s
# that a frontend may wait; Stripe's own default of 80 s would outlive a worker's task.
TIMEOUTS_SECONDS = (3.05, 4.5)
NETWORK_RETRIES = 1
PAGE = 100
# A list longer than this is none of ours; it bounds what one event can make us fetch.
ENTRIES_MAX = 5_000


class Client:
    """Requests to one Stripe account; each raises `StripeUnavailable`. Threads may share it."""

    def __init__(self, settings: Settings) -> None:
        stripe.enable_telemetry = False
        self._client = stripe.StripeClient(
            settings.stripe_secret_key,
            max_network_retries=NETWORK_RETRIES,
            http_client=stripe.RequestsClient(timeout=TIMEOUTS_SECONDS),
            base_addresses={"api": settings.stripe_api_base} if settings.stripe_api_base else {},
        )

    def get(self, path: str, **params: object) -> Answer:
        """What is at a path, which begins after `/v1/`."""
        return self._ask("get", path, params)

    def get_at(self, path: str) -> Answer:
        """What is at a whole path, of either API."""
        return self._send("get", path, {})

    def post(
        self, path: str, params: Mapping[str, Any], idempotency_key: str | None = None
    ) -> Answer:
        """What Stripe answers to these parameters."""
        key = {"idempotency_key": idempotency_key} if idempotency_key else {}
        return self._ask("post", path, {**params, **key})

    def send(self, method: str, address: str, **params: object) -> Answer:
        """What Stripe answers to a request of any method; the address begins with its version."""
        return self._send(method, address, params)

    def _ask(self, method: str, path: str, params: Mapping[str, Any]) -> Answer:
        return self._send(method, f"/v1/{path}", params)

    def _send(self, method: str, address: str, params: Mapping[str, Any]) -> Answer:
        began = time.monotonic()
        try:
            # Unlike SDK objects the answer itself keeps every value as Stripe wrote it.
            answer = self._client.raw_request(method, address, **params)
        except stripe.StripeError as error:
            raise refusal(error) from error
        content = json.loads(answer.body)
        second = answered_created(answer.headers, time.monotonic() - began)
        return Answer(content if isinstance(content, dict) else {}, second)

    def list_all(self, path: str, **params: object) -> list[Answer]:
        """Every entry of a list; raises `StripeListTooLong` rather than to leave one out."""
        entries: list[Answer] = []
        for entry in self.iterate(path, **params):
            if len(entries) == ENTRIES_MAX:
                raise StripeListTooLong(path, ENTRIES_MAX)
            entries.append(entry)
        return entries

    def iterate(self, path: str, after: str = "", /, **params: object) -> Iterator[Answer]:
        """Every entry of a list, page by page; `after` is the last one that was read before."""
        position = {"starting_after": after} if after else {}
        while True:
            page = self.get(path, limit=PAGE, **params, **position)
            entries = objects(page)
            yield from entries
            if not entries or page.get("has_more") is not True:
                return
            position = {"starting_after": entries[-1]["id"]}
