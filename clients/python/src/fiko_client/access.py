"""What a user may use, and why."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fiko_client.errors import UnexpectedAnswer
from fiko_client.models import MOMENT, PlanType, Record, many, one, read


@dataclass(frozen=True, slots=True)
class Reason(Record):
    """Why a feature is allowed or not: `code` for programs, `text` for people."""

    code: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Unlocking(Record):
    """A plan on sale that unlocks a feature.

    `checkout` is the body for the checkout call; None for who has a full plan already, and changes
    it in the portal.
    """

    plan_id: int
    plan_type: PlanType
    name: str
    limit: int | None = None
    checkout: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Feature(Record):
    """One feature, as it stands for a user.

    `limit` is None where there is none. `until` is when `allowed` or `limit` changes by itself.
    `plan_id` and `held_by` are the plan that decides, and the subscription or payment behind it.
    """

    allowed: bool
    limit: int | None
    why: Reason = field(metadata={"convert": one(Reason)})
    until: datetime | None = field(default=None, metadata=MOMENT)
    plan_id: int | None = None
    held_by: str | None = None
    unlocked_by: tuple[Unlocking, ...] = field(default=(), metadata={"convert": many(Unlocking)})


class Access(Mapping[str, Feature]):
    """Every feature by its name; `until` is when any of it changes by itself."""

    def __init__(self, features: Mapping[str, Feature], until: datetime | None = None) -> None:
        self._features = dict(features)
        self.until = until

    def __getitem__(self, name: str) -> Feature:
        return self._features[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._features)

    def __len__(self) -> int:
        return len(self._features)

    def allows(self, name: str) -> bool:
        """Whether a feature may be used; one that nobody has heard of may not."""
        feature = self._features.get(name)
        # Only what says so is allowed.
        return feature is not None and feature.allowed is True


def access_of(told: Mapping[str, object]) -> Access:
    """What an answer allows."""
    features = told.get("features")
    if not isinstance(features, Mapping):
        raise UnexpectedAnswer("The answer has no features.")
    until = read(_Until, told).until
    return Access({str(name): read(Feature, each) for name, each in features.items()}, until)


@dataclass(frozen=True, slots=True)
class _Until(Record):
    until: datetime | None = field(default=None, metadata=MOMENT)
