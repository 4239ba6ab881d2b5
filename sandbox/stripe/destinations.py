"""Where the account's events go: every endpoint with its style, version, types and secrets.

Whichever API made a destination, classic webhook endpoints or event destinations, it is one of
these. Pure: `keeper` keeps them, `webhooks` posts to them.
"""

import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from sandbox.simulate.engine import Event
from sandbox.simulate.thin import TYPE_PREFIX
from sandbox.simulate.versions import ApiVersion, is_told

Style = Literal["snapshot", "thin"]
STYLES: tuple[Style, ...] = ("snapshot", "thin")
EVERYTHING = "*"
# The endpoint that the offline Stripe is served with; its version follows the switches.
DEFAULT_ID = "we_1OfflineEndpoint"
DESTINATIONS_MAX = 16
# While a secret is rolled the old one signs too, for a day at most.
ROLL_SECONDS_MAX = 86_400
_SECRET_BYTES = 24


@dataclass(frozen=True, slots=True)
class Secret:
    """A signing secret; it signs until a Unix time of the wall clock, None for good."""

    value: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Destination:
    """One endpoint. Without a `version` it is told in that of the switches; thin ones have none.

    `types` are as the API takes them: `invoice.paid`, for a thin one `v1.invoice.paid`, or `*`.
    Of several live `secrets` each signs every delivery. `created` and `updated` are seconds of the
    account's clock.
    """

    id: str
    url: str
    secrets: tuple[Secret, ...]
    style: Style = "snapshot"
    version: str | None = None
    types: tuple[str, ...] = (EVERYTHING,)
    enabled: bool = True
    name: str = ""
    description: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    created: int = 1_700_000_000
    updated: int = 1_700_000_000

    def wants(self, event: Event, own_version: str) -> bool:
        """Whether it is told of an event; `own_version` is that of the switches."""
        if not self.enabled:
            return False
        if self.style == "thin":
            return self._names(thin_type(event.type))
        version = ApiVersion(self.version or own_version)
        if event.type.startswith("v2.") or not is_told(event.type, version):
            return False
        return self._names(event.type)

    def _names(self, kind: str) -> bool:
        return EVERYTHING in self.types or kind in self.types

    def live_secrets(self, now: float) -> tuple[str, ...]:
        """The secrets that sign at a Unix time, the newest first."""
        live = [one.value for one in self.secrets if one.until is None or one.until > now]
        return tuple(reversed(live))

    def rolled(self, now: float, keep_seconds: float) -> "Destination":
        """The same with a new secret; what signed so far does so for so many seconds more."""
        until = now + min(max(keep_seconds, 0.0), ROLL_SECONDS_MAX)
        before = tuple(
            replace(one, until=min(one.until or until, until))
            for one in self.secrets
            if one.until is None or one.until > now
        )
        return replace(self, secrets=(*before, new_secret()))

    def as_json(self) -> dict[str, Any]:
        """It as JSON, to be kept."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "Destination":
        """The destination that was kept so."""
        signing = tuple(Secret(**one) for one in kept["secrets"])
        return cls(**{**kept, "secrets": signing, "types": tuple(kept["types"])})


def thin_type(kind: str) -> str:
    """The type of the thin event of an event."""
    return kind if kind.startswith("v2.") else f"{TYPE_PREFIX}{kind}"


def new_secret() -> Secret:
    """A signing secret as Stripe draws them."""
    return Secret(f"whsec_{secrets.token_hex(_SECRET_BYTES)}")


def versions_of(destinations: Iterable[Destination]) -> frozenset[str]:
    """The versions that some endpoint has of its own."""
    return frozenset(
        one.version for one in destinations if one.style == "snapshot" and one.version is not None
    )
