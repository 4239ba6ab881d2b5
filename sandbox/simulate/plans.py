"""What can be sold: the plans of a catalogue file that the running server confirms.

Never trusts the file alone: a plan is sold with its price ids and trial only when the server
lists the same id, tokens and prices; any other plan of the server is sold at an inline price.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

# For how long a contract in such a state still gives what it sells, in seconds; None for ever.
Patience = Mapping[str, int | None]
# What `up` sells until somebody loads a catalogue.
SAMPLE_PLANS = Path(__file__).resolve().parent.parent / "sample_plans.toml"


class CatalogueError(Exception):
    """The catalogue file cannot be read, or nothing the server lists can be sold."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan as the catalogue has it; `prices` are minor units by currency."""

    id: int
    type: str
    name: str
    tokens: int
    interval: str | None
    prices: Mapping[str, int]
    price_ids: Mapping[str, str] = field(default_factory=dict)
    trial_days: int = 0
    trial_tokens: int = 0
    active: bool = True
    interval_count: int = 1
    # Earlier terms of the plan, newest first: nobody can buy them, who has them renews them.
    former: tuple["Plan", ...] = ()
    # New fields come last: a saved account has its plans' fields by position.
    features: Mapping[str, bool | int] = field(default_factory=dict)

    def __setstate__(self, state: Sequence[object]) -> None:
        """Read a saved plan; one that was saved before it had features has none."""
        names = [one.name for one in fields(self)]
        for name, value in zip(names, [*state, {}], strict=False):
            object.__setattr__(self, name, value)

    def risen_from(self, older: Iterable["Plan"]) -> "Plan":
        """Return the plan with the terms it had in an older catalogue, if they are others.

        Only a renewing plan keeps old buyers, and only at price ids of their own.
        """
        for one in older:
            renamed = not set(one.price_ids.values()) & set(self.price_ids.values())
            if one.id == self.id and self.recurring and one.price_ids and renamed:
                return replace(self, former=(one,))
        return self

    @property
    def recurring(self) -> bool:
        """Whether the plan renews."""
        return self.interval is not None

    def same_offer(self, other: "Plan") -> bool:
        """Whether both describe the same thing at the same prices."""
        mine = (self.id, self.type, self.tokens, self.interval, self.interval_count)
        its = (other.id, other.type, other.tokens, other.interval, other.interval_count)
        return mine == its and dict(self.prices) == dict(other.prices)


@dataclass(frozen=True, slots=True)
class Selection:
    """The plans to sell, and what the user should know about how they were chosen.

    `is_confirmed` says that all of them are the file's, so that it is known what they unlock.
    """

    plans: tuple[Plan, ...]
    notes: tuple[str, ...]
    is_confirmed: bool = True


def _plan(table: Mapping[str, Any], type_key: str) -> Plan:
    return Plan(
        id=int(table["id"]),
        type=str(table[type_key]),
        name=str(table["name"]),
        tokens=int(table["tokens"]),
        interval=table.get("interval") or None,
        prices={str(k).lower(): int(v) for k, v in table["prices"].items()},
        price_ids={str(k).lower(): str(v) for k, v in table.get("stripe_price_ids", {}).items()},
        trial_days=int(table.get("trial_days", 0)),
        trial_tokens=int(table.get("trial_tokens", 0)),
        active=bool(table.get("active", True)),
        interval_count=int(table.get("interval_count") or 1),
        features=dict(table.get("features", {})),
    )


def read_file(path: Path) -> tuple[Plan, ...]:
    """Read the plans of a catalogue file; CatalogueError says what is wrong with it."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("plans", [])
        return tuple(_plan(table, "type") for table in tables)
    except OSError as error:
        raise CatalogueError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise CatalogueError(f"{path}: is no catalogue of plans: {error}") from error


def read_patience(path: Path) -> Patience:
    """Read for how long plans unlock what they do while money is missing.

    CatalogueError says what is wrong with the file.
    """
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8")).get("policies", {})
        states = {"past_due": "allow", "unpaid": "refuse", "paused": "refuse"} | said
        return {
            state: None if word == "allow" else _seconds(word["grace"])
            for state, word in states.items()
            if word != "refuse"
        }
    except OSError as error:
        raise CatalogueError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise CatalogueError(f"{path}: has policies that are none: {error}") from error


def _seconds(duration: str) -> int:
    """Seconds of a duration such as `7d`."""
    return int(duration[:-1]) * {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}[duration[-1]]


def from_listing(items: Iterable[Mapping[str, Any]]) -> tuple[Plan, ...]:
    """Turn the items of the server's plan lists into plans; they carry no price ids, no trial."""
    return tuple(_plan(item, "plan_type") for item in items)


def offer(in_file: Iterable[Plan], on_server: Iterable[Plan]) -> Selection:
    """Choose what to sell; CatalogueError when the server lists nothing that can be sold."""
    plans_in_file = {plan.id: plan for plan in in_file if plan.active}
    chosen: list[Plan] = []
    unconfirmed: list[str] = []
    for listed in on_server:
        ours = plans_in_file.get(listed.id)
        if ours is not None and ours.same_offer(listed):
            chosen.append(ours)
        else:
            unconfirmed.append(f"{listed.id} ({listed.name})")
            chosen.append(listed)
    if not chosen:
        raise CatalogueError(
            "the server lists no plans, so there is nothing to sell: "
            "load a catalogue with `load_plans FILE` and try again"
        )
    return Selection(tuple(chosen), _notes(unconfirmed, chosen), not unconfirmed)


def _notes(unconfirmed: list[str], chosen: list[Plan]) -> tuple[str, ...]:
    notes = []
    if unconfirmed:
        notes.append(
            f"plans {', '.join(unconfirmed)} differ from the catalogue file (name yours with "
            "--plans): sold at inline prices by metadata.plan_id, without trials and upgrades"
        )
    if not any(plan.recurring for plan in chosen):
        notes.append("no plan renews: no subscription stories")
    if all(plan.recurring for plan in chosen):
        notes.append("every plan renews: no one-time package stories")
    return tuple(notes)
