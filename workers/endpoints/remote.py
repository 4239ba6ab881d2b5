"""The account's webhook endpoints, of whichever of Stripe's two kinds, as one thing."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from domain.endpoints import endpoint as endpoints
from domain.endpoints.endpoint import OURS, Endpoint, Kind, Style, Wanted
from stripe_gateway import (
    Answer,
    Endpoints,
    StripeGateway,
    StripeKeyRefused,
    StripeMissing,
    StripeRefused,
)

NAME = "Fiko Billing"
CLASSIC_ID = "we_"


@dataclass(frozen=True, slots=True)
class Made:
    """A new endpoint with its secret, which Stripe tells this once."""

    endpoint: Endpoint
    secret: str


class RemoteEndpoints:
    """Requests about endpoints; every one raises `StripeUnavailable`."""

    def __init__(self, gateway: StripeGateway) -> None:
        self._stripe: Endpoints = gateway.endpoints

    def every(self) -> list[Endpoint]:
        """All endpoints of the account that post to a URL.

        Without event destinations where the key may not read them, or where Stripe has none.
        """
        found = map(endpoints.of_destination, self._destinations())
        destinations = {each.id: each for each in found if each}
        classic = [endpoints.of_classic(answer) for answer in self._stripe.classic()]
        # Either list may show what is of the other kind, and the id tells which it is.
        classic = [
            each
            for each in classic
            if each.id.startswith(CLASSIC_ID) or each.id not in destinations
        ]
        ids = {each.id for each in classic}
        return classic + [each for each in destinations.values() if each.id not in ids]

    def _destinations(self) -> Sequence[Answer]:
        try:
            return self._stripe.destinations()
        except (StripeKeyRefused, StripeMissing, StripeRefused):
            return ()

    def create(self, kind: Kind, wanted: Wanted, mark: str) -> Made:
        """Make an endpoint; Stripe delivers to it at once. `mark` goes into its metadata."""
        metadata = {OURS: mark}
        if kind is Kind.CLASSIC:
            answer = self._stripe.create_classic(wanted.url, wanted.types, wanted.version, metadata)
            return Made(endpoints.of_classic(answer), str(answer.get("secret") or ""))
        answer = self._stripe.create_destination(
            wanted.url,
            wanted.types,
            payload=wanted.style.value,
            version=wanted.version,
            name=NAME,
            metadata=metadata,
        )
        details = answer.get("webhook_endpoint") or {}
        endpoint = endpoints.of_destination(answer)
        if endpoint is None:
            raise LookupError(f"Stripe made {answer.get('id')} and does not tell its URL")
        return Made(endpoint, str(details.get("signing_secret") or ""))

    def set_enabled(self, kind: Kind, endpoint_id: str, *, is_enabled: bool) -> None:
        """Have Stripe deliver to an endpoint, or not."""
        if kind is Kind.CLASSIC:
            self._stripe.update_classic(endpoint_id, disabled=not is_enabled)
        else:
            self._stripe.set_destination_enabled(endpoint_id, is_enabled=is_enabled)

    def set_url(self, kind: Kind, endpoint_id: str, url: str) -> None:
        """Have Stripe deliver elsewhere."""
        if kind is Kind.CLASSIC:
            self._stripe.update_classic(endpoint_id, url=url)
        else:
            self._stripe.update_destination(endpoint_id, webhook_endpoint={"url": url})

    def set_types(self, kind: Kind, endpoint_id: str, types: Collection[str]) -> None:
        """Have Stripe deliver exactly these types."""
        if kind is Kind.CLASSIC:
            self._stripe.update_classic(endpoint_id, enabled_events=sorted(types))
        else:
            self._stripe.update_destination(endpoint_id, enabled_events=sorted(types))

    def delete(self, kind: Kind, endpoint_id: str) -> None:
        """Remove an endpoint; one that is gone already is no error."""
        try:
            if kind is Kind.CLASSIC:
                self._stripe.delete_classic(endpoint_id)
            else:
                self._stripe.delete_destination(endpoint_id)
        except StripeMissing:
            return


def wanted_of(style: Style, url: str, version: str, snapshot_types: Collection[str]) -> Wanted:
    """What an endpoint of ours must be."""
    return Wanted(url, style, version, endpoints.types_for(style, snapshot_types))
