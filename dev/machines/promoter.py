"""Plays the operator of PostgreSQL, whose part Patroni or CloudNativePG has in production.

It promotes the standby that has come furthest once the primary has been gone for seconds, lets the
other one follow, and makes a primary that comes back after that a standby again. It does not tell
the product anything.
"""

import threading
import time
from collections.abc import Callable

import psycopg2

from dev.machines.machine import MachineError
from dev.machines.postgreses import Postgreses, Server, Standing

GONE_SECONDS = 5.0
# So long an old primary that is back may do what it likes, before it is made a standby.
OUTDATED_SECONDS = 8.0
# A standby that does not stream for so long is made anew.
LOST_SECONDS = 15.0
_LOOK_EVERY_SECONDS = 0.5


class Promoter:
    """A thread that looks at the servers twice a second."""

    def __init__(self, postgreses: Postgreses, tell: Callable[[str], None]) -> None:
        self._postgreses = postgreses
        self._tell = tell
        self._since: dict[tuple[str, str], float] = {}
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="promoter", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._ends.wait(_LOOK_EVERY_SECONDS):
            try:
                self._look()
            except (psycopg2.Error, MachineError) as error:
                # It looks again; what cannot be mended ends the run by its own limit.
                self._tell(f"promoter: {str(error).strip().splitlines()[0]}")

    def _look(self) -> None:
        primary = self._postgreses.primary
        standing = primary.standing()
        is_gone = standing is None or not standing.is_primary
        if self._lasts("gone", primary, is_gone) >= GONE_SECONDS:
            self._promote()
            return
        for server in self._postgreses.servers:
            if server is not primary and not is_gone:
                self._look_after(server, server.standing())

    def _look_after(self, server: Server, standing: Standing | None) -> None:
        primary = self._postgreses.primary
        is_outdated = standing is not None and standing.is_primary
        if self._lasts("outdated", server, is_outdated) >= OUTDATED_SECONDS:
            self._copy(server, "was a primary")
            return
        if standing is None or standing.is_primary:
            self._lasts("lost", server, is_so=False)
            return
        if f"host={primary.machine.address} " not in standing.follows:
            self._follow(server)
        if self._lasts("lost", server, not self._streams(server)) >= LOST_SECONDS:
            self._copy(server, "does not stream")

    def _promote(self) -> None:
        """Promote who has come furthest; only when all others answer, for one may know more."""
        others = [each for each in self._postgreses.servers if each is not self._postgreses.primary]
        standings = {each: each.standing() for each in others}
        if any(standing is None or standing.is_primary for standing in standings.values()):
            return
        furthest = max(others, key=lambda each: self._position(standings[each]))
        with furthest.cursor() as cursor:
            cursor.execute("SELECT pg_promote(wait => true, wait_seconds => 2)")
        self._postgreses.primary = furthest
        self._since.clear()
        self._tell(f"promoter: {furthest.machine.name} is the primary now")
        for server in others:
            if server is not furthest:
                self._follow(server)

    def _follow(self, server: Server) -> None:
        """Let a standby follow today's primary."""
        place = self._postgreses.place(self._postgreses.primary, server)
        with server.cursor() as cursor:
            cursor.execute("ALTER SYSTEM SET primary_conninfo = %s", (place,))
            cursor.execute("SELECT pg_reload_conf()")

    def _copy(self, server: Server, why: str) -> None:
        self._tell(f"promoter: {server.machine.name} {why}, it is copied anew")
        with server.machine.lock:
            if server.machine.is_up and not server.machine.is_stopped:
                self._postgreses.copy(server, self._postgreses.primary)
        self._since.clear()

    def _streams(self, server: Server) -> bool:
        with self._postgreses.primary.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_replication"
                " WHERE application_name = %s AND state = 'streaming'",
                (server.machine.name,),
            )
            return bool(cursor.fetchone()[0])

    def _lasts(self, what: str, server: Server, is_so: bool) -> float:  # noqa: FBT001 - it is what is told.
        """For how many seconds something has been so."""
        key = (what, server.machine.name)
        if not is_so:
            self._since.pop(key, None)
            return 0.0
        return time.monotonic() - self._since.setdefault(key, time.monotonic())

    @staticmethod
    def _position(standing: Standing | None) -> int:
        return standing.position if standing else -1
