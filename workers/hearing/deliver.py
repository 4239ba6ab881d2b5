"""Tells destinations what changed: per user in order, each destination at its own pace.

It runs on an event loop in a thread of a worker's main process, so that a destination that hangs
takes no time from events, nor from another destination. Any number of workers may do it: a user
of a destination is leased to one of them at a time.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

import metrics
import settings
import telemetry
from db.engine import make_engine
from db.outbox import deliveries
from db.outbox import destinations as tables
from db.outbox.deliveries import Leased, ToTell
from db.outbox.destinations import Destination
from retry import Backoff
from workers.hearing.sending import Sender, message_id

R = TypeVar("R")

# Users of one destination who are told at once.
SLOTS = 8
# A lease outlasts a run: the last message is begun within half of it, and takes 10 s at most.
RUN_SECONDS = deliveries.LEASE_SECONDS / 2
MESSAGES_MAX = 50
# How often is looked for new messages; and for destinations, where there are none.
LOOK_SECONDS = 0.25
IDLE_SECONDS = 2.0
# A user's message that fails is tried again after these pauses, for three days.
USER_PAUSES = Backoff(5.0, 3_600.0)
GIVE_UP_SECONDS = 3 * 86_400.0
# A destination that fails so often in a row is asked with one message at a time, after a pause as
# long as it has failed so far.
AWAY_FAILURES = 5
AWAY_PAUSES = Backoff(2.0, 300.0)
# Where everything failed for so long, a person has to look at it.
PAUSE_SECONDS = 86_400.0
_CONNECTIONS = 4
_LOOK_UPS = 32

log = telemetry.get_logger("hearing")


class Deliverer:
    """Tells all destinations; make and use it in one event loop."""

    def __init__(self, engine: Engine, sender: Sender) -> None:
        self._engine = engine
        self._sender = sender
        self._database = ThreadPoolExecutor(_CONNECTIONS, "hearing-database")
        self._running: dict[str, set[asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Go on for ever."""
        while True:
            try:
                await asyncio.sleep(await self.look())
            except SQLAlchemyError as error:
                log.warning("database away, destinations wait", error=type(error).__name__)
                await asyncio.sleep(IDLE_SECONDS)

    async def look(self) -> float:
        """Begin to tell whoever is due; returns after how many seconds to look again."""
        found = await self._in_database(_assign)
        if found is None:
            return IDLE_SECONDS
        for destination in found:
            running = self._running.setdefault(destination.id, set())
            is_away = destination.failures >= AWAY_FAILURES
            free = (1 if is_away else SLOTS) - len(running)
            if free > 0:
                await self._begin(destination, running, free)
        return LOOK_SECONDS

    async def settle(self) -> None:
        """Tell everything that is due now, and wait until it is told."""
        while True:
            await self.look()
            tasks = [task for running in self._running.values() for task in running]
            if not tasks:
                return
            await asyncio.wait(tasks)

    async def close(self) -> None:
        """Stop telling; what is under way is told again when its lease has run out."""
        tasks = [task for running in self._running.values() for task in running]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._sender.close()
        self._database.shutdown()

    async def _begin(
        self, destination: Destination, running: set[asyncio.Task[None]], free: int
    ) -> None:
        def lease(connection: Connection) -> list[Leased]:
            return deliveries.lease(connection, destination.id, limit=free)

        for leased in await self._in_database(lease):
            task = asyncio.create_task(self._tell(destination, leased))
            running.add(task)
            task.add_done_callback(running.discard)

    async def _tell(self, destination: Destination, leased: Leased) -> None:
        """Tell one user's messages in order, until one fails."""
        try:
            await self._tell_in_order(destination, leased)
        except SQLAlchemyError as error:
            # The lease runs out, and what was sent is sent again.
            log.warning("delivery not recorded", error=type(error).__name__)

    async def _tell_in_order(self, destination: Destination, leased: Leased) -> None:
        messages = await self._in_database(
            lambda connection: deliveries.messages_for(
                connection, destination.id, leased, limit=MESSAGES_MAX
            )
        )
        end = time.monotonic() + RUN_SECONDS
        sent: list[ToTell] = []
        for each in messages:
            message = each.message
            if time.monotonic() > end:
                break
            answer = await self._sender.send(
                destination.url, destination.secrets, message_id(message), message.body()
            )
            if not answer.is_received:
                await self._fail(destination, leased, each, sent, answer.error)
                return
            sent.append(each)
            metrics.message_told("told")
        is_all = len(sent) == len(messages) < MESSAGES_MAX
        version = max(_newest(leased, sent), leased.wanted if is_all else 0)
        await self._in_database(
            lambda connection: deliveries.told(
                connection, destination.id, leased.user_id, version, sent
            )
        )
        if sent and destination.failures:
            was_away = destination.failures >= AWAY_FAILURES
            await self._in_database(
                lambda connection: tables.succeeded(connection, destination.id, was_away=was_away)
            )

    async def _fail(
        self,
        destination: Destination,
        leased: Leased,
        failed: ToTell,
        sent: list[ToTell],
        error: str,
    ) -> None:
        """Record a failure of this message; after three days it is given up for the next one."""
        gives_up = not sent and leased.failing_seconds > GIVE_UP_SECONDS
        failures = 1 if sent else leased.failures + 1
        version, message = _newest(leased, sent), failed.message
        user_pause, pause = USER_PAUSES.pause_seconds(failures), 0.0
        if destination.failures + 1 >= AWAY_FAILURES:
            # By time and not by number: several messages fail at once. It is no user's fault.
            pause = AWAY_PAUSES.pause_after(destination.failing_seconds)
            user_pause = min(user_pause, pause)

        def record(connection: Connection) -> bool:
            # The destination's row before its user's, as everywhere.
            is_paused = tables.failed(
                connection,
                destination.id,
                error,
                pause_seconds=pause,
                failing_seconds_max=PAUSE_SECONDS,
            )
            if gives_up:
                deliveries.told(
                    connection, destination.id, leased.user_id, message.version, [failed]
                )
            else:
                if sent:
                    deliveries.told(connection, destination.id, leased.user_id, version, sent)
                deliveries.failed(connection, destination.id, leased.user_id, version, user_pause)
            return is_paused

        is_paused = await self._in_database(record)
        metrics.message_told("given_up" if gives_up else "failed")
        named = {"destination": destination.id, "message_id": message_id(message), "reason": error}
        if gives_up:
            log.error("message given up after three days", **named)
        elif is_paused:
            log.error("destination paused, every delivery failed for a day", **named)
        else:
            log.warning("message not told", **named)

    async def _in_database(self, work: Callable[[Connection], R]) -> R:
        def transaction() -> R:
            with self._engine.begin() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._database, transaction)


