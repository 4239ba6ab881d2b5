"""Reads Stripe's own list of events and stores what never arrived, for the drain to apply.

Nothing is asked of Stripe inside a transaction, and nothing is applied here.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine

import telemetry
from db.operations import reconcile as reading
from db.operations import redis_seen
from db.operations.reconcile import Progress, Window
from db.queue import attempts, inbox
from db.queue.attempts import Attempt, Request
from db.queue.deliveries import as_delivery
from domain.json_values import mapping_of, text_of
from domain.synthetic_events.by_hand import is_ours
from stripe_gateway import EventPage, StripeGateway, StripeUnavailable
from workers.context import WorkerContext
from workers.questions.busy_retry import retry_while_busy
from workers.questions.turn import leave_reading, turn

DAY_SECONDS = 86_400
# Stripe lists no more than this.
LISTED_SECONDS = 30 * DAY_SECONDS
# Where there is no cursor yet: as long as Stripe itself tries to deliver.
FIRST_SECONDS = 3 * DAY_SECONDS
# Events may enter the list late, so the last minutes before the cursor are read again.
OVERLAP_SECONDS = 600
# What is younger may still be on its way to the receiver.
GRACE_SECONDS = 120
# A worker that starts and finds nothing newer than this looks for what it missed.
OUTAGE_SECONDS = 900
# A task reads for so long, then asks to be sent again, so that others get their turn.
SECONDS_MAX = 15.0
# Whoever reads moves on more often than this.
MOVING_SECONDS = 60
# A window in which nobody has read for so long may name an event that Stripe lists no more.
WINDOW_SECONDS_MAX = 3_600

log = telemetry.get_logger("reconcile")


@dataclass(frozen=True, slots=True)
class Missing:
    """An event that Stripe lists and the inbox lacks; `created` is Stripe's clock, in seconds."""

    id: str
    type: str
    created: int


@dataclass(slots=True)
class LookedBack:
    """What a person's reading has found so far, newest first."""

    looked_at: int = 0
    missing: list[Missing] = field(default_factory=list)


def catch_up(
    context: WorkerContext,
    send_wake_up: Callable[[], object],
    *,
    after_outage: bool = False,
    goes_on: bool = False,
) -> bool:
    """Read the list down to the cursor; says whether the time was too short and it must go on.

    Does nothing without a key, nor while another worker reads (unless this `goes_on` where it
    stopped), nor, `after_outage`, when events have come in lately and Redis is the one of before.
    Where it is another's turn to ask Stripe the reading is remembered for when that is over.
    """
    if context.gateway is None:
        return False
    with context.engine.connect() as connection:
        progress = reading.progress(connection)
        newest = reading.newest_received(connection)
    is_read = progress.window is not None and progress.idle_seconds < MOVING_SECONDS
    is_called_for = not after_outage or progress.reread or _was_silent(newest)
    if (is_read and not goes_on) or not is_called_for:
        return False
    with turn(context) as mine:
        # It is rare, so not even a pause keeps it from trying.
        if mine is None:
            leave_reading(context, after_outage=after_outage, goes_on=goes_on)
            return False
        try:
            must_go_on = _Reading(context.engine, context.gateway, send_wake_up).run(progress)
        except StripeUnavailable as error:
            mine.failed(error.detail)
            if progress.reread:
                leave_reading(context, goes_on=True)
            return False
        mine.succeeded()
        return must_go_on


def _was_silent(newest: datetime | None) -> bool:
    return newest is not None and time.time() - newest.timestamp() > OUTAGE_SECONDS


class _Reading:
    """A worker's reading: as far as the time allows, keeping its window."""

    def __init__(
        self, engine: Engine, gateway: StripeGateway, send_wake_up: Callable[[], object]
    ) -> None:
        self._engine = engine
        self._gateway = gateway
        self._send_wake_up = send_wake_up

    def run(self, progress: Progress) -> bool:
        """Go on in the window that is kept, or begin; says whether it must go on later.

        After a change of Redis nothing is too young: what the receiver put into the one before is
        on its way no more. What is in the other all the same is stored twice and applied once.
        """
        started = time.monotonic()
        change = progress.reread.at if progress.reread else None
        window = _window(progress, change)
        oldest = window.oldest if window else _oldest(progress)
        # Without an event of its own the cursor moves to where it was to move.
        newest = window.newest if window else oldest
        for page in _pages(self._gateway.events, oldest, window.after if window else ""):
            ripe = [event for event in page.events if change or _is_ripe(event, page)]
            newest = max([newest, *map(_created, ripe)])
            self._keep(ripe, Window(oldest, newest, page.events[-1]["id"], change))
            if page.has_more and time.monotonic() - started > SECONDS_MAX:
                return True
        with self._engine.begin() as connection:
            reading.move_cursor(connection, newest)
            if change:
                redis_seen.reread_done(connection, change)
            # Redis may have changed since this began.
            return redis_seen.reread(connection) is not None

    def _keep(self, events: Sequence[Mapping[str, Any]], window: Window) -> None:
        with self._engine.begin() as connection:
            missing = _missing(connection, events)
            _store(connection, missing)
            reading.keep_window(connection, window)
        if missing:
            log.warning("events had never arrived", events=len(missing))
            self._send_wake_up()


