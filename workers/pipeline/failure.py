"""Which failures are retried at once, and what is stored of an error.

What is stored of an error names lines of our code and never a value of a variable.
"""

import traceback
from collections.abc import Sequence
from pathlib import Path

from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import exc

import telling

# After these delays a failed event is tried again, unless the settings say otherwise; after the
# last of them it is dead.
RETRY_DELAYS_SECONDS: Sequence[float] = (10, 60, 600, 3_600, 21_600)

# SQLSTATEs of a server that shuts down or starts up.
_AWAY_STATES = frozenset({"57P01", "57P02", "57P03"})
# Classes: connection lost, resources short.
_AWAY_CLASSES = ("08", "53")
# Out of shared memory: the table of locks is full. A smaller transaction may have room in it.
_TOO_LARGE = "53200"
# Serialization and deadlock: over as soon as they are reported.
_COLLISIONS = frozenset({"40001", "40P01"})

# A lock not had in time, a statement not done in time.
_TIMEOUTS = frozenset({"55P03", "57014"})

_ERROR_LENGTH_MAX = 8_000
# The innermost frames tell most.
_FRAMES_MAX = 20
_ROOT = Path(__file__).resolve().parents[2]
_ROOMS = frozenset({"db", "domain", "ingest", "workers"})


def is_away(error: Exception) -> bool:
    """Whether no event caused the failure: the database is away, or the task has no time left.

    All events then wait where they are, and no attempt is counted.
    """
    if isinstance(error, exc.TimeoutError | SoftTimeLimitExceeded):
        return True  # The pool had no connection to give, or the task must end.
    if not isinstance(error, exc.DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    state = _state(error)
    if state is None:
        # Without a SQLSTATE the server was never reached, or is gone.
        return isinstance(error, exc.OperationalError | exc.InterfaceError)
    return state in _AWAY_STATES or state.startswith(_AWAY_CLASSES)


def is_worth_waiting(error: Exception) -> bool:
    """Whether the same work may succeed in a moment, on a fresh connection.

    A lock or statement that timed out is not: it was waited for already, and splitting the batch
    finds the event that caused it.
    """
    is_collision = isinstance(error, exc.DBAPIError) and _state(error) in _COLLISIONS
    return is_collision or (is_away(error) and not isinstance(error, SoftTimeLimitExceeded))


def is_too_large(error: Exception) -> bool:
    """Whether PostgreSQL had no room for the transaction's locks: less at once may go through."""
    return isinstance(error, exc.DBAPIError) and _state(error) == _TOO_LARGE


def is_timeout(error: Exception) -> bool:
    """Whether a statement or a lock was waited for until its time was up."""
    return isinstance(error, exc.DBAPIError) and _state(error) in _TIMEOUTS


def _state(error: exc.DBAPIError) -> str | None:
    state: str | None = getattr(error.orig, "pgcode", None)
    return state


def described(error: Exception) -> str:
    """An error as the inbox keeps it: for people, without a value of a row, parameter or body."""
    return telling.in_one_line(error).replace("\0", "\\0").strip()[:_ERROR_LENGTH_MAX]


def traced(error: Exception) -> str | None:
    """Where in our code an error came from, outermost call first; None if it was never raised.

    Lines of code only: no message, no values, nothing of libraries.
    """
    frames = [
        f"{place}:{frame.lineno} in {frame.name}: {frame.line}"
        for frame in traceback.extract_tb(error.__traceback__)
        if (place := _place(frame.filename))
    ]
    return "\n".join(frames[-_FRAMES_MAX:]) or None


def _place(filename: str) -> str | None:
    """The path of a module of ours, from the project's root; None for any other."""
    path = Path(filename)
    if not path.is_relative_to(_ROOT):
        return None
    inside = path.relative_to(_ROOT)
    return inside.as_posix() if inside.parts[0] in _ROOMS or len(inside.parts) == 1 else None
