"""A webhook endpoint as Stripe keeps it, what ours must be, and how the two differ.

Stripe has two kinds of them: the classic ones of its API v1, and event destinations. Only these
can send thin events; both can send snapshots, in the version that they were made with.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import SplitResult, urlsplit

from domain.json_values import mapping_of, text_of

# Where the receiver listens; the contract names it.
PATH = "/billing/stripe/webhook/"
# What we write into the metadata of endpoints of our making.
OURS = "fiko_billing"
EVERY_TYPE = "*"
THIN_PREFIX = "v1."
# Types that an endpoint may send and need not: Stripe does not offer them to every account.
MAY_BE = frozenset({"v2.core.health.event_generation_failure.resolved"})


class Kind(StrEnum):
    """Which of Stripe's APIs an endpoint is of."""

    CLASSIC = "classic"
    DESTINATION = "destination"


class Style(StrEnum):
    """What an endpoint sends: the object as it was, or a notice that it changed."""

    SNAPSHOT = "snapshot"
    THIN = "thin"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint. `version` is empty where the account's default or none at all holds."""

    id: str
    kind: Kind
    url: str
    style: Style
    version: str
    types: frozenset[str]
    is_enabled: bool
    hears_others: bool = False
    metadata: Mapping[str, str] | None = None

    @property
    def mark(self) -> str:
        """What we wrote into its metadata, empty where we did not make it."""
        return (self.metadata or {}).get(OURS, "")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an endpoint of ours must be."""

    url: str
    style: Style
    version: str
    types: frozenset[str]


@dataclass(frozen=True, slots=True)
class Drift:
    """One way in which an endpoint is not what it must be, in words, and what mends it.

    `can_mend` says whether Stripe lets that be changed on an endpoint that is there. One that is
    not `is_grave` costs no event and misleads nobody.
    """

    what: str
    says: str
    cure: str
    can_mend: bool = False
    is_grave: bool = True


def types_for(style: Style, snapshot_types: Collection[str]) -> frozenset[str]:
    """The names that types of snapshots have in a style."""
    prefix = THIN_PREFIX if style is Style.THIN else ""
    return frozenset(f"{prefix}{name}" for name in snapshot_types)


def drift(endpoint: Endpoint, wanted: Wanted) -> list[Drift]:
    """Every way in which an endpoint differs from what is wanted; nothing where it is well."""
    found: list[Drift] = []
    if bare(endpoint.url) != bare(wanted.url):
        says = f"its URL is {endpoint.url}, not {wanted.url}"
        cure = "`webhook_endpoint check --mend` sets it, or create one for the new URL"
        found.append(Drift("url", says, cure, can_mend=True))
    if endpoint.style is Style.SNAPSHOT and endpoint.version != wanted.version:
        has = endpoint.version or "the account's default version"
        says = f"it sends {has} where this release is written for {wanted.version}"
        cure = f"`webhook_endpoint upgrade {wanted.version}`"
        found.append(Drift("version", says, cure, is_grave=bool(endpoint.version)))
    found += _drift_of_types(endpoint.types, wanted.types)
    if not endpoint.is_enabled:
        cure = "`webhook_endpoint check --mend` enables it; then `reconcile`"
        found.append(Drift("status", "it is disabled", cure, can_mend=True))
    if endpoint.hears_others:
        says = "it listens to connected accounts, whose events are left alone"
        cure = "make one that listens to your own account only, then delete this one"
        found.append(Drift("accounts", says, cure))
    return found


def _drift_of_types(has: frozenset[str], wants: frozenset[str]) -> list[Drift]:
    cure = "`webhook_endpoint check --mend` enables exactly those of docs/events.md"
    if EVERY_TYPE in has:
        says = "it sends every type, and most are of no use here"
        return [Drift("types", says, cure, can_mend=True, is_grave=False)]
    found = []
    if more := sorted(has - wants - MAY_BE):
        says = f"it sends {', '.join(more)}, of no use here"
        found.append(Drift("types", says, cure, can_mend=True, is_grave=False))
    if missing := sorted(wants - has):
        found.append(Drift("types", f"it lacks {', '.join(missing)}", cure, can_mend=True))
    return found


def is_for_us(endpoint: Endpoint) -> bool:
    """Whether an endpoint is one of ours: we made it, or it posts to the receiver's path."""
    return bool(endpoint.mark) or _parsed(endpoint.url).path.rstrip("/") == PATH.rstrip("/")


def bare(url: str) -> str:
    """A URL without its query, one slash at its end: by it endpoints are told apart."""
    parts = _parsed(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/".lower()


def whole(url: str) -> str:
    """The URL of the receiver's path where only a host is given, else the URL as it is."""
    return url.rstrip("/") + PATH if _parsed(url).path in ("", "/") else url


def of_classic(found: Mapping[str, Any]) -> Endpoint:
    """A `webhook_endpoint` of Stripe's API v1."""
    return Endpoint(
        id=str(found.get("id")),
        kind=Kind.CLASSIC,
        url=text_of(found.get("url")) or "",
        style=Style.SNAPSHOT,
        version=text_of(found.get("api_version")) or "",
        types=_types(found),
        is_enabled=found.get("status") == "enabled",
        hears_others=found.get("connect") is True or bool(found.get("application")),
        metadata=_metadata(found),
    )


def of_destination(found: Mapping[str, Any]) -> Endpoint | None:
    """A `v2.core.event_destination`; None for one that posts to no URL."""
    url = text_of(mapping_of(found.get("webhook_endpoint")).get("url"))
    if url is None:
        return None
    others = set(_texts(found.get("events_from"))) - {"@self", "self"}
    return Endpoint(
        id=str(found.get("id")),
        kind=Kind.DESTINATION,
        url=url,
        style=Style.THIN if found.get("event_payload") == "thin" else Style.SNAPSHOT,
        version=text_of(found.get("snapshot_api_version")) or "",
        types=_types(found),
        is_enabled=found.get("status") == "enabled",
        hears_others=bool(others),
        metadata=_metadata(found),
    )


def _types(found: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(_texts(found.get("enabled_events")))


def _metadata(found: Mapping[str, Any]) -> dict[str, str]:
    pairs = mapping_of(found.get("metadata")).items()
    return {name: word for name, word in pairs if isinstance(word, str)}


def _texts(value: object) -> Sequence[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _parsed(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")
