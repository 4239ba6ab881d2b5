"""Empties the stream and the inbox in batches: what the bell asks for.

Stream entries are acknowledged only after their batch is committed, so a worker that dies at any
point leaves them to be claimed by the next drain.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import redis
from sqlalchemy import Connection, exc, text

import telemetry
from db import inbox
from db.stream import Entry
from domain.errors import BillingError
from domain.events import EventStatus
from workers.apply import Applied, Choose, Work, apply, failed, prepare
from workers.failure import is_transient
from workers.wiring import Wiring

BATCH = 500
# Well under the task's soft time limit; what is left is left to a further drain.
SECONDS_MAX = 6.0
# A batch that met a passing trouble is run again after these waits, then left in the stream.
TRANSIENT_WAITS_SECONDS = (0.1, 0.4, 1.0)
# An entry handed out this often has taken its worker down with it; it is applied alone.
SUSPECT_DELIVERIES = 2
# And after this often it is recorded as failed without another try.
HOPELESS_DELIVERIES = 10

log = telemetry.get_logger("drain")


@dataclass(slots=True)
class Drained:
    """What one drain did, for its log line."""

    applied: int = 0
    ignored: int = 0
    failed: int = 0
    duplicates: int = 0
    batches: int = 0
    is_unfinished: bool = False

    def count(self, applied: Applied, taken: int) -> None:
        """Add one committed batch of `taken` entries."""
        self.batches += 1
        self.duplicates += taken - len(applied.new)
        for work in applied.works:
            if work.delivery.event_id in applied.new:
                self._count_one(work.outcome.status)

    def _count_one(self, status: EventStatus) -> None:
        if status is EventStatus.APPLIED:
            self.applied += 1
        elif status is EventStatus.IGNORED:
            self.ignored += 1
        else:
            self.failed += 1


def drain(wiring: Wiring, ring: Callable[[], object]) -> Drained:
    """Apply everything that waits, until nothing does or the time is up.

    `ring` asks for a further drain; it is called when a batch comes back full, so that load
    spreads over the pool by itself, and when time ran out first.
    """
    started = time.monotonic()
    done = Drained()
    try:
        _drain_all(wiring, ring, done, started + SECONDS_MAX)
    except exc.SQLAlchemyError as error:
        if not is_transient(error):
            raise
        log.warning("database away, events wait", error=type(error).__name__)
    finally:
        _log_drained(done, started)
    return done


def _drain_all(wiring: Wiring, ring: Callable[[], object], done: Drained, deadline: float) -> None:
    # While the database is away nothing is taken from the stream, where it is safe.
    with wiring.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    try:
        _drain_stream(wiring, ring, done, deadline)
    except redis.RedisError as error:
        log.warning("stream unavailable", error=type(error).__name__)
    _drain_inbox(wiring, done, deadline)
    if done.is_unfinished:
        ring()


def _log_drained(done: Drained, started: float) -> None:
    if done.batches:
        log.info(
            "drained",
            applied=done.applied,
            ignored=done.ignored,
            failed=done.failed,
            duplicates=done.duplicates,
            batches=done.batches,
            duration_ms=round((time.monotonic() - started) * 1000, 1),
        )


def _drain_stream(
    wiring: Wiring, ring: Callable[[], object], done: Drained, deadline: float
) -> None:
    wiring.events.disarm()
    wiring.events.create_group()
    _claim_stale(wiring, done)
    has_rung = False
    while entries := wiring.events.read(wiring.consumer, BATCH):
        if len(entries) == BATCH and not has_rung and wiring.events.arm():
            ring()
            has_rung = True
        _apply_entries(wiring, entries, done)
        if time.monotonic() > deadline:
            done.is_unfinished = True
            return


def _claim_stale(wiring: Wiring, done: Drained) -> None:
    """Take over what dead consumers held; what may have killed them is applied alone."""
    while entries := wiring.events.claim_stale(wiring.consumer, BATCH):
        times = wiring.events.times_delivered(entries)
        calm = [entry for entry in entries if times.get(entry.entry_id, 0) <= SUSPECT_DELIVERIES]
        _apply_entries(wiring, calm, done)
        for entry in entries:
            count = times.get(entry.entry_id, 0)
            if count >= HOPELESS_DELIVERIES:
                _record_hopeless(wiring, entry, count, done)
            elif count > SUSPECT_DELIVERIES:
                _apply_entries(wiring, [entry], done)


def _record_hopeless(wiring: Wiring, entry: Entry, count: int, done: Drained) -> None:
    error = BillingError(f"Handed out {count} times without being finished: it kills its worker.")
    work = failed(prepare(entry.delivery), error)
    applied = _apply_patiently(wiring, lambda _: [work])
    wiring.events.acknowledge([entry.entry_id])
    done.count(applied, 1)


def _apply_entries(wiring: Wiring, entries: Sequence[Entry], done: Drained) -> None:
    if not entries:
        return
    deliveries = {entry.delivery.event_id: entry.delivery for entry in entries}
    works = [prepare(delivery) for delivery in deliveries.values()]
    for applied in _apply_or_split(wiring, works):
        done.count(applied, len(applied.works))
    done.duplicates += len(entries) - len(works)
    wiring.events.acknowledge(entry.entry_id for entry in entries)


def _apply_or_split(wiring: Wiring, works: Sequence[Work]) -> list[Applied]:
    """Apply a batch; when it fails for good, apply each event alone and record the culprits."""
    try:
        return [_apply_patiently(wiring, lambda _: works)]
    except Exception as error:
        if is_transient(error):
            raise
        log.warning("batch split", events=len(works), error=type(error).__name__)
    return [_apply_alone(wiring, work) for work in works]


def _apply_alone(wiring: Wiring, work: Work) -> Applied:
    try:
        return _apply_patiently(wiring, lambda _: [work])
    except Exception as error:
        if is_transient(error):
            raise
        log.warning("event failed", event_id=work.delivery.event_id, error=type(error).__name__)
        culprit = failed(work, error)
        return _apply_patiently(wiring, lambda _: [culprit])


def _apply_patiently(wiring: Wiring, choose: Choose) -> Applied:
    for wait_seconds in TRANSIENT_WAITS_SECONDS:
        try:
            return apply(wiring.engine, choose, wiring.catalogue)
        except exc.SQLAlchemyError as error:
            if not is_transient(error):
                raise
            log.warning("database trouble, trying again", error=type(error).__name__)
            time.sleep(wait_seconds)
    return apply(wiring.engine, choose, wiring.catalogue)


def _drain_inbox(wiring: Wiring, done: Drained, deadline: float) -> None:
    """Apply stored events that are due: those kept while Redis was away, and retries."""
    while True:
        claimed: list[str] = []
        try:
            applied = _apply_patiently(wiring, _due(BATCH, into=claimed))
        except Exception as error:
            if is_transient(error) or not claimed:
                raise
            log.warning("batch split", events=len(claimed), error=type(error).__name__)
            for event_id in claimed:
                _apply_due_alone(wiring, event_id, done)
            continue
        if not applied.works:
            return
        done.count(applied, len(applied.works))
        if time.monotonic() > deadline:
            done.is_unfinished = True
            return


def _apply_due_alone(wiring: Wiring, event_id: str, done: Drained) -> None:
    try:
        applied = _apply_patiently(wiring, _due(1, only=[event_id]))
    except Exception as error:
        if is_transient(error):
            raise
        log.warning("event failed", event_id=event_id, error=type(error).__name__)
        applied = _apply_patiently(wiring, _due(1, only=[event_id], error=error))
    if applied.works:
        done.count(applied, 1)


def _due(
    limit: int,
    *,
    only: Sequence[str] = (),
    into: list[str] | None = None,
    error: Exception | None = None,
) -> Choose:
    """Claims stored events that are due, as work; with `error`, as work that failed of it."""

    def choose(connection: Connection) -> list[Work]:
        waiting = inbox.claim_due(connection, limit, only=only)
        if into is not None:
            into[:] = [each.delivery.event_id for each in waiting]
        works = [prepare(each.delivery, attempts=each.attempts, is_stored=True) for each in waiting]
        if error is None:
            return works
        return [
            failed(work, error, attempts=each.attempts)
            for work, each in zip(works, waiting, strict=True)
        ]

    return choose
