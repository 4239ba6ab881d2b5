"""Questions about the database as a server: is it set up so that nothing can be lost."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from db import migrate


@dataclass(frozen=True, slots=True)
class DatabaseHealth:
    """What `doctor` asks of PostgreSQL."""

    server: str
    revision: str | None
    newest_revision: str | None
    synchronous_commit: str
    fsync: str
    locks_per_transaction: int
    plans: int


def ask(connection: Connection) -> DatabaseHealth:
    """Ask PostgreSQL; a database without our tables has no plans."""
    setting = text("SELECT current_setting(:name)")

    def shown(name: str) -> str:
        return str(connection.execute(setting, {"name": name}).scalar_one())

    revision, newest = migrate.revisions(connection)
    plans = 0
    if revision is not None:
        plans = connection.execute(
            text("SELECT count(*) FROM plans WHERE is_current AND active")
        ).scalar_one()
    return DatabaseHealth(
        server=shown("server_version"),
        revision=revision,
        newest_revision=newest,
        synchronous_commit=shown("synchronous_commit"),
        fsync=shown("fsync"),
        locks_per_transaction=int(shown("max_locks_per_transaction")),
        plans=int(plans),
    )
