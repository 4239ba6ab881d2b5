"""Keeps the account in one SQLite file: each change is whole on disk, or not there at all.

The records are one pickled value, so the file is trusted: it is this machine's own, in the data
directory, and read by nobody else. A file of records that today's code cannot read is moved aside.
"""

import pickle
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from zlib import crc32

from sandbox.simulate import (
    contract_records,
    coupons,
    money_records,
    plans,
    records,
    versions,
)
from sandbox.simulate.engine import Event
from sandbox.stripe import earlier, goods, offers, views
from sandbox.stripe.agenda import Shop
from sandbox.stripe.log import Posted

_TABLES = """
CREATE TABLE IF NOT EXISTS account (one INTEGER PRIMARY KEY CHECK (one = 1), version TEXT NOT NULL,
    state BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS events (position INTEGER PRIMARY KEY, id TEXT NOT NULL,
    type TEXT NOT NULL, created INTEGER NOT NULL, customer TEXT NOT NULL, user TEXT NOT NULL,
    body BLOB NOT NULL, delivery TEXT NOT NULL, attempts INTEGER NOT NULL, answer TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, request TEXT NOT NULL,
    status INTEGER NOT NULL, body BLOB NOT NULL, at REAL NOT NULL);
"""

_MODULES = (
    contract_records,
    coupons,
    goods,
    money_records,
    offers,
    plans,
    records,
    versions,
    views,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered under an idempotency key; `request` tells a repetition from a misuse."""

    key: str
    request: str
    status: int
    body: bytes
    at: float


def version_of_records() -> str:
    """A fingerprint of what is pickled: it changes when a record gains or loses a field."""
    kept = [
        f"{kind.__module__}.{kind.__qualname__}:{','.join(field.name for field in fields(kind))}"
        for module in _MODULES
        for kind in vars(module).values()
        if isinstance(kind, type) and is_dataclass(kind)
    ]
    kept.append(f"{Shop.__qualname__}:{','.join(vars(Shop(run='', starts_at=0)))}")
    return f"{crc32(';'.join(sorted(set(kept))).encode()):08x}"


class Store:
    """The file; one process has it at a time, and one thread uses it at a time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.set_aside = _make_way(path)
        self._connection = _connect(path)

    def state(self) -> object:
        """The account as it was last saved; None where there is none."""
        row = self._connection.execute("SELECT state FROM account").fetchone()
        return earlier.load(row[0]) if row else None

    def events(self) -> list[Posted]:
        """Every event, oldest first."""
        rows = self._connection.execute(
            "SELECT position, id, type, created, customer, user, body, delivery, attempts, answer"
            " FROM events ORDER BY position"
        )
        return [Posted(row[0], Event(*row[1:7]), *row[7:]) for row in rows]

    def answer(self, key: str) -> Answer | None:
        """What was answered under an idempotency key."""
        row = self._connection.execute("SELECT * FROM answers WHERE key = ?", (key,)).fetchone()
        return Answer(*row) if row else None

    def save(self, state: object, fresh: Iterable[Posted], answer: Answer | None = None) -> None:
        """Keep a change: the account, the events it caused, and what was answered."""
        blob = pickle.dumps(state, protocol=pickle.HIGHEST_PROTOCOL)
        with self._connection:
            self._connection.execute(
                "INSERT OR REPLACE INTO account VALUES (1, ?, ?)", (version_of_records(), blob)
            )
            self._connection.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        *(one.position, one.event.id, one.event.type, one.event.created),
                        *(one.event.customer_id, one.event.user_id, one.event.body),
                        *(one.delivery, one.attempts, one.answer),
                    )
                    for one in fresh
                ],
            )
            if answer:
                self._keep(answer)

    def note(self, one: Posted) -> None:
        """Keep the state of one event's delivery."""
        with self._connection:
            self._connection.execute(
                "UPDATE events SET delivery = ?, attempts = ?, answer = ? WHERE position = ?",
                (one.delivery, one.attempts, one.answer, one.position),
            )

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _keep(self, answer: Answer) -> None:
        self._connection.execute("DELETE FROM answers WHERE at < ?", (answer.at - 86400,))
        self._connection.execute(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)",
            (answer.key, answer.request, answer.status, answer.body, answer.at),
        )


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(_TABLES)
    return connection


def _make_way(path: Path) -> Path | None:
    """Move a file aside that cannot be read as it is; returns where it went."""
    if not path.exists() or _readable(path):
        return None
    number = 1
    while (aside := path.with_name(f"{path.name}.old{number}")).exists():
        number += 1
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return aside


def _readable(path: Path) -> bool:
    try:
        connection = sqlite3.connect(path)
        try:
            row = connection.execute("SELECT version, state FROM account").fetchone()
        finally:
            connection.close()
        if row and row[0] in {version_of_records(), *earlier.VERSIONS}:
            earlier.load(row[1])
            return True
    except (sqlite3.Error, pickle.UnpicklingError, AttributeError, ImportError):
        return False
    return row is None
