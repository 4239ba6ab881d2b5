"""What a subscription was ever reported to be: the plans it named, its trials, its items.

Reports come and go, and a subscription's row follows the newest. What was sold must be told from
all of them, whatever order they came in; so this only grows.
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from domain.events import Stamp
from domain.payments.claims import PlanClaim

K = TypeVar("K", int, str)
COLLECTION_PAUSED = "pause_collection"
# From when to when, in seconds since 1970.
Span = tuple[int, int]


class ItemPrice(NamedTuple):
    """A price that a subscription item had; `unit_amount_minor` is None where none is whole."""

    price_id: str
    is_metered: bool
    unit_amount_minor: int | None
    currency: str


class SoldItem(NamedTuple):
    """One subscription item: every price it had, every period it was reported in."""

    prices: frozenset[ItemPrice] = frozenset()
    periods: frozenset[Span] = frozenset()

    @property
    def is_metered(self) -> bool:
        """Whether it is charged by use; such an item is never a plan."""
        return any(price.is_metered for price in self.prices)

    def has_price(self, price_id: str | None) -> bool:
        """Whether the item had this price at some time."""
        return any(price.price_id == price_id for price in self.prices)

    def costs(self, unit_amount_minor: int, currency: str) -> bool:
        """Whether one unit of the item cost so much at some time."""
        return any(
            (price.unit_amount_minor, price.currency) == (unit_amount_minor, currency)
            for price in self.prices
        )

    def join(self, other: "SoldItem") -> "SoldItem":
        """Both bodies of knowledge as one."""
        return SoldItem(self.prices | other.prices, self.periods | other.periods)


class Sold(NamedTuple):
    """What reports of one subscription said, taken together.

    `claims` maps each plan that its metadata, or that of its checkout session, ever named to the
    first report that did. `trials` are pairs of a trial's start and end, either None where the
    report did not say. `entered` maps each status, and `COLLECTION_PAUSED`, to the newest second at
    which a report said that it had just begun.
    """

    claims: Mapping[int, Stamp] = {}
    trials: frozenset[tuple[int | None, int | None]] = frozenset()
    items: Mapping[str, SoldItem] = {}
    entered: Mapping[str, int] = {}

    @property
    def claim(self) -> PlanClaim | None:
        """The plan that was named first."""
        named = [PlanClaim(stamp, plan_id) for plan_id, stamp in self.claims.items()]
        return min(named, default=None)

    @property
    def terms(self) -> tuple[object, ...]:
        """Everything but the periods, which only prorations ask for."""
        prices = {item_id: item.prices for item_id, item in self.items.items()}
        return (self.claims, self.trials, prices)

    def named_created(self, plan_id: int) -> int | None:
        """When a report first named a plan, in seconds since 1970."""
        stamp = self.claims.get(plan_id)
        return stamp.created if stamp else None

    def status_since(self, status: str | None, reported: int) -> int:
        """When a status began that was last reported at a time, in seconds since 1970.

        It is the time of that report where none says more, or where another status began later.
        """
        statuses = {state: at for state, at in self.entered.items() if state != COLLECTION_PAUSED}
        began = statuses.get(status or "", -1)
        return began if began >= max(statuses.values(), default=0) else reported

    def paused_since(self, reported: int) -> int:
        """When a pause of collection began that was last reported at a time, likewise."""
        return self.entered.get(COLLECTION_PAUSED, reported)

    def had_trial(self, start: int | None, end: int | None) -> bool:
        """Whether a trial began at this start, or ended at this end."""
        return any(
            (end is not None and trial_end == end) or (start is not None and trial_start == start)
            for trial_start, trial_end in self.trials
        )

    def join(self, other: "Sold") -> "Sold":
        """Both bodies of knowledge as one: the earliest report of a claim stands."""
        if self == other:
            return self
        return Sold(
            claims=earliest_by_key(self.claims, other.claims),
            trials=self.trials | other.trials,
            items=_joined_items(self.items, other.items),
            entered=_newest_by_state(self.entered, other.entered),
        )


def _joined_items(
    one: Mapping[str, SoldItem], other: Mapping[str, SoldItem]
) -> Mapping[str, SoldItem]:
    if one == other or not one or not other:
        return one or other
    nothing = SoldItem()
    return {
        item_id: one.get(item_id, nothing).join(other.get(item_id, nothing))
        for item_id in _keys(one, other)
    }


def _newest_by_state(one: Mapping[str, int], other: Mapping[str, int]) -> Mapping[str, int]:
    if not one or not other:
        return one or other
    return {state: max(one.get(state, 0), other.get(state, 0)) for state in _keys(one, other)}


V = TypeVar("V", int, Stamp)


def earliest_by_key(one: Mapping[int, V], other: Mapping[int, V]) -> Mapping[int, V]:
    """Both mappings as one; where both have a key, the smaller value stands."""
    if not one or not other:
        return one or other
    return {
        key: min(values[key] for values in (one, other) if key in values)
        for key in _keys(one, other)
    }


def _keys(one: Mapping[K, object], other: Mapping[K, object]) -> list[K]:
    return sorted(one.keys() | other.keys())