def _newest(leased: Leased, sent: Sequence[ToTell]) -> int:
    """The version up to which a destination knows everything once these were sent."""
    return max([leased.version, *(each.message.version for each in sent)])


def _assign(connection: Connection) -> list[Destination] | None:
    """Assign new messages; returns the destinations to be tried now, None where there are none."""
    if not tables.exist(connection):
        return None
    deliveries.assign(connection)
    return tables.due(connection)


def start() -> None:
    """Tell destinations from a thread of this process; it ends with the process."""
    configured = settings.load(needs=("database_url",))
    engine = make_engine(configured, pool_size=_CONNECTIONS, application_name="fiko-hearing")
    threading.Thread(
        target=run,
        args=(lambda: _run(engine, allow_private=configured.destinations_allow_private),),
        name="hearing",
        daemon=True,
    ).start()


def run(begin: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run the deliverer in this thread; after an error that nobody foresaw, begin again."""
    while True:
        try:
            asyncio.run(begin())
        except Exception:
            # The pools of threads close before this thread ends.
            if not threading.main_thread().is_alive():
                return
            log.exception("deliverer failed, it begins again")
            time.sleep(IDLE_SECONDS)
        else:
            return


async def _run(engine: Engine, *, allow_private: bool) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_LOOK_UPS, "look-up"))
    deliverer = Deliverer(engine, Sender(allow_private=allow_private))
    try:
        await deliverer.run()
    finally:
        await deliverer.close()
