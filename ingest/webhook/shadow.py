"""Deliveries of a shadow endpoint, which runs beside ours while another API version is tried out.

They are kept beside the inbox and never applied. Their way is the slow one: a thread of its own
and one insert each, so that they cost the ordinary ones nothing.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.exc import SQLAlchemyError

import metrics
import telemetry
from db.connections import copies
from db.connections.copies import CopiesMissingError
from db.endpoints import shadow
from db.endpoints.shadow import Place
from domain.endpoints.shadow import is_shadow
from domain.events import Delivery
from ingest.context import ReceiverContext
from ingest.webhook.webhook_problems import NO_UPGRADE, NOT_STORED, TOO_BUSY

STORE = "shadow"
# One connection of the receiver's few, and so many bodies in memory.
THREADS = 1
IN_FLIGHT_MAX = 100

_log = telemetry.get_logger("ingest.webhook.shadow")


def take(context: ReceiverContext, delivery: Delivery) -> bool:
    """Keep a delivery of a shadow endpoint; false where it is to be taken as any other.

    Raises a 503 `Problem` where it cannot be kept, a 400 where no upgrade is under way.
    """
    try:
        with context.engine.begin() as connection:
            copies.require(connection, context.settings.database_copies)
            place = shadow.keep(connection, delivery)
    except (SQLAlchemyError, CopiesMissingError) as error:
        _log.error("shadow event not kept", error=type(error).__name__)
        raise NOT_STORED.problem() from error
    if place is Place.NOWHERE:
        raise NO_UPGRADE.problem()
    if place is Place.SHADOW:
        metrics.event_received(delivery.event_type, STORE)
    return place is Place.SHADOW


class ShadowEntry:
    """Takes deliveries of a shadow endpoint on an event loop, few at a time."""

    def __init__(self, context: ReceiverContext) -> None:
        self._context = context
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="shadow")
        self._in_flight = 0

    async def take(self, delivery: Delivery) -> bool:
        """The same as `take`, without holding up the loop; a 503 where too many wait."""
        if self._in_flight >= IN_FLIGHT_MAX:
            raise TOO_BUSY.problem()
        self._in_flight += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, take, self._context, delivery)
        finally:
            self._in_flight -= 1


__all__ = ["STORE", "ShadowEntry", "is_shadow", "take"]
