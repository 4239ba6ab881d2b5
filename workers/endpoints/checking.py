"""What is to be said of the account's webhook endpoints; `check` and `doctor` say the same."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Engine

from db.endpoints import changes, own
from db.endpoints.changes import Change, State
from db.endpoints.own import OwnEndpoint, hash_of
from domain.decode import DECODERS
from domain.endpoints import endpoint as endpoints
from domain.endpoints.endpoint import Drift, Endpoint, Wanted
from domain.endpoints.shadow import is_shadow
from stripe_gateway import StripeGateway
from workers.endpoints.remote import RemoteEndpoints, wanted_of

_LEFT = "left over"


@dataclass(frozen=True, slots=True)
class Checked:
    """One endpoint, how it drifts, and anything else worth saying of it.

    `is_ours` says whether it posts to us; of others only what concerns us is said.
    """

    endpoint: Endpoint
    wanted: Wanted
    is_ours: bool
    drift: Sequence[Drift]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """All endpoints of the account; `missing` says so where there is none that is ours."""

    checked: Sequence[Checked]
    missing: str = ""

    @property
    def ours(self) -> Sequence[Checked]:
        """Those that post to us."""
        return [each for each in self.checked if each.is_ours]


def look(engine: Engine, gateway: StripeGateway, *, url: str = "") -> Look:
    """Compare every endpoint with what ours must be. `url` is where it must post, where given."""
    with engine.connect() as connection:
        noted, change = own.noted(connection), changes.under_way(connection)
    found = RemoteEndpoints(gateway).every()
    return judged(found, noted, change, version=gateway.api_version, url=url)


def of_secrets(engine: Engine, secrets: Sequence[str]) -> list[tuple[str, str]]:
    """What is wrong with the secrets that are set, and its cure, as far as hashes can tell."""
    with engine.connect() as connection:
        noted, last = own.noted(connection), changes.last(connection)
    hashes = {hash_of(secret) for secret in secrets}
    found = []
    if noted and noted.secret_hash and noted.secret_hash not in hashes:
        says = f"STRIPE_WEBHOOK_SECRET lacks the secret of our endpoint, {noted.id}"
        found.append((says, "set it; if nobody has it any more, `webhook_endpoint rotate`"))
    if last and last.state is State.DONE and last.old_secret_hash in hashes:
        says = f"STRIPE_WEBHOOK_SECRET still holds the secret of {last.old_id}, which is gone"
        found.append((says, "take it out of the environment of every receiver"))
    return found


def judged(
    found: Sequence[Endpoint],
    noted: OwnEndpoint | None,
    change: Change | None,
    *,
    version: str,
    url: str = "",
    types: Collection[str] = tuple(DECODERS),
) -> Look:
    """The same of what is given; asks nobody."""
    where = endpoints.whole(url) if url else (noted.url if noted else "")
    checked = [
        _checked(
            each,
            wanted_of(each.style, where or each.url, version, types),
            change,
            is_ours=_is_ours(each, noted, where),
        )
        for each in found
    ]
    missing = ""
    if noted and not any(each.id == noted.id for each in found) and not change:
        missing = f"the endpoint that we made, {noted.id}, is gone"
    elif not any(each.is_ours for each in checked):
        missing = f"Stripe has no endpoint of this account for {where or endpoints.PATH}"
    return Look([*_told_twice(checked, change)], missing)


def _is_ours(endpoint: Endpoint, noted: OwnEndpoint | None, where: str) -> bool:
    if not where:
        return endpoints.is_for_us(endpoint)
    # Another installation may have endpoints in the same account.
    is_noted = noted is not None and noted.id == endpoint.id
    return is_noted or endpoints.bare(endpoint.url) == endpoints.bare(where)


def _checked(
    endpoint: Endpoint, wanted: Wanted, change: Change | None, *, is_ours: bool
) -> Checked:
    if change is not None and endpoint.id == change.new_id:
        note = f"the second endpoint of the {change.purpose} that is under way ({change.state})"
        return Checked(endpoint, wanted, is_ours, (), note)
    drift = endpoints.drift(endpoint, wanted)
    if not is_ours:
        drift = [each for each in drift if each.what == "accounts"]
    elif is_shadow(endpoint.url.partition("?")[2]):
        cure = f"delete {endpoint.id} at Stripe"
        drift = [Drift(_LEFT, "it is of an upgrade that is over", cure)]
    elif change is not None and endpoint.id == change.old_id:
        drift = [each for each in drift if each.what != "version"]
    return Checked(endpoint, wanted, is_ours, drift, "" if is_ours else "it posts elsewhere")


def _told_twice(checked: Sequence[Checked], change: Change | None) -> list[Checked]:
    """The same, saying of each endpoint of ours that another one sends the same events."""
    seen: dict[tuple[str, str], str] = {}
    told = []
    for each in checked:
        key = (endpoints.bare(each.endpoint.url), each.endpoint.style.value)
        is_left = any(one.what == _LEFT for one in each.drift)
        is_counted = each.is_ours and each.endpoint.is_enabled and not (each.note or is_left)
        drift = list(each.drift)
        if is_counted and key in seen and change is None:
            says = f"{seen[key]} sends the same events to the same URL"
            drift.append(Drift("twice", says, "delete one of the two at Stripe"))
        if is_counted:
            seen.setdefault(key, each.endpoint.id)
        told.append(replace(each, drift=drift))
    return told
