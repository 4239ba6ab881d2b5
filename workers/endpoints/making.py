"""Makes our endpoint at Stripe, once: one that posts to the same URL is found and noted instead."""

from dataclasses import dataclass

from sqlalchemy import Engine

from db.endpoints import own
from db.endpoints.own import OwnEndpoint, hash_of
from domain.endpoints import endpoint as endpoints
from domain.endpoints.endpoint import Endpoint, Kind, Wanted
from workers.endpoints.remote import RemoteEndpoints

MARK = "endpoint"


@dataclass(frozen=True, slots=True)
class Result:
    """Our endpoint; `secret` is empty where it was there already, for Stripe tells it once."""

    endpoint: Endpoint
    secret: str

    @property
    def is_new(self) -> bool:
        """Whether it was made just now."""
        return bool(self.secret)


def existing(remote: RemoteEndpoints, wanted: Wanted) -> Endpoint | None:
    """The endpoint that posts this style to this URL already; the enabled one of several."""
    there = [
        each
        for each in remote.every()
        if endpoints.bare(each.url) == endpoints.bare(wanted.url) and each.style is wanted.style
    ]
    return min(there, key=lambda each: (not each.is_enabled, each.id), default=None)


def create(engine: Engine, remote: RemoteEndpoints, kind: Kind, wanted: Wanted) -> Result:
    """Make the endpoint, or find it; note which one it is."""
    endpoint = existing(remote, wanted)
    secret = ""
    if endpoint is None:
        made = remote.create(kind, wanted, MARK)
        endpoint, secret = made.endpoint, made.secret
    noted = OwnEndpoint(
        id=endpoint.id,
        kind=endpoint.kind.value,
        url=wanted.url,
        style=endpoint.style.value,
        secret_hash=hash_of(secret) if secret else None,
    )
    with engine.begin() as connection:
        own.note(connection, noted)
    return Result(endpoint, secret)
