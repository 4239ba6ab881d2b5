"""Whether an event's shape is the one its API version promises.

Decoders read whatever paths are present and never ask the version; this only tells when the two
disagree, so that nobody has to guess why a figure came from an unexpected place.
"""

import re
from collections.abc import Mapping

from domain.events import Event
from domain.json_values import list_of, text_of

# Basil moved a subscription's period to its items and an invoice's links under `parent`.
SHAPES_MOVED_ON = "2025-03-31"

_DATED = re.compile(r"\d{4}-\d{2}-\d{2}")
_GONE: Mapping[str, tuple[str, ...]] = {
    "invoice": ("subscription", "subscription_details", "payment_intent", "charge", "paid"),
    "subscription": ("current_period_start", "current_period_end"),
    "payment_intent": ("invoice",),
    "charge": ("invoice",),
}


def version_date(api_version: str) -> str | None:
    """The date a version is named after (`2024-06-20`), None when it names none."""
    match = _DATED.match(api_version)
    return match.group() if match else None


def doubt(event: Event) -> str | None:
    """What is odd about the shape, in words; None when it is as the version says.

    A field that belongs to one generation counts as present even when it is null.
    """
    date = version_date(event.api_version)
    if date is None:
        named = repr(event.api_version[:40]) if event.api_version else "missing"
        return f"api_version is {named}; the shape was told by what is present"
    kind = text_of(event.object.get("object")) or ""
    is_new = date >= SHAPES_MOVED_ON
    odd = _old_marks(event, kind) if is_new else _new_marks(event, kind)
    if not odd:
        return None
    when = "before" if is_new else "since"
    return (
        f"api_version {event.api_version[:40]} does not fit: {odd[0]} exists only {when}"
        f" {SHAPES_MOVED_ON}; read by what is present"
    )


def _old_marks(event: Event, kind: str) -> list[str]:
    return [key for key in _GONE.get(kind, ()) if key in event.object]


def _new_marks(event: Event, kind: str) -> list[str]:
    if kind == "invoice":
        return ["parent"] if "parent" in event.object else []
    if kind != "subscription":
        return []
    items = list_of(event.object.get("items"))
    return ["items.data[].current_period_end"] * any("current_period_end" in item for item in items)
