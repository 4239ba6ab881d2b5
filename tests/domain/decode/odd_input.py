"""Events with one odd field, and what decoding says of them."""

from collections.abc import Mapping
from typing import Any

import pytest

from domain.decode import decode, parse
from domain.errors import DecodeError
from tests.stripe_objects import a_line, an_event, an_invoice

Json = dict[str, Any]
COMPLETED, UPDATED = "checkout.session.completed", "customer.subscription.updated"
GONE = object()
OPEN_INVOICE = an_invoice([a_line(2_900)], status="open", amount_paid=0)
PAID_INVOICE = an_invoice([a_line(2_900)], metadata={"user_id": "user_1"})


def changed(whole: Mapping[str, Any], key: str, value: Any) -> Json:
    """An object with one field replaced, or without it for `GONE`."""
    rest = {name: own for name, own in whole.items() if name != key}
    return rest if value is GONE else rest | {key: value}


def note_of(event_type: str, stripe_object: Mapping[str, Any]) -> str | None:
    """What the event says that it could not use."""
    return decode(parse(an_event(event_type, stripe_object))).note


def refusal_of(event_type: str, stripe_object: Mapping[str, Any]) -> str:
    """Why the event is refused."""
    with pytest.raises(DecodeError) as caught:
        decode(parse(an_event(event_type, stripe_object)))
    return str(caught.value)
