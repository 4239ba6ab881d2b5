"""Stripe's two modes: an object of the other one is never mixed with ours."""

from collections.abc import Mapping
from typing import Any

from domain.errors import BillingError


class WrongModeError(BillingError):
    """Stripe answered with an object of the mode that this product does not serve."""


def require_mode(stripe_object: Mapping[str, Any], *, test_mode: bool) -> None:
    """Raise `WrongModeError` where an object says that it is of the other mode."""
    livemode = stripe_object.get("livemode")
    if not isinstance(livemode, bool) or livemode is not test_mode:
        return
    its, ours = ("live", "test") if livemode else ("test", "live")
    raise WrongModeError(
        f"{stripe_object.get('id')} is a {its} object and STRIPE_TEST_MODE is {test_mode}: give"
        f" STRIPE_SECRET_KEY a {ours} key, or change STRIPE_TEST_MODE."
    )
