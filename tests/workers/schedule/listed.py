"""Stripe's list of events, to be read anew."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.stripe_objects import a_package_session, an_event

EVENTS = "/v1/events"
KEY = "sk_test_of_the_tests"
HOUR = 3_600


@dataclass
class Listed:
    """Stripe's list of events, newest first and in pages, as Stripe gives it out."""

    events: list[dict[str, Any]] = field(default_factory=list)
    page: int = 100
    busy: int = 0
    asked: list[Mapping[str, str]] = field(default_factory=list)

    def __call__(self, query: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:
        """One page, or a refusal while it is busy."""
        self.asked.append(query)
        if self.busy:
            self.busy -= 1
            return 429, {"error": {"type": "invalid_request_error", "message": "slow down"}}
        since = int(query.get("created[gte]", "0"))
        found = sorted(
            (event for event in self.events if event["created"] >= since),
            key=lambda event: (event["created"], event["id"]),
            reverse=True,
        )
        if after := query.get("starting_after"):
            ids = [event["id"] for event in found]
            found = found[ids.index(after) + 1 :]
        data = found[: min(self.page, int(query["limit"]))]
        has_more = len(found) > len(data)
        return 200, {"object": "list", "url": EVENTS, "has_more": has_more, "data": data}

    def sell(self, number: int, *, age_seconds: int = HOUR) -> dict[str, Any]:
        """A package is sold, and listed."""
        created = int(time.time()) - age_seconds
        event = an_event(
            "checkout.session.completed",
            a_package_session(number),
            created=created,
            event_id=f"evt_{number}",
        )
        self.events.append(event)
        return event
