"""Backfills what Stripe answered about a checkout session: stores it as events.

Workers apply these events as they apply every event; this module applies nothing.
"""

from collections.abc import Mapping
from typing import Any

import telemetry
from db.queue.deliveries import as_delivery
from domain.synthetic_events.answers import events_of_session
from ingest.intake.intake import Intake, NotStoredError

# Expand these when asking for a session: its events need them.
EXPAND = ("subscription", "invoice")

_log = telemetry.get_logger("ingest.checkout.backfill")


def store(intake: Intake, session: Mapping[str, Any], api_version: str) -> bool:
    """Store a retrieved session as events; False where there was nothing to store.

    When no store takes them, this drops them: Stripe's own events still come.
    """
    events = events_of_session(session, api_version)
    try:
        for event in events:
            intake.accept(as_delivery(event))
    except NotStoredError:
        return False
    if events:
        _log.info("stored what stripe answered", session=session.get("id"), events=len(events))
    return bool(events)
