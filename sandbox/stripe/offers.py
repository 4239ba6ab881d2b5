"""Coupons and promotion codes as the account keeps them, and what discounts take off some lines."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.simulate.coupons import Coupon, Discount, Parts
from sandbox.simulate.discount_objects import coupon_object
from sandbox.simulate.versions import ApiVersion

Json = dict[str, Any]


@dataclass(slots=True)
class Offer:
    """A coupon on offer; `redeemed` counts how often it was put to use."""

    id: str
    coupon: Coupon
    created: int
    name: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    redeemed: int = 0


@dataclass(slots=True)
class Code:
    """A promotion code: the word that a buyer types for a coupon."""

    id: str
    code: str
    offer: Offer
    created: int
    active: bool = True
    max_redemptions: int | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    redeemed: int = 0

    @property
    def redeemable(self) -> bool:
        """Whether it can be used once more."""
        spent = self.max_redemptions is not None and self.redeemed >= self.max_redemptions
        return self.active and not spent


def offer_object(offer: Offer) -> Json:
    """Draw a coupon."""
    drawn = coupon_object(offer.coupon, offer.created)
    return drawn | {
        "metadata": dict(offer.metadata),
        "name": offer.name,
        "times_redeemed": offer.redeemed,
    }


def code_object(code: Code, version: ApiVersion) -> Json:
    """Draw a promotion code: its coupon whole, or under `promotion` where the version has that."""
    alias = {"customer_account": None} if version.customer_accounts else {}
    promotion = {"promotion": {"coupon": code.offer.id, "type": "coupon"}}
    return {
        "id": code.id,
        "object": "promotion_code",
        "active": code.redeemable,
        "code": code.code,
        "created": code.created,
        "customer": None,
        **alias,
        "expires_at": None,
        "livemode": False,
        "max_redemptions": code.max_redemptions,
        "metadata": dict(code.metadata),
        "restrictions": {
            "first_time_transaction": False,
            "minimum_amount": None,
            "minimum_amount_currency": None,
        },
        "times_redeemed": code.redeemed,
        **(promotion if version.discount_source else {"coupon": offer_object(code.offer)}),
    }


def spread(amounts: Sequence[int], discounts: Iterable[Discount]) -> list[Parts]:
    """What each discount takes off each of some amounts, one discount after the other.

    A share is taken off every amount; a sum of money is used up along them.
    """
    left, parts = list(amounts), [list[tuple[str, int]]() for _ in amounts]
    for discount in discounts:
        coupon, purse = discount.coupon, discount.coupon.amount_off
        for place, amount in enumerate(left):
            off = coupon.off(amount) if coupon.percent_off else min(purse, amount)
            off = max(0, off)
            purse -= off
            left[place] -= off
            parts[place].append((discount.id, off))
    return [tuple(part) for part in parts]
