"""How often something may renew."""

from collections.abc import Mapping
from typing import Any

from sandbox.stripe.errors import invalid
from sandbox.stripe.goods import Period

# Three years of each.
_INTERVALS_MAX = {"day": 1095, "week": 156, "month": 36, "year": 3}
INTERVALS = tuple(_INTERVALS_MAX)


def period_of(recurring: Mapping[str, Any] | None, param: str) -> Period | None:
    """How often something renews, at most every three years; `param` is the group's name."""
    if recurring is None:
        return None
    interval, count = str(recurring["interval"]), recurring.get("interval_count", 1)
    if count < 1:
        message = "This value must be greater than or equal to 1."
        raise invalid(message, f"{param}[interval_count]", "parameter_invalid_integer")
    if count > _INTERVALS_MAX[interval]:
        message = f"A billing period of {count} {interval}s is too long: at most three years."
        raise invalid(message, f"{param}[interval_count]")
    return Period(interval, count)