def look_back(
    engine: Engine,
    gateway: StripeGateway,
    report: Callable[[LookedBack, Sequence[Missing]], None],
    *,
    since: int | None = None,
    request: Request | None = None,
) -> None:
    """Read the list down to the second `since`, or to the cursor, for a person.

    Stores what is missing, noting the `request`; without one nothing is changed. `report` is told
    after each page what it added. Raises `StripeUnavailable`; what was reported is stored then.
    """
    with engine.connect() as connection:
        progress = reading.progress(connection)
    oldest, newest = _oldest(progress, since), None
    so_far = LookedBack()
    for page in _pages(_asked_again(gateway), oldest):
        newest = newest or max(map(_created, page.events))
        with engine.begin() as connection:
            missing = _missing(connection, page.events)
            if request is not None:
                _store(connection, missing, request)
        new = [Missing(event["id"], event["type"], event["created"]) for event in missing]
        so_far.looked_at += len(page.events)
        so_far.missing += new
        report(so_far, new)
    # A reading that began above the cursor leaves a gap that is still to be read.
    if (
        request is not None
        and newest is not None
        and (since is None or oldest <= _cursor(progress))
    ):
        with engine.begin() as connection:
            reading.move_cursor(connection, newest)
            if progress.reread and oldest <= progress.reread.since:
                redis_seen.reread_done(connection, progress.reread.at)


def _cursor(progress: Progress) -> int:
    return int(time.time()) - FIRST_SECONDS if progress.cursor is None else progress.cursor


def _window(progress: Progress, change: datetime | None) -> Window | None:
    """The window to go on in: the one that is kept, unless it is too old or of another reading."""
    window = progress.window
    is_ours = window is not None and window.change == change
    return window if is_ours and progress.idle_seconds < WINDOW_SECONDS_MAX else None


def _oldest(progress: Progress, since: int | None = None) -> int:
    wanted = _cursor(progress) if since is None else since
    if progress.reread and since is None:
        wanted = min(wanted, progress.reread.since)
    wanted -= OVERLAP_SECONDS if since is None else 0
    return max(wanted, int(time.time()) - LISTED_SECONDS)


Ask = Callable[..., EventPage]


def _pages(ask: Ask, oldest: int, after: str = "") -> Iterator[EventPage]:
    """Page after page, each with at least one event."""
    while True:
        page = ask(since=oldest, after=after)
        whole = [event for event in page.events if _is_event(event)]
        # A list that does not move on would be read for ever.
        if not whole or whole[-1]["id"] == after:
            return
        yield EventPage(whole, page.has_more, page.answered_created)
        if not page.has_more:
            return
        after = whole[-1]["id"]


def _is_event(item: Mapping[str, Any]) -> bool:
    event_id, event_type = item.get("id"), item.get("type")
    return (
        isinstance(event_id, str)
        and isinstance(event_type, str)
        and isinstance(item.get("created"), int)
        and not is_ours(event_id, event_type)
    )


def _created(event: Mapping[str, Any]) -> int:
    created: int = event["created"]
    return created


def _is_ripe(event: Mapping[str, Any], page: EventPage) -> bool:
    """Whether an event is old enough to have arrived, by Stripe's clock."""
    return page.answered_created - _created(event) > GRACE_SECONDS


def _asked_again(gateway: StripeGateway) -> Ask:
    """The gateway's list, asked again after a while when Stripe says it is asked too often."""

    def ask(*, since: int, after: str) -> EventPage:
        return retry_while_busy(lambda: gateway.events(since=since, after=after))

    return ask


def _missing(
    connection: Connection, events: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Those that neither came themselves nor by a thin event of the same change."""
    stored = inbox.known(connection, [event["id"] for event in events])
    unknown = [event for event in events if event["id"] not in stored]
    changes = [(event["type"], _object_id(event), event["created"]) for event in unknown]
    noticed = inbox.noticed(connection, changes)
    return [event for event, change in zip(unknown, changes, strict=True) if change not in noticed]


def _object_id(event: Mapping[str, Any]) -> str:
    data = mapping_of(event.get("data"))
    return text_of(mapping_of(data.get("object")).get("id")) or ""


def _store(
    connection: Connection, events: Sequence[Mapping[str, Any]], request: Request | None = None
) -> None:
    inbox.store(connection, [as_delivery(event) for event in events], source="reconcile")
    if request is not None:
        asked_for = [
            Attempt(event["id"], "reconcile", "received", request=request) for event in events
        ]
        attempts.note(connection, asked_for)
