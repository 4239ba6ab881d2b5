"""Calendar arithmetic of billing periods, in UTC, as Stripe reckons them."""

import calendar
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from domain.payments.sold import Span

_MONTHS = {"month": 1, "year": 12}
_DAYS = {"day": 1, "week": 7}
# A month that is begun on the 31st ends on the 28th: a period may be so much shorter or longer.
_SLACK_SECONDS = 4 * 86_400


def moved(moment: int, interval: str, intervals: int) -> int:
    """A time so many plan intervals later (or earlier, below 0); seconds since 1970.

    Months are the calendar's: a day that the month lacks becomes its last one.
    """
    at = datetime.fromtimestamp(moment, UTC)
    if interval in _DAYS:
        return int((at + timedelta(days=_DAYS[interval] * intervals)).timestamp())
    months = at.year * 12 + at.month - 1 + _MONTHS[interval] * intervals
    year, month = divmod(months, 12)
    day = min(at.day, calendar.monthrange(year, month + 1)[1])
    return int(at.replace(year=year, month=month + 1, day=day).timestamp())


def full_seconds(end: int, interval: str, count: int, reported: Iterable[Span]) -> int:
    """How long the full period lasts that ends at `end`.

    It is the reported period that ends there and is one interval of `count` units long; where
    none is known, one interval counted back.
    """
    fitting = [
        end - start
        for start, reported_end in reported
        if reported_end == end and _is_one_interval(start, end, interval, count)
    ]
    return max(fitting, default=end - moved(end, interval, -count))


def _is_one_interval(start: int, end: int, interval: str, count: int) -> bool:
    slack = _SLACK_SECONDS if interval in _MONTHS else 0
    return start < end and abs(moved(start, interval, count) - end) <= slack
