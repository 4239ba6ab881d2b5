"""Lives that were simulated elsewhere, for which the offline Stripe answers beside its own account.

Only what has an address of its own is answered: objects and events, by `GET`. Kept in the file of
the account, because who asks may ask tomorrow.
"""

import sqlite3
import zlib
from collections.abc import Iterable

TABLES = "CREATE TABLE IF NOT EXISTS lives (path TEXT PRIMARY KEY, body BLOB NOT NULL);"
# They compress to a tenth, and are asked for once or twice.
_LEVEL = 1


def keep(connection: sqlite3.Connection, answers: Iterable[tuple[str, bytes]]) -> int:
    """Answer so at these paths from now on; returns how many."""
    rows = ((path, zlib.compress(body, _LEVEL)) for path, body in answers)
    with connection:
        cursor = connection.executemany("INSERT OR REPLACE INTO lives VALUES (?, ?)", rows)
    return cursor.rowcount


def at(connection: sqlite3.Connection, path: str) -> bytes | None:
    """The body of the answer at a path; None where no life has it."""
    row = connection.execute("SELECT body FROM lives WHERE path = ?", (path,)).fetchone()
    return zlib.decompress(row[0]) if row else None
