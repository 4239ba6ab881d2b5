"""What a user may use, and why."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fiko_client.errors import UnexpectedAnswer
from fiko_client.models import moment_of

# What names a feature in an item; whichever is there.
_NAMES = ("feature", "name", "id")


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature: whether it may be used now, how much of it, why, and until when.

    `limit` is None where there is none. `why` is for people and `code` for programs. `members` is
    the item as it came, with what would unlock it.
    """

    name: str
    allowed: bool
    limit: int | None = None
    why: str = ""
    code: str | None = None
    until: datetime | None = None
    members: Mapping[str, object] = field(default_factory=dict)


class Access(Mapping[str, Feature]):
    """Every feature by its name."""

    def __init__(self, features: Mapping[str, Feature]) -> None:
        self._features = dict(features)

    def __getitem__(self, name: str) -> Feature:
        return self._features[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._features)

    def __len__(self) -> int:
        return len(self._features)

    def allows(self, name: str) -> bool:
        """Whether a feature may be used; one that nobody has heard of may not."""
        feature = self._features.get(name)
        return feature is not None and feature.allowed


def access_of(items: list[object]) -> Access:
    """What the items of an answer allow."""
    features = [_feature(each) for each in items]
    return Access({each.name: each for each in features})


def _feature(told: object) -> Feature:
    if not isinstance(told, Mapping):
        raise UnexpectedAnswer("A feature is no object.")
    name = next((told[each] for each in _NAMES if isinstance(told.get(each), str)), None)
    if name is None:
        raise UnexpectedAnswer("A feature has no name.")
    limit = told.get("limit")
    text, code = _reason(told.get("why"))
    return Feature(
        name=name,
        # Only what says so is allowed.
        allowed=told.get("allowed") is True,
        limit=limit if isinstance(limit, int) and not isinstance(limit, bool) else None,
        why=text,
        code=code,
        until=moment_of(told.get("until")),
        members=dict(told),
    )


def _reason(told: object) -> tuple[str, str | None]:
    """Words and code: a reason is an object with both, or a word alone."""
    if isinstance(told, Mapping):
        return str(told.get("text") or ""), str(told.get("code") or "") or None
    return str(told or ""), None
