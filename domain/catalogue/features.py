"""What a plan unlocks besides tokens, and what holds while its money is missing.

A feature is on or off (`api = true`) or a number (`seats = 5`); `true` where other plans have a
number means without limit. A policy says whether a subscription that is past due, unpaid or paused
still unlocks the features of its plans, for how long, or not at all.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

Features = Mapping[str, bool | int]

FEATURE_MAX = 10**9
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}\Z")
_GRACE = re.compile(r"([1-9][0-9]{0,4})(m|h|d|w)\Z")
_UNIT_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True)
class Policy:
    """Whether features stay, and for how many seconds; None is for as long as the state lasts."""

    allows: bool
    grace_seconds: int | None = None

    def __str__(self) -> str:
        if self.grace_seconds is None:
            return "allow" if self.allows else "refuse"
        return f"grace of {_shown(self.grace_seconds)}"


ALLOW = Policy(allows=True)
REFUSE = Policy(allows=False)


@dataclass(frozen=True, slots=True)
class Policies:
    """What holds in each state between paid and ended.

    What a file leaves out is as `is_active` says: past due still counts, the others do not.
    """

    past_due: Policy = ALLOW
    unpaid: Policy = REFUSE
    paused: Policy = REFUSE

    def differences(self, wanted: "Policies") -> tuple[str, ...]:
        """What changes when these become the wanted ones, in words."""
        return tuple(
            f"policy {state}: {before} -> {after}"
            for state in STATES
            if (before := getattr(self, state)) != (after := getattr(wanted, state))
        )


STATES = tuple(field.name for field in fields(Policies))


def read_features(value: object, problems: list[str]) -> dict[str, bool | int]:
    """The features that a plan's table names; what is wrong with them is added to `problems`."""
    if not isinstance(value, Mapping):
        problems.append("must be a table, as { api = true, seats = 5 }")
        return {}
    for name, granted in value.items():
        if not _NAME.match(name):
            problems.append(
                f"has {name!r}; a name is a letter, then letters, digits, '_', '-' and '.',"
                " 64 together at most"
            )
        if not isinstance(granted, int) or not 0 <= granted <= FEATURE_MAX:
            problems.append(f"has {name}, which must be true, false or a number to {FEATURE_MAX}")
    return dict(value)


def read_policies(value: object, problems: list[str]) -> Policies:
    """The policies that a file names; what is wrong with them is added to `problems`."""
    if not isinstance(value, Mapping):
        problems.append(f"must be a table of {', '.join(STATES)}")
        return Policies()
    problems.extend(
        f"has {state}; there are {', '.join(STATES)}"
        for state in sorted(value.keys() - set(STATES))
    )
    return Policies(**dict(_each_policy(value, problems)))


def _each_policy(table: Mapping[str, object], problems: list[str]) -> Iterator[tuple[str, Policy]]:
    for state in STATES:
        if state not in table:
            continue
        policy = _policy(table[state])
        if policy is None:
            problems.append(
                f'has {state}, which must be "allow", "refuse" or {{ grace = "7d" }}'
                " (a whole number of m, h, d or w)"
            )
        else:
            yield state, policy


def _policy(value: object) -> Policy | None:
    if value in ("allow", "refuse"):
        return ALLOW if value == "allow" else REFUSE
    grace = value.get("grace") if isinstance(value, Mapping) and len(value) == 1 else None
    matched = _GRACE.match(grace) if isinstance(grace, str) else None
    return Policy(allows=True, grace_seconds=_seconds(matched)) if matched else None


def _seconds(grace: re.Match[str]) -> int:
    return int(grace[1]) * _UNIT_SECONDS[grace[2]]


def _shown(seconds: int) -> str:
    unit = next(unit for unit in "dhm" if seconds % _UNIT_SECONDS[unit] == 0)
    return f"{seconds // _UNIT_SECONDS[unit]}{unit}"
