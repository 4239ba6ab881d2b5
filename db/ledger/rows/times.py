"""Times between the domain, which counts seconds, and PostgreSQL."""

from datetime import UTC, datetime


def when(seconds: int | None) -> datetime | None:
    """Seconds since 1970 as PostgreSQL takes them."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def seconds(moment: datetime | None) -> int | None:
    """A time from PostgreSQL as whole seconds since 1970."""
    return None if moment is None else int(moment.timestamp())
