"""Webhook endpoints at Stripe, of both kinds: the classic ones and event destinations.

Neither kind has a call that rolls its secret: the dashboard alone can. A secret is told once, in
the answer that made the endpoint.
"""

from collections.abc import Iterable, Mapping
from urllib.parse import quote

from stripe_gateway.answers import Answer, objects
from stripe_gateway.client import ENTRIES_MAX, PAGE, Client
from stripe_gateway.errors import StripeListTooLong

_CLASSIC = "/v1/webhook_endpoints"
_DESTINATIONS = "/v2/core/event_destinations"
# Stripe leaves both out of what it answers unless they are asked for.
_URL, _SECRET = "webhook_endpoint.url", "webhook_endpoint.signing_secret"


class Endpoints:
    """Requests about the account's webhook endpoints; every one raises `StripeUnavailable`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def classic(self) -> list[Answer]:
        """Every endpoint of API v1."""
        return self._client.list_all("webhook_endpoints")

    def create_classic(
        self, url: str, types: Iterable[str], version: str, metadata: Mapping[str, str]
    ) -> Answer:
        """A new endpoint for the own account's events, with its secret; it begins at once.

        Without a `version` it sends the account's default one.
        """
        pinned = {"api_version": version} if version else {}
        return self._client.send(
            "post",
            _CLASSIC,
            url=url,
            enabled_events=sorted(types),
            connect=False,
            metadata=dict(metadata),
            **pinned,
        )

    def update_classic(self, endpoint_id: str, **changes: object) -> Answer:
        """A changed endpoint: its `url`, `enabled_events`, `disabled`, `metadata`."""
        return self._client.send("post", _one(_CLASSIC, endpoint_id), **changes)

    def delete_classic(self, endpoint_id: str) -> Answer:
        """An endpoint that is no more; Stripe forgets what it had not delivered to it."""
        return self._client.send("delete", _one(_CLASSIC, endpoint_id))

    def destinations(self) -> list[Answer]:
        """Every event destination, with its URL."""
        entries: list[Answer] = []
        page = self._client.send("get", _DESTINATIONS, limit=PAGE, include=[_URL])
        while True:
            entries += objects(page)
            following = page.get("next_page_url")
            if not (isinstance(following, str) and following.startswith("/v2/")):
                return entries
            if len(entries) > ENTRIES_MAX:
                raise StripeListTooLong("event_destinations", ENTRIES_MAX)
            page = self._client.send("get", following)

    def create_destination(
        self,
        url: str,
        types: Iterable[str],
        *,
        payload: str,
        version: str,
        name: str,
        metadata: Mapping[str, str],
    ) -> Answer:
        """A new destination for the own account's events, with its secret; it begins at once.

        `payload` is `snapshot` or `thin`; a thin one has no version.
        """
        pinned = {"snapshot_api_version": version} if payload == "snapshot" and version else {}
        return self._client.send(
            "post",
            _DESTINATIONS,
            name=name,
            type="webhook_endpoint",
            event_payload=payload,
            enabled_events=sorted(types),
            events_from=["@self"],
            webhook_endpoint={"url": url},
            include=[_SECRET, _URL],
            metadata=dict(metadata),
            **pinned,
        )

    def update_destination(self, destination_id: str, **changes: object) -> Answer:
        """A changed destination: its `webhook_endpoint`, `enabled_events`, `metadata`."""
        return self._client.send("post", _one(_DESTINATIONS, destination_id), **changes)

    def set_destination_enabled(self, destination_id: str, *, is_enabled: bool) -> Answer:
        """A destination that Stripe delivers to, or does not."""
        what = "enable" if is_enabled else "disable"
        return self._client.send("post", f"{_one(_DESTINATIONS, destination_id)}/{what}")

    def delete_destination(self, destination_id: str) -> Answer:
        """A destination that is no more."""
        return self._client.send("delete", _one(_DESTINATIONS, destination_id))


def _one(collection: str, object_id: str) -> str:
    return f"{collection}/{quote(object_id, safe='')}"
