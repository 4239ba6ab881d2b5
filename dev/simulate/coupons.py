"""Coupons: what they take off a price, and for how long.

Pure: no account, no tokens. Amounts are minor units, times Unix seconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass

# What a discount took off, by its id.
Parts = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Coupon:
    """Takes a share off, or an amount in one currency; `months` counts where it repeats."""

    id: str
    percent_off: int = 0
    amount_off: int = 0
    currency: str = ""
    duration: str = "forever"
    months: int | None = None

    def off(self, amount: int) -> int:
        """Return what it takes off an amount above zero."""
        return (
            amount * self.percent_off // 100 if self.percent_off else min(self.amount_off, amount)
        )


@dataclass(frozen=True, slots=True)
class Discount:
    """A coupon in use; `end` is when it stops, `promotion_id` the code it was redeemed by."""

    id: str
    coupon: Coupon
    start: int
    end: int | None = None
    promotion_id: str | None = None


def off_by_discount(amount: int, discounts: Iterable[Discount]) -> Parts:
    """Return what each discount takes off an amount, one after the other."""
    parts: list[tuple[str, int]] = []
    for discount in discounts:
        part = discount.coupon.off(amount)
        amount -= part
        parts.append((discount.id, part))
    return tuple(parts)
