"""Amounts, dates and periods as people read them; never as anything that is computed with."""

from datetime import UTC, datetime

from domain.money import money as written

_SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}


def money(amount_minor: int, currency: str) -> str:
    """An amount in minor units as text: `$29.00`, `¥4,400`, `CHF 12.50`; `-` goes first."""
    code = currency.lower()
    number = written(abs(amount_minor), code).removesuffix(f" {code}")
    # A no-break space keeps code and number on one line.
    symbol = _SYMBOLS.get(code, f"{code.upper()}\N{NO-BREAK SPACE}")
    return f"{'−' if amount_minor < 0 else ''}{symbol}{number}"  # noqa: RUF001 - a real minus sign is as wide as a plus.


def per(interval: str | None) -> str:
    """How often an amount is due: `per month`, `every 3 months`; empty for what is paid once."""
    several = (interval or "")[:1].isdigit()
    return f"{'every' if several else 'per'} {interval}" if interval else ""


def date(seconds: int | None) -> str:
    """A Unix time as a day: `23 Nov 2026`; a dash for no time at all."""
    if seconds is None:
        return "–"  # noqa: RUF001 - a dash stands for nothing here.
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment.day} {moment:%b %Y}"


def minute(seconds: int) -> str:
    """A Unix time to the minute, in UTC: `23 Nov 2026, 14:05`."""
    return f"{date(seconds)}, {datetime.fromtimestamp(seconds, UTC):%H:%M}"


def second(seconds: int) -> str:
    """A Unix time to the second, in UTC and without its year: `23 Nov, 14:05:09`."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment.day} {moment:%b, %H:%M:%S}"


def web_url(url: str) -> str:
    """The URL where a link may lead: a path of ours or an http(s) address; else the front page."""
    return url if url.startswith(("https://", "http://", "/")) else "/"


def clock_time(seconds: int) -> str:
    """A Unix time without its day, in UTC: `14:05:09`."""
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S}"


def span(seconds: int) -> str:
    """A length of time in its greatest unit: `31 days`, `1 hour`."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        count = seconds // size
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "0 seconds"


def plain(number: float) -> str:
    """A number as an input field shows it: `20`, `2.5`."""
    return f"{number:g}"


FILTERS = (money, per, date, minute, second, clock_time, span, plain, web_url)
