"""What a terminal shows of each event: a short line, and of a burst one line when it is over.

Read from the tables, of which a look costs the same whatever the load: the newest rows alone.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click
import psycopg2

PAUSE_SECONDS = 1.0
# A look at more than this is a burst.
LINES_MAX = 12
# Enough to see every event of a quiet moment, and no more than a screen or two.
ROWS_MAX = 200
# A burst that goes on is told of after so many looks.
BURST_LOOKS_MAX = 30
_COLOURS = {"failed": "yellow", "dead": "red"}


@dataclass(frozen=True, slots=True)
class Happening:
    """An event that was applied or failed, or an entry that no event called for."""

    at: datetime
    what: str
    user: str
    delta: int = 0
    status: str = "applied"

    def line(self) -> str:
        """One short line, the tokens in colour."""
        words = [f"{self.at:%H:%M}", self.what, self.user]
        if self.status in _COLOURS:
            words.append(click.style(self.status, fg=_COLOURS[self.status]))
        if self.delta:
            words.append(click.style(f"{self.delta:+,}", fg="green" if self.delta > 0 else "red"))
        return " ".join(word for word in words if word)


@dataclass(frozen=True, slots=True)
class Burst:
    """Many happenings, since a moment and after a ledger entry; told of when they are over."""

    since: datetime
    entry: int


class Happenings:
    """Turns what the tables say, look after look, into lines."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._seen: set[str] = set()
        self._entry = 0
        self._looked_at: datetime | None = None
        self._burst: Burst | None = None
        self._looks = 0

    def look(self, connection: Any) -> None:  # noqa: ANN401 - psycopg2 has no type for it.
        """Tell what is new; the first look only notes what was there."""
        with connection.cursor() as cursor:
            before = self._entry
            fresh = self._fresh(cursor, self._entries(cursor))
            cursor.execute("SELECT now()")
            (now,) = cursor.fetchone()
            if self._looked_at is not None:
                if len(fresh) > LINES_MAX:
                    self._burst = self._burst or Burst(self._looked_at, before)
                self._tell_of(cursor, fresh)
            self._looked_at = now

    def _tell_of(self, cursor: Any, fresh: Sequence[Happening]) -> None:  # noqa: ANN401 - as above.
        self._looks = self._looks + 1 if self._burst else 0
        is_calm = len(fresh) <= LINES_MAX
        if self._burst and (is_calm or self._looks >= BURST_LOOKS_MAX):
            self._tell(_line_of(cursor, self._burst))
            self._burst = None
        elif is_calm:
            for one in fresh:
                self._tell(one.line())

    def _entries(self, cursor: Any) -> list[Any]:  # noqa: ANN401 - as above.
        cursor.execute(_ENTRIES, (self._entry, ROWS_MAX))
        entries = sorted(cursor.fetchall())
        self._entry = entries[-1][0] if entries else self._entry
        return entries

    def _fresh(self, cursor: Any, entries: Sequence[Any]) -> list[Happening]:  # noqa: ANN401 - as above.
        cursor.execute(_EVENTS, (ROWS_MAX,))
        rows = {row[0]: row[1:] for row in cursor.fetchall()}
        fresh_ids = rows.keys() - self._seen
        self._seen = set(rows)
        moved: dict[str, tuple[str, int]] = {}
        fresh = []
        for _, event_id, user, delta, kind, at in entries:
            if event_id in fresh_ids:
                moved[event_id] = (user, moved.get(event_id, ("", 0))[1] + delta)
            else:  # A debit, a correction, or an event that was applied again.
                fresh.append(Happening(at.astimezone(), kind, user, delta))
        for event_id in fresh_ids:
            what, status, at, user = rows[event_id]
            owner, delta = moved.get(event_id, ("", 0))
            fresh.append(Happening(at.astimezone(), what, user or owner, delta, status))
        return sorted(fresh, key=lambda one: one.at)


def _line_of(cursor: Any, burst: Burst) -> str:  # noqa: ANN401 - as above.
    cursor.execute(_BURST, {"since": burst.since, "entry": burst.entry})
    now, events, failed, users, delta = cursor.fetchone()
    words = [f"{now.astimezone():%H:%M} {events:,} events"]
    if failed:
        words.append(click.style(f"{failed:,} failed", fg="red"))
    if delta:
        tokens = click.style(f"{delta:+,}", fg="green" if delta > 0 else "red")
        words.append(f"{users:,} user{'s'[: users != 1]} {tokens}")
    return ", ".join(words)


class Feed:
    """Looks in a thread of its own until it is stopped.

    A database that is away is looked at later.
    """

    def __init__(self, database_url: str, tell: Callable[[str], None]) -> None:
        self._url = database_url
        self._happenings = Happenings(tell)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True, name="happenings")

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more, and let go of the database."""
        self._ended.set()
        self._thread.join(PAUSE_SECONDS)

    def _look_on(self) -> None:
        while not self._ended.is_set():
            try:
                with closing(psycopg2.connect(self._url)) as connection:
                    # An entry and its event are seen together or not at all.
                    connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
                    while not self._ended.wait(PAUSE_SECONDS):
                        with connection:
                            self._happenings.look(connection)
            except psycopg2.Error:
                self._ended.wait(PAUSE_SECONDS)


_ENTRIES = """
    SELECT id, event_id, user_id, delta, kind, created_at FROM ledger_entries
    WHERE id > %s ORDER BY id DESC LIMIT %s
"""
# Finished ones; what was ignored is counted in the live line and is nothing to read of.
_EVENTS = """
    SELECT newest.id, newest.type, newest.status, coalesce(newest.applied_at, newest.received_at),
           coalesce(newest.user_id, customers.user_id)
    FROM (SELECT * FROM webhook_events ORDER BY received_at DESC LIMIT %s) AS newest
    LEFT JOIN customers ON customers.id = newest.customer_id
    WHERE newest.status IN ('applied', 'failed', 'dead')
    ORDER BY newest.received_at DESC
"""
_BURST = """
    SELECT now(), events.number, events.failed, moved.users, moved.delta
    FROM (SELECT count(*) AS number, count(*) FILTER (WHERE status IN ('failed', 'dead')) AS failed
          FROM webhook_events WHERE received_at >= %(since)s AND status <> 'received') AS events,
         (SELECT count(DISTINCT user_id) AS users, CAST(coalesce(sum(delta), 0) AS bigint) AS delta
          FROM ledger_entries WHERE id > %(entry)s) AS moved
"""
