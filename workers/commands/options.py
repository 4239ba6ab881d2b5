"""Options that several commands share: a point in time, and who asks and why."""

import getpass
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

import settings
from db.queue.attempts import Request

C = TypeVar("C", bound=Callable[..., Any])

# Years before this are typing errors, and no event is older.
_EARLIEST = datetime(2011, 1, 1, tzinfo=UTC)


class When(click.ParamType[datetime]):
    """A point in the past: how long ago (`3d`, `12h`, `30m`), or a date or time in ISO 8601."""

    name = "WHEN"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The time in UTC; a time without a zone is UTC."""
        word = str(value)
        seconds = settings.seconds_of(word)
        try:
            moment = (
                datetime.fromisoformat(word)
                if seconds is None
                else datetime.now(UTC) - timedelta(seconds=seconds)
            )
        except (ValueError, OverflowError):
            self.fail(f"{word!r} is neither a time ago such as 3d or 12h nor a date.", param, ctx)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if not _EARLIEST <= aware <= datetime.now(UTC):
            self.fail(f"{word!r} is not in the past, or before Stripe began.", param, ctx)
        return aware


class Duration(click.ParamType[int]):
    """A length of time: `90s`, `10m`, `1h`, `3d`."""

    name = "TIME"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """The same in seconds."""
        seconds = settings.seconds_of(str(value))
        if seconds is None:
            self.fail(f"{value!r} is no length of time such as 90s, 10m, 1h or 3d.", param, ctx)
        return seconds


def asked_for(command: C) -> C:
    """Adds `--by` and `--reason`; see `request`."""
    by = click.option("--by", metavar="NAME", help="Who asks for it  [default: your user name]")
    reason = click.option("--reason", metavar="TEXT", help="Why, for the record.")
    return by(reason(command))


def request(by: str | None, reason: str | None) -> Request:
    """Who asks, for the record; the name of the operating system's user where none is given."""
    return Request(by or _user_name(), reason)


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user id {os.getuid()}"  # A container may run as a user without a name.
