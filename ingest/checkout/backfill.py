"""What Stripe answered about a checkout session enters by the door that webhooks enter by.

Nothing is applied here: the workers do that, as with every event.
"""

from collections.abc import Mapping
from typing import Any

import telemetry
from db.queue.deliveries import as_delivery
from domain.synthetic_events.answers import events_of_session
from ingest.intake.intake import Intake, NotStoredError

# What a session must be asked for with, so that its answer says everything.
EXPAND = ("subscription", "invoice")

_log = telemetry.get_logger("ingest.checkout.backfill")


def feed(intake: Intake, session: Mapping[str, Any], api_version: str) -> bool:
    """Keep what a retrieved session says as events; says whether there was anything to keep.

    Where neither store takes them they are let go: Stripe's own events still come.
    """
    events = events_of_session(session, api_version)
    try:
        for event in events:
            intake.accept(as_delivery(event))
    except NotStoredError:
        return False
    if events:
        _log.info("fed what stripe answered", session=session.get("id"), events=len(events))
    return bool(events)
