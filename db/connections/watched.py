"""A connection that never waits without bound, and takes no commit for more than it is.

PostgreSQL's own limits end a statement, not the wait of a COMMIT for a standby, and a server that
stands still enforces none. So one thread of each process watches how long each connection has
waited for its server, and cuts those off that wait too long: libpq then reports a lost connection,
and what became of the transaction is unknown.

Where somebody cancels a COMMIT that waits for a standby, PostgreSQL reports success and a warning:
committed here, perhaps nowhere else. That is an error here.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import psycopg2
from psycopg2 import extensions

# The receiver answers within 6 s, so a commit that takes longer was in vain.
COMMIT_SECONDS_MAX = 4.0
# Beyond the server's own limit, which tells more and costs no connection.
GRACE_SECONDS = 1.0
_LOOK_EVERY_SECONDS = 0.25
_CANCEL_CONNECT_SECONDS = 2


class NotReplicatedError(psycopg2.OperationalError):
    """A commit was done on this server, and no standby is known to have it."""


class _Watch:
    """What waits for a server now, and until when; one thread of the process cuts it off."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begin_anew()
        # The thread is not there after a fork, and the connections are the parent's.
        os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[float, Callable[[], object]]] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def waiting(self, seconds_max: float, cut: Callable[[], object]) -> Iterator[None]:
        """Call `cut`, once, if this takes longer."""
        entry = (time.monotonic() + seconds_max, cut)
        key = id(entry)
        self._waiting[key] = entry
        if self._thread is None:
            self._start()
        try:
            yield
        finally:
            self._waiting.pop(key, None)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._go_on, name="database-deadline", daemon=True
                )
                self._thread.start()

    def _go_on(self) -> None:
        never = threading.Event()
        while not never.wait(_LOOK_EVERY_SECONDS):
            now = time.monotonic()
            for key, (until, cut) in list(self._waiting.items()):
                if until < now and key in self._waiting:
                    # No longer than once, should the thread under it be slow to go.
                    self._waiting.pop(key, None)
                    cut()


_watch = _Watch()


class WatchedCursor(extensions.cursor):
    """A cursor whose statements have the deadline of its connection."""

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002, ANN401 - psycopg2's names.
        """Run a statement."""
        connection: Any = self.connection
        if not isinstance(connection, WatchedConnection) or self.name:
            super().execute(query, vars)
            return
        with _watch.waiting(connection.statement_seconds_max, connection.cut):
            super().execute(query, vars)

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:  # noqa: ANN401 - as above.
        """Run a COPY."""
        connection: Any = self.connection
        if not isinstance(connection, WatchedConnection):
            super().copy_expert(sql, file, size)
            return
        with _watch.waiting(connection.statement_seconds_max, connection.cut):
            super().copy_expert(sql, file, size)


class WatchedConnection(extensions.connection):
    """A connection whose statements and commits have deadlines of this process's own."""

    statement_seconds_max = 5.0 + GRACE_SECONDS
    commit_seconds_max = COMMIT_SECONDS_MAX
    # Behind a pooler the number of a session is not the server's.
    knows_its_session = True

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - psycopg2's.
        super().__init__(*arguments, **options)
        self.cursor_factory = WatchedCursor
        # By their text, the names of the statements that are prepared; None where nobody knows.
        self.prepared: dict[str, str] | None = None

    def commit(self) -> None:
        """Commit; raises `NotReplicatedError` where the server says a word about it."""
        self.notices.clear()
        with _watch.waiting(self.commit_seconds_max, self._cut_commit):
            super().commit()
        # Whatever it says, in whichever language: a commit that is as it should be is silent.
        if self.notices:
            raise NotReplicatedError("the commit was not confirmed by a standby")

    def cut(self) -> None:
        """End the connection under a thread that waits for it."""
        with suppress(OSError, psycopg2.Error), closing(_socket_of(self)) as ours:
            ours.shutdown(socket.SHUT_RDWR)

    def _cut_commit(self) -> None:
        """Cut, and let the server's side of it end too: it would wait for ever, in vain."""
        if not self.knows_its_session:
            self.cut()
            return
        pid, dsn = self.info.backend_pid, {**self.info.dsn_parameters}
        dsn |= {"host": self.info.host, "port": str(self.info.port)}
        password = self.info.password
        self.cut()
        threading.Thread(
            target=_cancel, args=(pid, dsn, password), name="database-cancel", daemon=True
        ).start()


def connection_class(statement_timeout_ms: int, *, pooled: bool) -> type[WatchedConnection]:
    """The class of connections whose server ends a statement after so long; 0 is never.

    `pooled` says that a pooler is between.
    """
    seconds = statement_timeout_ms / 1000 + GRACE_SECONDS if statement_timeout_ms else float("inf")
    own = {
        "statement_seconds_max": seconds,
        # Who allows long statements allows long commits.
        "commit_seconds_max": max(COMMIT_SECONDS_MAX, seconds - GRACE_SECONDS - 1.0),
        "knows_its_session": not pooled,
    }
    return type("WatchedConnection", (WatchedConnection,), own)


def _socket_of(connection: extensions.connection) -> socket.socket:
    return socket.socket(fileno=os.dup(connection.fileno()))


def _cancel(pid: int, dsn: dict[str, str], password: str) -> None:
    """Cancel what a session of ours does at its server, from another session."""
    dsn |= {"connect_timeout": str(_CANCEL_CONNECT_SECONDS), "password": password}
    connect: Callable[..., extensions.connection] = psycopg2.connect
    with (
        suppress(psycopg2.Error, OSError),
        closing(connect(connection_factory=WatchedConnection, **dsn)) as other,
        other.cursor() as cursor,
    ):
        cursor.execute("SELECT pg_cancel_backend(%s)", (pid,))
