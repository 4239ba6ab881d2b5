"""Waits until the receiver shows every user what they must have, then looks once more at all.

Waiting polls, cheapest question first; it gives up only when nothing has improved for a while.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sandbox.simulate.compare import Difference, compare
from sandbox.simulate.expected import Expectation
from sandbox.simulate.reading import Reader, ReadError

# Few enough to leave the machine to those who apply the events.
_READERS = 4
# A round ends early once this many users were not ready: asking the rest is only load.
_WRONG_PER_ROUND = 20
_PAUSE_SECONDS_MAX = 2.0


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found in the end; `ready_at` is monotonic time, None when it never was right."""

    ready_at: float | None
    differences: tuple[Difference, ...]


def differences(reader: Reader, expected: Expectation) -> list[Difference]:
    """Compare one user; an endpoint that does not answer is a difference too."""
    try:
        shown = reader.everything(expected.user_id, with_access=expected.access is not None)
        return compare(expected, shown, int(time.time()))
    except (ReadError, KeyError, TypeError, ValueError) as error:
        said = f"{type(error).__name__}: {error}"
        return [Difference(expected.user_id, "balance", "answer", "a readable answer", said)]


def verify_users(
    reader: Reader,
    expectations: Sequence[Expectation],
    *,
    timeout_seconds: float,
    progress: Callable[[int], None],
) -> Verification:
    """Wait until all is right, or nothing has got better for `timeout_seconds`; then check all."""
    pending = list(expectations)
    improved, pause = time.monotonic(), 0.05
    with ThreadPoolExecutor(_READERS) as pool:
        while pending and time.monotonic() - improved < timeout_seconds:
            left = _round(pool, reader, pending)
            if len(left) < len(pending):
                improved, pause = time.monotonic(), 0.05
            else:
                time.sleep(pause)
                pause = min(_PAUSE_SECONDS_MAX, pause * 2)
            pending = left
            progress(len(expectations) - len(pending))
        ready_at = None if pending else improved
        # What was right may have been spoilt since by a late duplicate.
        checked = pool.map(lambda expectation: differences(reader, expectation), expectations)
        differences_now = tuple(difference for of_user in checked for difference in of_user)
    return Verification(ready_at, differences_now)


def _round(
    pool: ThreadPoolExecutor, reader: Reader, pending: Sequence[Expectation]
) -> list[Expectation]:
    left: list[Expectation] = []
    for start in range(0, len(pending), _READERS):
        if len(left) >= _WRONG_PER_ROUND:
            return [*left, *pending[start:]]
        some = pending[start : start + _READERS]
        ready: Iterable[bool] = pool.map(lambda expectation: _is_right(reader, expectation), some)
        left += [expectation for expectation, right in zip(some, ready, strict=True) if not right]
    return left


def _is_right(reader: Reader, expected: Expectation) -> bool:
    try:
        if reader.balance(expected.user_id) != expected.balance:
            return False
    except ReadError:
        return False
    return not differences(reader, expected)
