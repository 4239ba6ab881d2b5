"""Brings a database to the newest schema, or back; safe to run from several processes at once."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

_LOCK_KEY = 0x46494B4F  # "FIKO": one number for every migration run of this product.


def upgrade(database_url: str, revision: str = "head") -> None:
    """Migrate up to `revision`; a no-op when the schema is there already."""
    _run(database_url, lambda config: command.upgrade(config, revision))


def downgrade(database_url: str, revision: str = "base") -> None:
    """Migrate down to `revision`; `base` drops every table and what is in them."""
    _run(database_url, lambda config: command.downgrade(config, revision))


def revisions(connection: Connection) -> tuple[str | None, str | None]:
    """The revision the database is at, and the newest one there is."""
    current = MigrationContext.configure(connection).get_current_revision()
    return current, ScriptDirectory.from_config(config_for(connection)).get_current_head()


def config_for(connection: Connection) -> Config:
    """Alembic's configuration, working on the given connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _run(database_url: str, step: Callable[[Config], None]) -> None:
    engine = create_engine(database_url)
    try:
        with engine.begin() as connection:
            # The lock ends with the transaction, so PgBouncer in transaction mode is no trap.
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
            step(config_for(connection))
    finally:
        engine.dispose()
