"""Which failures are worth another try at once, and when a failed event is tried again."""

from collections.abc import Sequence

from sqlalchemy import exc

# After these delays a failed event is tried again; after the last of them it is dead.
RETRY_DELAYS_SECONDS: Sequence[float] = (10, 60, 600, 3_600, 21_600)

# SQLSTATEs that say "not now": serialization, deadlock, lock timeout, shutdown and start-up.
_TRANSIENT_STATES = frozenset({"40001", "40P01", "55P03", "57P01", "57P02", "57P03", "57014"})
# Classes: connection lost, resources short.
_TRANSIENT_CLASSES = ("08", "53")

_ERROR_LENGTH_MAX = 8_000


def retry_in_seconds(attempts: int) -> float | None:
    """How long to wait after the given number of failed attempts; None when it is enough."""
    if attempts > len(RETRY_DELAYS_SECONDS):
        return None
    return RETRY_DELAYS_SECONDS[attempts - 1]


def is_transient(error: Exception) -> bool:
    """Whether the same work may succeed in a moment, on a fresh connection."""
    if isinstance(error, exc.TimeoutError):
        return True  # The pool had no connection to give.
    if not isinstance(error, exc.DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "pgcode", None)
    if state is None:
        # Without a SQLSTATE the server was never reached, or is gone.
        return isinstance(error, exc.OperationalError | exc.InterfaceError)
    return state in _TRANSIENT_STATES or state.startswith(_TRANSIENT_CLASSES)


def described(error: Exception) -> str:
    """An error as the inbox keeps it: for people, without the statement's parameters."""
    if isinstance(error, exc.DBAPIError):
        text = f"{type(error.orig).__name__}: {error.orig}"
    else:
        text = f"{type(error).__name__}: {error}"
    return text.replace("\0", "\\0").strip()[:_ERROR_LENGTH_MAX]
