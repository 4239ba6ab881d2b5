"""Whether an event's shape is the one its API version promises.

Decoders read whatever paths are present and never ask the version; this only tells when the two
disagree, so that nobody has to guess why a figure came from an unexpected place.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from domain.events import Event
from domain.json_values import list_of

# Basil moved a subscription's period to its items and an invoice's links under `parent`.
SHAPES_MOVED_ON = "2025-03-31"

_DATED = re.compile(r"\d{4}-\d{2}-\d{2}")
_GONE: Mapping[str, tuple[str, ...]] = {
    "invoice": ("subscription", "subscription_details", "payment_intent", "charge", "paid"),
    "subscription": ("current_period_start", "current_period_end"),
    "payment_intent": ("invoice",),
    "charge": ("invoice",),
}
_COME: Mapping[str, tuple[str, ...]] = {"invoice": ("parent",)}


def version_date(api_version: str) -> str | None:
    """The date a version is named after (`2024-06-20`), None when it names none."""
    match = _DATED.match(api_version)
    return match.group() if match else None


def doubt(event: Event) -> str | None:
    """What is odd about the shape, in words; None when it is as the version says.

    A field that belongs to one generation counts as present even when it is null.
    """
    kind = event.object.get("object")
    date, absent = _promise(event.api_version, kind if isinstance(kind, str) else "")
    if date is None:
        named = repr(event.api_version[:40]) if event.api_version else "missing"
        return f"api_version is {named}; the shape was told by what is present"
    odd = None
    for key in absent:
        if key in event.object:
            odd = key
            break
    is_new = date >= SHAPES_MOVED_ON
    if odd is None and kind == "subscription" and not is_new:
        odd = _new_mark_of_items(event)
    if odd is None:
        return None
    when = "before" if is_new else "since"
    return (
        f"api_version {event.api_version[:40]} does not fit: {odd} exists only {when}"
        f" {SHAPES_MOVED_ON}; read by what is present"
    )


@lru_cache(maxsize=256)
def _promise(api_version: str, kind: str) -> tuple[str | None, tuple[str, ...]]:
    """The date of a version, and which keys an object of a kind does not have in it."""
    date = version_date(api_version)
    is_new = date is not None and date >= SHAPES_MOVED_ON
    return date, _GONE.get(kind, ()) if is_new else _COME.get(kind, ())


def _new_mark_of_items(event: Event) -> str | None:
    items = list_of(event.object.get("items"))
    is_marked = any("current_period_end" in item for item in items)
    return "items.data[].current_period_end" if is_marked else None
