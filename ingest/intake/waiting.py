"""A delivery that waits for storage, and how it is told what became of it."""

import asyncio
from collections.abc import Callable, Sequence

from domain.events import Delivery
from ingest.intake.intake import Store

# The future is answered on its event loop.
Waiting = tuple[Delivery, "asyncio.Future[Store]"]

# A packet is no larger than this: its first delivery waits for the answer to its last.
PACKET_DELIVERIES_MAX = 256


def answer(
    group: Sequence[Waiting],
    outcomes: Sequence[Store | Exception | None],
    otherwise: Callable[[Waiting], None],
) -> None:
    """Tell each what became of it; `otherwise` gets what no store took. On the event loop."""
    for waiting, outcome in zip(group, outcomes, strict=True):
        future = waiting[1]
        if future.done():
            continue  # Its time was over, or its client went away.
        if outcome is None:
            otherwise(waiting)
        elif isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
