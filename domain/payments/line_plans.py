"""Which plan an invoice line is: by its price, else by the plan that a subscription claims.

Contract §4, "Plan": a claim in metadata is one for a single licensed item of a subscription, and
only where no price of the invoice is in the catalogue.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from domain.catalogue.plans import Catalogue, Plan
from domain.payments.lines import Line
from domain.payments.sold import Sold, SoldItem


class LinePlan(NamedTuple):
    """The plan of a line, or in words why there is none; neither where the line sells no tokens."""

    plan: Plan | None = None
    why_none: str = ""


class Invoiced(NamedTuple):
    """An invoice's lines with what must be known to tell their plans.

    `sold` is what the subscription was ever reported to be, `created` when the invoice was made
    (seconds since 1970), `assigned_plan_id` the plan that a person named for the payment.
    """

    lines: Sequence[Line]
    currency: str
    created: int
    catalogue: Catalogue
    sold: Sold = Sold()
    assigned_plan_id: int | None = None

    def plan_of(self, line: Line) -> LinePlan:
        """The plan of one of the lines."""
        plan = self.catalogue.by_price(line.price_id)
        if plan is not None:
            return LinePlan(plan)
        if self.catalogue.sells_no_tokens(line.price_id):
            return LinePlan()
        if not self._may_be_claimed(line):
            return LinePlan(why_none=_unknown(line))
        return self._claimed(line)

    def item_of(self, line: Line) -> SoldItem | None:
        """The subscription item that a line charges: by id, else by price, else the only one."""
        items = self.sold.items
        return items.get(line.item_id or "") or items.get(self._item_by_price(line) or "")

    def is_metered(self, line: Line) -> bool:
        """Whether a line is charged by use: told by itself, else by the subscription's reports."""
        item = self.item_of(line)
        return line.is_metered or (item is not None and item.is_metered)

    def _key(self, line: Line) -> str:
        """What tells a line's item from others: its id, or its price where nothing tells more.

        Classic prorations since 2025-03-31 name the subscription and no item of it.
        """
        by_price = self._item_by_price(line) if line.from_subscription else None
        return line.item_id or by_price or line.price_id or ""

    def _item_by_price(self, line: Line) -> str | None:
        items = sorted(self.sold.items.items())
        fitting = [item_id for item_id, item in items if item.has_price(line.price_id)]
        licensed = [item_id for item_id, item in items if not item.is_metered]
        if not fitting and len(licensed) == 1:
            fitting = licensed
        return next(iter(fitting), None)

    def _may_be_claimed(self, line: Line) -> bool:
        if self.is_metered(line):
            return False
        if self.assigned_plan_id is not None:
            return True
        return line.from_subscription and not any(
            line.from_subscription and self.catalogue.by_price(line.price_id) for line in self.lines
        )

    def _claimed(self, line: Line) -> LinePlan:
        plan_id = self._claimed_plan_id(line)
        plan = self.catalogue.by_id(plan_id, self._named_created(plan_id))
        if plan is None:
            return LinePlan(why_none=_unknown(line))
        item = self._item_claimed(plan, line)
        if item == self._key(line):
            return LinePlan(plan)
        if item is None:
            why = f"none of several items costs what plan {plan.id} does, which metadata names"
            return LinePlan(why_none=why)
        return LinePlan(why_none=_unknown(line))

    def _claimed_plan_id(self, line: Line) -> int | None:
        if self.assigned_plan_id is not None:
            return self.assigned_plan_id
        if line.plan_id is not None:
            return line.plan_id
        return self.sold.claim.plan_id if self.sold.claim else None

    def _named_created(self, plan_id: int | None) -> int:
        named = self.sold.named_created(plan_id) if plan_id is not None else None
        return self.created if named is None else named

    def _item_claimed(self, plan: Plan, line: Line) -> str | None:
        """The one licensed item that a claim of this plan stands for; None where nothing tells."""
        licensed = self._licensed_items(line)
        if len(licensed) == 1:
            return licensed.pop()
        price_minor = plan.prices.get(self.currency)
        if price_minor is None:
            return None
        return min((key for key in licensed if self._costs(key, price_minor)), default=None)

    def _licensed_items(self, line: Line) -> set[str]:
        """The items that may be the plan: on the invoice, or reported while the line ran."""
        on_invoice = {
            self._key(other)
            for other in self.lines
            if (other.from_subscription or not line.from_subscription)
            and not self.is_metered(other)
            and not self._is_known([other.price_id])
        }
        if not line.from_subscription:
            return on_invoice
        return on_invoice | {
            item_id
            for item_id, item in self.sold.items.items()
            if not item.is_metered
            and not self._is_known(price.price_id for price in item.prices)
            and _overlap(item, line)
        }

    def _is_known(self, price_ids: Iterable[str | None]) -> bool:
        catalogue = self.catalogue
        return any(
            catalogue.by_price(price_id) or catalogue.sells_no_tokens(price_id)
            for price_id in price_ids
        )

    def _costs(self, key: str, price_minor: int) -> bool:
        item = self.sold.items.get(key)
        if item is not None and item.costs(price_minor, self.currency):
            return True
        lines = (line for line in self.lines if self._key(line) == key)
        return any(line.unit_amount_minor == price_minor for line in lines)


def _overlap(item: SoldItem, line: Line) -> bool:
    if line.period_start is None or line.period_end is None:
        return False
    return any(start < line.period_end and line.period_start < end for start, end in item.periods)


def _unknown(line: Line) -> str:
    if line.price_id is None:
        return "a line without a price names no plan of the catalogue"
    return f"price {line.price_id} is in no plan of the catalogue"


def claimed_item(
    items: Iterable[tuple[str, bool, int | None, str]], prices: Mapping[str, int]
) -> str | None:
    """The id of the item that a claim stands for, among items none of whose prices is known.

    Each item is its id, whether it is metered, its unit price in minor units and its currency;
    `prices` are those of the claimed plan at the terms sold.
    """
    licensed = [item for item in items if not item[1]]
    if len(licensed) == 1:
        return licensed[0][0]
    return min(
        (
            item_id
            for item_id, _, unit_amount_minor, currency in licensed
            if unit_amount_minor is not None and prices.get(currency) == unit_amount_minor
        ),
        default=None,
    )
