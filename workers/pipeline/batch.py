"""Applies a batch so that one bad event harms only itself.

A passing failure is retried. Any other failure splits the batch: the events that fail are recorded
as failed, and all others are committed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Engine

import telemetry
from db.bodies import UnknownDictionaryError
from db.ledger.catalogue import CatalogueCache
from retry import scheduled_pause, with_retries
from workers.pipeline.apply import Applied, apply
from workers.pipeline.failure import is_away, is_timeout, is_too_large, is_worth_waiting
from workers.pipeline.prepared_event import PreparedEvent, failed, left

# As many events as one transaction takes at most: what a transaction costs is shared by more
# (docs/decisions/0022). Above 1,023 it would take a fifth try to come down to one event.
BATCH = 1_000
# What ran out of time is cut to an eighth, so the fourth try at the latest is of one event alone.
_CUT = 8
# A batch that met a passing trouble is run again after these pauses.
TRANSIENT_WAITS_SECONDS = (0.1, 0.4, 1.0)

Attempt = Callable[[Sequence[PreparedEvent]], Applied]


@dataclass(slots=True)
class BatchSize:
    """How many events a process takes at once: fewer after it ran out of time, then more again."""

    events: int = BATCH

    def cut(self, tried: int) -> None:
        """Take fewer: so many events could not be finished in time."""
        self.events = max(1, min(self.events, tried) // _CUT)

    def grow(self) -> None:
        """Take more: a batch was finished."""
        self.events = min(BATCH, self.events * 2)


log = telemetry.get_logger("batch")


def apply_batch(
    engine: Engine,
    works: Sequence[PreparedEvent],
    catalogue: CatalogueCache,
    *,
    retry_delays_seconds: Sequence[float],
) -> Iterator[Applied]:
    """Apply the works in one transaction, or in several where one fails; see `apply_each`.

    Those whose subjects another transaction has go into one after it.
    """

    def attempt(part: Sequence[PreparedEvent]) -> Applied:
        return apply(
            engine, part, catalogue, retry_delays_seconds=retry_delays_seconds, leaves_busy=True
        )

    yield from apply_each(works, attempt)


def apply_each(works: Sequence[PreparedEvent], attempt: Attempt) -> Iterator[Applied]:
    """Run `attempt` on the works, whole or in parts; yields what each commit came to.

    Raises what the database raises when it is away, or has no room even for one event; what was
    not yielded is not applied then.
    """
    try:
        applied = _with_retries(works, attempt)
    except Exception as error:
        if is_away(error) and not _helps_to_split(error, works):
            raise
        reason = error
    else:
        yield applied
        if applied.busy:
            yield from apply_each(applied.busy, attempt)
        return
    yield from _in_parts(works, reason, attempt)


def _in_parts(
    works: Sequence[PreparedEvent], error: Exception, attempt: Attempt
) -> Iterator[Applied]:
    """Apply halves of a batch that failed: a few attempts find one bad event among hundreds.

    After a timeout each event is applied alone, because every attempt may take that long again.
    """
    if is_timeout(error):
        log.warning("batch taken apart", events=len(works), error=type(error).__name__)
        for work in works:
            yield _alone(work, attempt)
    elif len(works) == 1:
        yield _recorded(works[0], error, attempt)
    else:
        middle = len(works) // 2
        log.warning("batch split", events=len(works), error=type(error).__name__)
        yield from apply_each(works[:middle], attempt)
        yield from apply_each(works[middle:], attempt)


def _alone(work: PreparedEvent, attempt: Attempt) -> Applied:
    try:
        return _with_retries([work], attempt)
    except Exception as error:
        if is_away(error):
            raise
        return _recorded(work, error, attempt)


def _recorded(work: PreparedEvent, error: Exception, attempt: Attempt) -> Applied:
    if isinstance(error, UnknownDictionaryError):
        # A row that it needs was written by a newer release.
        return _with_retries([left(work, error)], attempt)
    log.warning(
        "event failed",
        event_id=work.delivery.event_id,
        request_id=work.delivery.request_id or None,
        error=type(error).__name__,
    )
    return _with_retries([failed(work, error)], attempt)


def _with_retries(works: Sequence[PreparedEvent], attempt: Attempt) -> Applied:
    def pause_seconds(error: Exception, failures: int) -> float | None:
        if not is_worth_waiting(error) or _helps_to_split(error, works):
            return None
        pause = scheduled_pause(failures, TRANSIENT_WAITS_SECONDS)
        if pause is not None:
            log.warning("database trouble, the worker retries", error=type(error).__name__)
        return pause

    return with_retries(partial(attempt, works), pause_seconds)


def _helps_to_split(error: Exception, works: Sequence[PreparedEvent]) -> bool:
    """Whether the same works may go through in smaller transactions, and only so."""
    return is_too_large(error) and len(works) > 1
