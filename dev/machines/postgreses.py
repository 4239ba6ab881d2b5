"""Three PostgreSQLs, of which one takes writes and any one of the others confirms each of them."""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from dev.machines.machine import Machine, MachineError, Service
from dev.up.postgres import DATABASE, DISCREET, ROLE
from dev.up.processes import Account
from dev.up.suppliers import postgres_directory

PORT = 5432
PASSWORD = "of-the-machines"  # noqa: S105 - of servers that nobody else reaches.
CONNECT_SECONDS = 2
START_SECONDS_MAX = 30.0
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "PGPASSWORD": PASSWORD}
_SETTINGS = {
    "port": str(PORT),
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "max_locks_per_transaction": "256",
    # What is silent for so long is gone, so that a standby finds its new primary.
    "wal_receiver_timeout": "3s",
    "wal_sender_timeout": "3s",
    # Enough for one that was away to go on where it was.
    "wal_keep_size": "256MB",
    **DISCREET,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """What a server says of itself: whether it takes writes, whom it follows, how far it has come.

    `followers` are those that stream from it now.
    """

    is_primary: bool
    follows: str
    position: int
    followers: int


@dataclass(eq=False, slots=True)
class Server:
    """One PostgreSQL and the machine it is on."""

    machine: Machine
    home: Path
    service: Service

    def url(self, database: str = DATABASE) -> str:
        """`postgresql://…` for its superuser."""
        return f"postgresql://{ROLE}:{PASSWORD}@{self.machine.address}:{PORT}/{database}"

    @contextlib.contextmanager
    def cursor(self, database: str = DATABASE) -> Iterator[Any]:
        """A cursor whose every statement is a transaction of its own, and takes 3 s at most."""
        limits: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS,
            "options": f"-c statement_timeout={CONNECT_SECONDS + 1}s",
            # A machine that vanished does not answer, and nobody else tells.
            "tcp_user_timeout": CONNECT_SECONDS * 1000,
        }
        with closing(psycopg2.connect(self.url(database), **limits)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor

    def standing(self) -> Standing | None:
        """What it says of itself; None where it does not answer."""
        with contextlib.suppress(psycopg2.Error), self.cursor() as cursor:
            cursor.execute(_STANDING)
            primary, follows, position, followers = cursor.fetchone()
            return Standing(bool(primary), str(follows), int(position), int(followers))
        return None


class Postgreses:
    """The servers in the order in which clients try them; `primary` is who took writes last."""

    def __init__(self, machines: Sequence[Machine], account: Account | None) -> None:
        self._account = account
        self._bin = postgres_directory()
        self.servers = [self._server(machine) for machine in machines]
        self.primary = self.servers[0]

    @property
    def url(self) -> str:
        """All of them, as a client names them."""
        hosts = "&".join(f"host={each.machine.address}:{PORT}" for each in self.servers)
        login = f"{ROLE}:{PASSWORD}"
        return f"postgresql://{login}@/{DATABASE}?{hosts}&target_session_attrs=read-write"

    def create(self) -> None:
        """Make the first, and copy the others from it; the machines are up."""
        first = self.servers[0]
        password = first.home.with_suffix(".password")
        password.write_text(PASSWORD, encoding="utf-8")
        words = (f"--username={ROLE}", f"--pwfile={password}", "--auth=scram-sha-256")
        more = ("--encoding=UTF8", "--locale=C", "--no-instructions")
        self._make_home(first, password)
        self._run(first, "initdb", f"--pgdata={first.home}", *words, *more)
        subnet = f"{first.machine.address.rpartition('.')[0]}.0/24"
        with (first.home / "pg_hba.conf").open("a", encoding="utf-8") as rules:
            rules.write(f"host all all {subnet} scram-sha-256\n")
            rules.write(f"host replication all {subnet} scram-sha-256\n")
        first.service.is_wanted = True
        first.machine.start(first.service)
        self._await_answer(first)
        with first.cursor("postgres") as cursor:
            # Nobody could confirm it yet.
            cursor.execute("SET synchronous_commit = local")
            cursor.execute(f'CREATE DATABASE "{DATABASE}"')
        for server in self.servers[1:]:
            self.copy(server, first)

    def copy(self, server: Server, source: Server) -> None:
        """Make a server anew as a standby of another; what it had is gone."""
        # At once, whoever is connected.
        server.machine.end(server.service, signal.SIGQUIT)
        shutil.rmtree(server.home, ignore_errors=True)
        self._make_home(server)
        place = self.place(source, server)
        words = (f"--pgdata={server.home}", f"--dbname={place}", "--write-recovery-conf")
        self._run(server, "pg_basebackup", *words, "--wal-method=stream", "--checkpoint=fast")
        server.service.is_wanted = True
        server.machine.start(server.service)

    def place(self, source: Server, server: Server) -> str:
        """How a standby reaches the one that it follows."""
        login = f"user={ROLE} password={PASSWORD} dbname={DATABASE}"
        where = f"host={source.machine.address} port={PORT} connect_timeout={CONNECT_SECONDS}"
        return f"{where} {login} application_name={server.machine.name}"

    def is_whole(self) -> bool:
        """Whether one takes writes and all the others stream from it."""
        standing = self.primary.standing()
        others = len(self.servers) - 1
        return standing is not None and standing.is_primary and standing.followers == others

    def _server(self, machine: Machine) -> Server:
        home = machine.directory / "postgres"
        names = ", ".join(f"p{number}" for number in (1, 2, 3))
        settings = _SETTINGS | {
            "listen_addresses": machine.address,
            "synchronous_standby_names": f"ANY 1 ({names})",
        }
        command = [str(self._bin / "postgres"), "-D", str(home)]
        command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        log_path = machine.directory / "postgres.log"
        service = Service("postgres", command, _ENVIRONMENT, log_path, self._account, (home,))
        service.stale = home / "postmaster.pid"
        service.is_wanted = False
        machine.services.append(service)
        return Server(machine, home, service)

    def _make_home(self, server: Server, *files: Path) -> None:
        server.home.mkdir(mode=0o700)
        for path in (server.home, *files):
            if self._account:
                os.chown(path, self._account.uid, self._account.gid)

    def _run(self, server: Server, program: str, *words: str) -> None:
        server.machine.once(
            str(self._bin / program),
            *words,
            environment=_ENVIRONMENT,
            account=self._account,
            reach=(server.home,),
        )

    def _await_answer(self, server: Server) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            with contextlib.suppress(psycopg2.Error), server.cursor("postgres"):
                return
            time.sleep(0.1)
        raise MachineError(f"{server.machine.name}: PostgreSQL does not answer")


# How far it has come: of a standby what it has on disk or has replayed, whichever is more.
_STANDING = """
SELECT NOT pg_is_in_recovery(), coalesce(current_setting('primary_conninfo'), ''),
       CASE WHEN pg_is_in_recovery()
            THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
            ELSE pg_current_wal_flush_lsn() END - '0/0'::pg_lsn,
       (SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming')
"""
