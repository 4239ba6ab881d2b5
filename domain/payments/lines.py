"""Invoice lines, as far as tokens depend on them."""

from fractions import Fraction
from typing import NamedTuple


class Line(NamedTuple):
    """One invoice line; times are seconds since 1970.

    `amount_minor` is signed, and before discounts unless it is a proration that `hides_discount`:
    Stripe nets those of the subscription's discounts. `plan_id` is what the subscription's
    metadata said on this line or its invoice; only lines of a subscription item have one.
    `credits` says that the line takes back an earlier one, `unit_amount_minor` what one unit
    costs where the line itself tells. Since 2025-03-31 no line says that it `is_metered`.
    """

    amount_minor: int
    quantity: int | Fraction
    price_id: str | None
    is_proration: bool
    from_subscription: bool
    plan_id: int | None
    item_id: str | None = None
    period_start: int | None = None
    period_end: int | None = None
    unit_amount_minor: int | None = None
    is_metered: bool = False
    credits: bool = False
    hides_discount: bool = False
