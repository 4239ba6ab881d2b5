"""Lets through connections to the primary of today, and to no other.

An old primary that comes back takes writes as before, and what it takes is lost. The guard asks
each new connection which timeline its server is on, and how many standbys confirm a commit there.
It closes one to a server that a newer one has replaced, or that would commit without the copies
that are wanted, and tries the next host.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import extensions
from sqlalchemy import Engine, event, exc

from db.connections.copies import LOOK_EVERY_SECONDS, promised
from db.connections.timelines import KEY, Timelines


class OutdatedServerError(psycopg2.OperationalError):
    """The server may not be written to; another one may."""


@dataclass(frozen=True, slots=True)
class Server:
    """What a server says of itself; without rights to be told, 0 as system and timeline."""

    system: int
    timeline: int
    copies: int


class Guard:
    """Watches the connections of one engine.

    `copies` must confirm each commit. With `asks_often` a connection is looked at each second, for
    a setting may change and a pooler may hand us to another server; otherwise once.
    """

    def __init__(self, timelines: Timelines, *, copies: int = 0, asks_often: bool = False) -> None:
        self._timelines = timelines
        self._copies = copies
        self._asks_often = asks_often or copies > 0

    def watch(self, engine: Engine) -> None:
        """Look at every connection that this engine makes, and at each that it takes out."""
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "checkout", self._checked_out)

    def _connect(
        self,
        dialect: Any,  # noqa: ANN401 - as SQLAlchemy calls it.
        record: Any,  # noqa: ANN401 - as above.
        arguments: Sequence[Any],
        options: dict[str, Any],
    ) -> extensions.connection:
        """A connection to the first host that may be written to."""
        left = dict(options)
        refusal: OutdatedServerError | None = None
        while True:
            try:
                connection: extensions.connection = dialect.connect(*arguments, **left)
            except psycopg2.OperationalError as error:
                # That a host was refused tells more than that no other one answers.
                raise refusal or error from error
            try:
                self._require(server := look(connection))
            except OutdatedServerError as error:
                refusal = error
                place = (connection.info.host, str(connection.info.port))
                connection.close()
                if not _leave_out(left, place):
                    raise
            except BaseException:
                connection.close()
                raise
            else:
                record.info.update(server=server, server_at=time.monotonic())
                return connection

    def _checked_out(
        self,
        connection: Any,  # noqa: ANN401 - as SQLAlchemy calls it.
        record: Any,  # noqa: ANN401 - as above.
        _proxy: object,
    ) -> None:
        """Refuse a pooled connection whose server has been replaced meanwhile."""
        server: Server = record.info["server"]
        now = time.monotonic()
        if self._asks_often and now - record.info["server_at"] > LOOK_EVERY_SECONDS:
            try:
                server = look(connection)
            except psycopg2.Error as error:
                raise exc.DisconnectionError from error
            record.info.update(server=server, server_at=now)
        try:
            self._require(server)
        except OutdatedServerError as error:
            raise exc.DisconnectionError(str(error)) from error

    def _require(self, server: Server) -> None:
        if server.timeline:
            self._timelines.saw(server.system, server.timeline)
            newest = self._timelines.newest(server.system)
            if server.timeline < newest:
                raise OutdatedServerError(
                    f"this PostgreSQL is on timeline {server.timeline}, another was promoted to"
                    f" {newest} (kept in Redis as {KEY})"
                )
        if server.copies < self._copies:
            raise OutdatedServerError(
                f"{server.copies} standby(s) confirm a commit of this PostgreSQL,"
                f" DATABASE_COPIES={self._copies}"
            )


def look(connection: extensions.connection) -> Server:
    """Ask a connection's server what it is; leaves no transaction open."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(_LOOK)
            system, timeline, names, level = cursor.fetchone() or (0, None, "", "")
    except (
        psycopg2.errors.InsufficientPrivilege,
        psycopg2.errors.UndefinedFunction,
        psycopg2.errors.FeatureNotSupported,
    ):
        # A service that hides this from its users sees to it itself.
        connection.rollback()
        with connection.cursor() as cursor:
            cursor.execute(_COPIES)
            system, timeline, (names, level) = 0, None, cursor.fetchone() or ("", "")
    connection.rollback()
    return Server(system, int(timeline, 16) if timeline else 0, promised(names, level))


def _leave_out(options: dict[str, Any], place: tuple[str, str]) -> bool:
    """Take a host from those to be tried; False when none is left."""
    hosts = str(options.get("host", "")).split(",")
    ports = str(options.get("port", "")).split(",")
    if len(ports) != len(hosts):
        ports = [ports[0]] * len(hosts)
    left = [pair for pair in zip(hosts, ports, strict=True) if pair != place]
    if not left or len(left) == len(hosts):
        return False
    options["host"] = ",".join(host for host, _ in left)
    options["port"] = ",".join(port for _, port in left)
    return True


_NAMES = """
    current_setting('synchronous_standby_names'), current_setting('synchronous_commit')
"""
_COPIES = f"SELECT {_NAMES}"
# The name of a file of the log begins with its timeline. A standby has none that it writes.
_LOOK = f"""
SELECT system_identifier,
       CASE WHEN NOT pg_is_in_recovery()
            THEN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END,
       {_NAMES}
FROM pg_control_system()
"""  # noqa: S608 - both parts are ours.
