"""A PostgreSQL that follows another one, and may take its place: for tests of a lost machine."""

from pathlib import Path

from dev.up.engine import Address
from dev.up.errors import EngineError
from dev.up.ports import free_port
from dev.up.postgres import DATABASE, ROLE, PostgresEngine
from dev.up.processes import Account
from dev.up.suppliers import postgres_directory


class StandbyEngine(PostgresEngine):
    """A standby of `primary`, which runs when this one is first launched; later it need not."""

    def __init__(
        self, directory: Path, primary: PostgresEngine, name: str, *, durable: bool = True
    ) -> None:
        """`name` is what `synchronous_standby_names` of the primary may list."""
        super().__init__(directory, durable=durable)
        self._primary = primary
        self._name = name
        # Roles and passwords are copied with everything else.
        self._address = Address(free_port(), primary.address.password)

    def _initdb(self, fresh: Path, password: Path, account: Account | None) -> None:
        """Copy the primary, in place of a cluster of its own."""
        place = f"host=127.0.0.1 port={self._primary.address.port} dbname={DATABASE}"
        place += f" user={ROLE} password={password.read_text('utf-8').strip()}"
        command = [str(postgres_directory() / "pg_basebackup"), f"--pgdata={fresh}"]
        command += [f"--dbname={place} application_name={self._name}", "--write-recovery-conf"]
        command += ["--wal-method=stream", "--checkpoint=fast"]
        if not self.durable:
            command += ["--no-sync"]
        if self._run(command, account, reach=(fresh,)).wait() != 0:
            raise EngineError(f"no standby could be made: {self._last_words()}")
