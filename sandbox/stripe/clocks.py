"""Test clocks: handles on the account's one clock, which only goes forward."""

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
_LIVES_SECONDS = 30 * 86400


@dataclass(slots=True)
class Clock:
    """A test clock; `advancing` until somebody has asked how it goes."""

    id: str
    created: int
    frozen_time: int
    name: str | None = None
    status: str = "ready"


def clock_object(clock: Clock) -> Json:
    """Draw a test clock."""
    advancing = clock.status == "advancing"
    details = {"advancing": {"target_frozen_time": clock.frozen_time}} if advancing else {}
    return {
        "id": clock.id,
        "object": "test_helpers.test_clock",
        "created": clock.created,
        "deletes_after": clock.created + _LIVES_SECONDS,
        "frozen_time": clock.frozen_time,
        "livemode": False,
        "name": clock.name,
        "status": clock.status,
        "status_details": details,
    }
