"""Spends on disk, for while the service is away: kept through crashes, shared by processes.

An SQLite file. A spend is on disk once `add` returns; one that was being written when the machine
died is there whole or not at all, and harms no other. What was sent and not crossed out is sent
again with its key, which the ledger takes once.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fiko_client.calls import Spend
from fiko_client.errors import (
    FikoError,
    Forbidden,
    InsufficientTokens,
    KeyReused,
    Problem,
    RateLimited,
    ServiceAway,
    Unauthorized,
)

# Other processes hold the file for milliseconds.
_BUSY_SECONDS = 30.0
_PAGE = 100
# A spend that cannot be paid is tried again less and less often.
_PAUSE_SECONDS_MIN = 30.0
_PAUSE_SECONDS_MAX = 3600.0
_DOUBLINGS_MAX = 10
_CONFLICT = 409
_SERVER_ERROR = 500

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS spends (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        user TEXT NOT NULL,
        key TEXT NOT NULL,
        amount INTEGER NOT NULL,
        reason TEXT NOT NULL,
        spooled_at REAL NOT NULL,
        due_at REAL NOT NULL DEFAULT 0,
        tries INTEGER NOT NULL DEFAULT 0,
        refused INTEGER NOT NULL DEFAULT 0,
        problem TEXT,
        UNIQUE (user, key)
    )
"""
_COLUMNS = "number, user, key, amount, reason, spooled_at, tries, problem"


@dataclass(frozen=True, slots=True)
class SpooledSpend:
    """A spend that waits, or that the service refused; `problem` is what was said last."""

    number: int
    user: str
    key: str
    amount: int
    reason: str
    spooled_at: float
    tries: int
    problem: str | None

    @property
    def spend(self) -> Spend:
        """What to send."""
        return Spend(self.amount, self.reason, self.key)


class Spool:
    """The spends of any number of users, clients, threads and processes of one machine."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Reasons may be private.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        with self._writing() as connection:
            connection.execute(_SCHEMA)

    def add(self, user: str, spend: Spend) -> None:
        """Keep a spend; the same once more changes nothing. Raises `KeyReused`."""
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO spends (user, key, amount, reason, spooled_at)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (user, spend.key, spend.amount, spend.reason, time.time()),
            )
            kept = connection.execute(
                "SELECT amount, reason FROM spends WHERE user = ? AND key = ?", (user, spend.key)
            ).fetchone()
        if kept != (spend.amount, spend.reason):
            raise KeyReused(
                _CONFLICT, "idempotency_key_reused", "The spool has this key with other content."
            )

    def waiting(self, *, due_only: bool = False) -> Iterator[SpooledSpend]:
        """Spends that are to be sent, oldest first; those added meanwhile come as well."""
        due_at = time.time() if due_only else float("inf")
        number = 0
        while rows := self._page(number, due_at):
            yield from rows
            number = rows[-1].number

    def refused(self) -> list[SpooledSpend]:
        """Spends that the service will not take as they are: for a person to look at."""
        return self._select("refused ORDER BY number", ())

    def retry(self, key: str) -> None:
        """Let a refused spend be sent again."""
        with self._writing() as connection:
            connection.execute("UPDATE spends SET refused = 0, due_at = 0 WHERE key = ?", (key,))

    def remove(self, *spends: SpooledSpend) -> None:
        """Cross out spends: they are in the ledger, or a person gave them up."""
        with self._writing() as connection:
            numbers = [(spend.number,) for spend in spends]
            connection.executemany("DELETE FROM spends WHERE number = ?", numbers)

    def postpone(self, spend: SpooledSpend, error: FikoError) -> None:
        """Note why a spend was not taken, and when to try again; some are never to be."""
        pause = min(_PAUSE_SECONDS_MIN * 2 ** min(spend.tries, _DOUBLINGS_MAX), _PAUSE_SECONDS_MAX)
        values = (str(error), is_final(error), time.time() + pause, spend.number)
        with self._writing() as connection:
            connection.execute(
                "UPDATE spends SET problem = ?, refused = ?, due_at = ?, tries = tries + 1"
                " WHERE number = ?",
                values,
            )

    def __len__(self) -> int:
        """How many wait."""
        with closing(self.connect()) as connection:
            [(count,)] = connection.execute("SELECT count(*) FROM spends WHERE NOT refused")
        return int(count)

    def _page(self, after: int, due_at: float) -> list[SpooledSpend]:
        return self._select(
            f"NOT refused AND number > ? AND due_at <= ? ORDER BY number LIMIT {_PAGE}",
            (after, due_at),
        )

    def _select(self, condition: str, values: tuple[float, ...]) -> list[SpooledSpend]:
        statement = f"SELECT {_COLUMNS} FROM spends WHERE {condition}"  # noqa: S608 - our own words.
        with closing(self.connect()) as connection:
            return [SpooledSpend(*row) for row in connection.execute(statement, values)]

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with closing(self.connect()) as connection:
            # At once, so that nobody finds out in the middle that another writes.
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                yield connection

    def connect(self) -> sqlite3.Connection:
        """A connection for one piece of work: none is carried over a fork or between threads."""
        connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
        # A commit is on disk. A journal that stays spares two of the waits that this takes; a
        # write-ahead log would spare one more, and has had a race that damages files.
        connection.execute("PRAGMA journal_mode = PERSIST")
        connection.execute("PRAGMA synchronous = FULL")
        return connection


def is_final(error: FikoError) -> bool:
    """Whether the service will say the same however often it is asked."""
    passes = isinstance(error, InsufficientTokens) or concerns_user(error)
    return isinstance(error, Problem) and not passes


def concerns_user(error: FikoError) -> bool:
    """Whether the user's other spends would be answered alike: by the token or by the rate."""
    return isinstance(error, (RateLimited, Unauthorized, Forbidden))


def ends_settling(error: FikoError) -> bool:
    """Whether nothing else can be settled now either.

    A 500 may come of one spend, which must not keep back those behind it.
    """
    return isinstance(error, ServiceAway) and error.status != _SERVER_ERROR
