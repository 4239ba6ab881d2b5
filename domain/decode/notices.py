"""Thin events: what they say of themselves. What happened is known once Stripe was asked."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domain.errors import DecodeError
from domain.events import Notice
from domain.json_values import mapping_of, text_of

OBJECT = "v2.core.event"
# A thin event about an object of API v1 is called as its snapshot event is, with this before it.
PREFIX = "v1."
PING = "v2.core.event_destination.ping"
# Stripe could not make some event, and is well again; nothing else tells of it.
GENERATION_FAILED = "v2.core.health.event_generation_failure.resolved"

# What the gateway may be told to fetch: a path of API v1, with nothing in it that leads elsewhere.
_PATH = re.compile(r"/v1(?:/[A-Za-z0-9_-]+)+")


def is_thin(document: object) -> bool:
    """Whether a parsed body is a thin event."""
    return isinstance(document, dict) and document.get("object") == OBJECT


def milliseconds_of(value: object) -> int | None:
    """The time of API v2 in milliseconds since 1970; None where it is none."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if moment is None or moment.tzinfo is None:
        return None
    return round(moment.timestamp() * 1_000)


def read(document: Mapping[str, Any], account: str | None) -> Notice:
    """Read a thin event; `account` is the one that it names.

    Raises `DecodeError` when what every event has is missing.
    """
    event_id, event_type = text_of(document.get("id")), text_of(document.get("type"))
    created_ms = milliseconds_of(document.get("created"))
    if event_id is None or event_type is None or created_ms is None:
        raise DecodeError("The thin event lacks one of id, type and created.")
    related = mapping_of(document.get("related_object"))
    path = text_of(related.get("url"))
    livemode = document.get("livemode")
    return Notice(
        id=event_id,
        type=event_type.removeprefix(PREFIX),
        created_ms=created_ms,
        livemode=livemode if isinstance(livemode, bool) else None,
        account=account,
        object_id=text_of(related.get("id")),
        path=path if path and _PATH.fullmatch(path) else None,
        twin_id=text_of(document.get("snapshot_event")),
    )
