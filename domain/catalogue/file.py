"""A catalogue file: read from parsed TOML with every problem named.

The file's shape is contract §5.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.catalogue.features import Features, Policies, read_features, read_policies
from domain.catalogue.plans import INTERVAL_COUNT_MAX, Plan, PlanType
from domain.errors import CatalogueError

_ID_MAX = 2**31 - 1
# Stands for an id that could not be read, so that two of them are no clash.
_NO_ID = -1
_AMOUNT_MAX = 10**15
_WITHOUT_TOKENS = "prices_without_tokens"
_POLICIES = "policies"
_TOP_KEYS = frozenset({"plans", _POLICIES, _WITHOUT_TOKENS})
_KEYS = frozenset(
    {
        "id",
        "type",
        "name",
        "description",
        "tokens",
        "interval",
        "interval_count",
        "prices",
        "stripe_price_ids",
        "trial_days",
        "trial_tokens",
        "features",
        "active",
    }
)
_INTERVALS = (None, *INTERVAL_COUNT_MAX)
_CURRENCY = re.compile(r"[a-z]{3}\Z")


@dataclass(slots=True)
class _Reader:
    """Reads one `[[plans]]` table and collects what is wrong with it."""

    table: Mapping[str, Any]
    place: str
    problems: list[str] = field(default_factory=list)

    def whole(self, key: str, default: int | None = None, maximum: int = _AMOUNT_MAX) -> int:
        value = self.table.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= maximum:
            self.refuse(key, f"must be a whole number from 0 to {maximum}")
            return _NO_ID
        return value

    def words(self, key: str, default: str | None = None) -> str:
        value = self.table.get(key, default)
        if not isinstance(value, str) or "\0" in value or (default is None and not value):
            self.refuse(key, "must be a text")
            return ""
        return value

    def choice(self, key: str, choices: Iterable[Any]) -> Any:  # noqa: ANN401 - one of choices.
        value = self.table.get(key)
        if value not in choices:
            named = ", ".join(str(choice) for choice in choices if choice)
            self.refuse(key, f"must be one of: {named}")
        return value

    def by_currency(self, key: str, kind: type[int] | type[str]) -> dict[str, Any]:
        amounts = self.table.get(key, {})
        if not isinstance(amounts, Mapping):
            self.refuse(key, "must be a table of currency = value")
            return {}
        read: dict[str, Any] = {}
        for currency, value in amounts.items():
            is_fit = isinstance(value, kind) and not isinstance(value, bool) and _is_sane(value)
            # What is refused leaves its currency behind, so that one mistake is told once.
            read[currency] = value if is_fit else kind()
            if not _CURRENCY.match(currency):
                self.refuse(key, f"has {currency!r}, which is no lower-case currency code")
            elif not is_fit:
                self.refuse(key, f"has a value for {currency} that is not allowed")
        return read

    def interval(self, *, is_needed: bool) -> tuple[str | None, int]:
        """The interval and how many of it make a period."""
        interval = self.choice("interval", _INTERVALS)
        count = self.table.get("interval_count", 1)
        if interval is None:
            if is_needed:
                self.refuse("interval", "must be day, week, month or year for a full plan")
            elif "interval_count" in self.table:
                self.refuse("interval_count", "needs an interval")
            return None, 1
        if not isinstance(interval, str) or interval not in INTERVAL_COUNT_MAX:
            return None, 1
        maximum = INTERVAL_COUNT_MAX[interval]
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= maximum:
            self.refuse("interval_count", f"must be a whole number from 1 to {maximum}")
            return interval, 1
        return interval, count

    def features(self) -> Features:
        """What the plan unlocks."""
        wrong: list[str] = []
        read = read_features(self.table.get("features", {}), wrong)
        for why in wrong:
            self.refuse("features", why)
        return read

    def refuse(self, key: str, why: str) -> None:
        self.problems.append(f"{self.place}: {key} {why}.")


@dataclass(frozen=True, slots=True)
class CatalogueFile:
    """What a file says: plans, each as its version 1, prices that sell no tokens, policies."""

    plans: tuple[Plan, ...]
    prices_without_tokens: frozenset[str] = frozenset()
    policies: Policies = field(default_factory=Policies)


def _is_sane(value: int | str) -> bool:
    if isinstance(value, int):
        return 0 <= value <= _AMOUNT_MAX
    return bool(value) and "\0" not in value


def read_catalogue(document: Mapping[str, Any]) -> CatalogueFile:
    """What a parsed catalogue file says.

    Raises `CatalogueError` naming every problem found, one a line.
    """
    problems = [
        f"The file: {key} is not known; at its top there are {', '.join(sorted(_TOP_KEYS))}."
        for key in sorted(document.keys() - _TOP_KEYS)
    ]
    tables = document.get("plans")
    if not isinstance(tables, list) or not tables:
        raise CatalogueError("\n".join([*problems, "The file has no [[plans]] tables."]))
    plans = [_read_plan(table, number, problems) for number, table in enumerate(tables, start=1)]
    without_tokens = _read_tokenless(document, problems)
    wrong: list[str] = []
    policies = read_policies(document.get(_POLICIES, {}), wrong)
    problems.extend(f"The file: {_POLICIES} {why}." for why in wrong)
    problems.extend(_clashes(plans, without_tokens))
    if problems:
        raise CatalogueError("\n".join(problems))
    return CatalogueFile(tuple(plans), without_tokens, policies)


def _read_tokenless(document: Mapping[str, Any], problems: list[str]) -> frozenset[str]:
    price_ids = document.get(_WITHOUT_TOKENS, [])
    is_list = isinstance(price_ids, list)
    if not is_list or not all(
        isinstance(price_id, str) and _is_sane(price_id) for price_id in price_ids
    ):
        problems.append(f"The file: {_WITHOUT_TOKENS} must be a list of Stripe price ids.")
        return frozenset()
    return frozenset(price_ids)


def _read_plan(table: object, number: int, problems: list[str]) -> Plan:
    fields = table if isinstance(table, Mapping) else {}
    reader = _Reader(fields, f"plan {fields.get('id', f'number {number}')}")
    for key in sorted(fields.keys() - _KEYS):
        is_of_file = key in _TOP_KEYS
        place = "belongs above the first [[plans]]"
        reader.refuse(key, place if is_of_file else "is not known")
    plan_type: PlanType = reader.choice("type", ("full", "token"))
    interval, interval_count = reader.interval(is_needed=plan_type == "full")
    prices = reader.by_currency("prices", int)
    if not prices:
        reader.refuse("prices", "must name at least one currency")
    price_ids = reader.by_currency("stripe_price_ids", str)
    for currency in sorted(price_ids.keys() - prices.keys()):
        reader.refuse("stripe_price_ids", f"has {currency}, for which prices has no amount")
    for price_id, times in Counter(filter(None, price_ids.values())).items():
        if times > 1:
            reader.refuse("stripe_price_ids", f"has {price_id} twice; each currency needs its own")
    if not isinstance(fields.get("active", True), bool):
        reader.refuse("active", "must be true or false")
    plan = Plan(
        id=reader.whole("id", maximum=_ID_MAX),
        version=1,
        type=plan_type,
        name=reader.words("name"),
        description=reader.words("description", ""),
        tokens=reader.whole("tokens"),
        interval=interval,
        interval_count=interval_count,
        trial_days=reader.whole("trial_days", 0, maximum=730),
        trial_tokens=reader.whole("trial_tokens", 0),
        features=reader.features(),
        active=bool(fields.get("active", True)),
        prices=prices,
        stripe_price_ids={price_id: currency for currency, price_id in price_ids.items()},
    )
    problems.extend(reader.problems)
    return plan


def _clashes(plans: list[Plan], without_tokens: frozenset[str]) -> list[str]:
    problems = []
    ids: set[int] = set()
    owners: dict[str, int] = {}
    for plan in plans:
        if plan.id in ids and plan.id != _NO_ID:
            problems.append(f"plan {plan.id}: id is used twice.")
        ids.add(plan.id)
        for price_id in plan.stripe_price_ids:
            if price_id in without_tokens:
                problems.append(
                    f"plan {plan.id}: stripe_price_ids has {price_id}, which {_WITHOUT_TOKENS}"
                    " has too."
                )
            if price_id and owners.setdefault(price_id, plan.id) != plan.id:
                problems.append(
                    f"plan {plan.id}: stripe_price_ids has {price_id},"
                    f" which plan {owners[price_id]} has too."
                )
    return problems
