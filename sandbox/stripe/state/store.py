"""Keeps the account in one SQLite file: each change is whole on disk, or not there at all.

A record is a row of JSON, and only rows that changed are written. A file that today's code cannot
read is moved aside.
"""

import json
import pickle
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.stripe import lives
from sandbox.stripe.log import Posted
from sandbox.stripe.state import earlier, postings
from sandbox.stripe.state.account import Saved, State, put_together, taken_apart
from sandbox.stripe.state.records import UnreadableError

# What the file says of how it is written; a later release reads it as well.
FORMAT = "json 1"
_TABLES = """
CREATE TABLE IF NOT EXISTS account (one INTEGER PRIMARY KEY CHECK (one = 1), version TEXT NOT NULL,
    state BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS events (position INTEGER PRIMARY KEY, id TEXT NOT NULL,
    type TEXT NOT NULL, created INTEGER NOT NULL, customer TEXT NOT NULL, user TEXT NOT NULL,
    body BLOB NOT NULL, delivery TEXT NOT NULL, attempts INTEGER NOT NULL, answer TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, request TEXT NOT NULL,
    status INTEGER NOT NULL, body BLOB NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS postings (position INTEGER NOT NULL, destination TEXT NOT NULL,
    delivery TEXT NOT NULL, attempts INTEGER NOT NULL, answer TEXT NOT NULL,
    PRIMARY KEY (position, destination));
CREATE TABLE IF NOT EXISTS renditions (position INTEGER NOT NULL, version TEXT NOT NULL,
    body BLOB NOT NULL, PRIMARY KEY (position, version));
CREATE TABLE IF NOT EXISTS thin_only (position INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS records (id TEXT PRIMARY KEY, place INTEGER, body TEXT NOT NULL)
    WITHOUT ROWID;
"""

_OF_ACCOUNT = ("account", "events", "answers", "postings", "renditions", "thin_only", "records")
_UNREADABLE = (UnreadableError, pickle.UnpicklingError, AttributeError, ImportError)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered under an idempotency key; `request` tells a repetition from a misuse."""

    key: str
    request: str
    status: int
    body: bytes
    at: float


class Store:
    """The file; one process has it at a time, and one thread uses it at a time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.set_aside = _make_way(path)
        self._connection = _connect(path)
        # What the file has, so that only changes are written.
        self._written: dict[str, tuple[int | None, bytes]] = {}

    def state(self) -> State | None:
        """The account as it was last saved; None where there is none."""
        return _read(self._connection)

    def events(self) -> list[Posted]:
        """Every event, oldest first."""
        return postings.events(self._connection)

    def kept(self, name: str) -> Any:  # noqa: ANN401 - whatever was kept.
        """What was kept under a name as JSON; None where nothing was."""
        row = self._connection.execute("SELECT value FROM kept WHERE name = ?", (name,)).fetchone()
        return json.loads(row[0]) if row else None

    def keep(self, name: str, value: object) -> None:
        """Keep something under a name as JSON."""
        with self._connection:
            self._connection.execute(
                "INSERT OR REPLACE INTO kept VALUES (?, ?)", (name, json.dumps(value))
            )

    def take_lives(self, answers: Iterable[tuple[str, bytes]]) -> int:
        """Answer for lives that were simulated elsewhere; returns for how many addresses."""
        return lives.keep(self._connection, answers)

    def life_at(self, path: str) -> bytes | None:
        """What such a life is answered with at a path; None where there is none."""
        return lives.at(self._connection, path)

    def answer(self, key: str) -> Answer | None:
        """What was answered under an idempotency key."""
        row = self._connection.execute("SELECT * FROM answers WHERE key = ?", (key,)).fetchone()
        return Answer(*row) if row else None

    def save(self, state: State, fresh: Iterable[Posted], answer: Answer | None = None) -> None:
        """Keep a change: the account, the events it caused, and what was answered."""
        saved = taken_apart(state)
        rows = _rows(saved)
        with self._connection:
            self._connection.execute(
                "INSERT OR REPLACE INTO account VALUES (1, ?, ?)",
                (FORMAT, saved.account.decode()),
            )
            self._write(rows)
            for one in fresh:
                postings.add(self._connection, one)
            if answer:
                self._keep(answer)
        self._written = rows

    def forget(self) -> None:
        """Drop the account with its events and answers; what is kept by name stays."""
        with self._connection:
            for table in _OF_ACCOUNT:
                self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names from here.
        self._written = {}

    def note(self, one: Posted, name: str) -> None:
        """Keep the state of one event's delivery to an endpoint."""
        with self._connection:
            postings.keep(self._connection, one, name)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _write(self, rows: dict[str, tuple[int | None, bytes]]) -> None:
        if not self._written:
            self._connection.execute("DELETE FROM records")
        gone = [(record_id,) for record_id in self._written.keys() - rows.keys()]
        self._connection.executemany("DELETE FROM records WHERE id = ?", gone)
        self._connection.executemany(
            "INSERT OR REPLACE INTO records VALUES (?, ?, ?)",
            [
                (record_id, place, body.decode())
                for record_id, (place, body) in rows.items()
                if self._written.get(record_id) != (place, body)
            ],
        )

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
    connection.executescript(_TABLES + lives.TABLES)
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
            _read(connection)
        finally:
            connection.close()
    except (*_UNREADABLE, sqlite3.Error):
        return False
    return True


def _read(connection: sqlite3.Connection) -> State | None:
    row = connection.execute("SELECT version, state FROM account").fetchone()
    if row is None:
        return None
    if row[0] in earlier.VERSIONS:
        return earlier.load(row[1])
    if row[0] != FORMAT:
        raise UnreadableError(f"it is written as {row[0]}")
    rows = connection.execute("SELECT id, place, body FROM records ORDER BY place").fetchall()
    bodies = {record_id: body.encode() for record_id, _, body in rows}
    kept = tuple(record_id for record_id, place, _ in rows if place is not None)
    return put_together(Saved(row[1].encode(), bodies, kept))


def _rows(saved: Saved) -> dict[str, tuple[int | None, bytes]]:
    places = {record_id: place for place, record_id in enumerate(saved.kept)}
    return {record_id: (places.get(record_id), body) for record_id, body in saved.bodies.items()}
