"""What `doctor` says of PostgreSQL: schema, limits, copies, and whether it is today's primary."""

from collections.abc import Iterator
from contextlib import closing

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from db.connections import copies, guard, limits
from db.engine import make_engine
from db.operations import health
from settings import Settings
from workers.operations.findings import Finding, Level

LOCKS_PER_TRANSACTION_MIN = 256


def look(engine: Engine, settings: Settings) -> list[Finding]:
    """The findings about this database; `engine` is not guarded, so it reaches any server."""
    with engine.connect() as connection:
        return [
            *_of_server(health.ask(connection)),
            *_of_limits(connection, settings),
            *_of_copies(connection, settings),
            *_of_timeline(settings),
        ]


def _of_server(found: health.DatabaseHealth) -> Iterator[Finding]:
    yield Finding("database", Level.OK, f"PostgreSQL {found.server}")
    if found.revision != found.newest_revision:
        says = f"schema at {found.revision or 'nothing'}, newest is {found.newest_revision}"
        yield Finding("schema", Level.FAIL, says, "run the migrations (`migrate`)")
    if "off" in (found.synchronous_commit, found.fsync):
        cure = "set synchronous_commit and fsync to on"
        yield Finding("database", Level.FAIL, "commits may be lost in a crash", cure)
    if found.locks_per_transaction < LOCKS_PER_TRANSACTION_MIN:
        says = f"max_locks_per_transaction is {found.locks_per_transaction}"
        cure = f"set it to {LOCKS_PER_TRANSACTION_MIN} or more"
        yield Finding("database", Level.WARN, says, cure)
    level = Level.OK if found.plans else Level.WARN
    yield Finding("catalogue", level, f"{found.plans} active plans", "run load_plans")


def _of_limits(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """What is in force, which behind a pooler is what the role has."""
    differing = limits.differing(connection)
    if not differing:
        return
    shown = ", ".join(
        f"{name} is {value} and should be {limits.WANTED[name]}"
        for name, value in differing.items()
    )
    cure = "run deploy/app_role.sql, or ALTER ROLE … SET each of them for the role that connects"
    if not settings.database_pooler:
        cure = "see what changes them between here and PostgreSQL (DATABASE_POOLER=True?)"
    yield Finding("database limits", Level.FAIL, shown, cure)


def _of_copies(connection: Connection, settings: Settings) -> Iterator[Finding]:
    found, wanted = copies.ask(connection), settings.database_copies
    if lack := found.lack(wanted):
        cure = "see synchronous_standby_names, synchronous_commit and pg_stat_replication"
        yield Finding("database copies", Level.FAIL, f"{lack}: no event is accepted here", cure)
    elif wanted and found.live is None:
        says = "this role may not see whether standbys are connected"
        cure = "GRANT pg_read_all_stats to it, or a lost standby is noticed by time-outs only"
        yield Finding("database copies", Level.WARN, says, cure)
    elif wanted:
        says = f"{found.promised} standby(s) confirm every commit"
        yield Finding("database copies", Level.OK, says)
    elif found.live:
        says = f"{found.live} synchronous standby(s), none of which is required (DATABASE_COPIES 0)"
        cure = "set DATABASE_COPIES=1, or a primary without standbys is taken for as good"
        yield Finding("database copies", Level.WARN, says, cure)


def _of_timeline(settings: Settings) -> Iterator[Finding]:
    """Whether the product would connect to the server that these URLs lead to first."""
    if settings.database_copies:
        return  # What it lacks has been told.
    guarded = make_engine(settings, pool_size=1, application_name="fiko-doctor")
    try:
        with closing(guarded.connect()):
            return
    except OperationalError as error:
        if isinstance(error.orig, guard.OutdatedServerError):
            cure = (
                "take that server out of DATABASE_URL and make it a standby of the new one; where"
                " the old one is right, delete the key billing:timelines in Redis and restart"
            )
            yield Finding("database", Level.FAIL, str(error.orig), cure)
            return
        raise
    finally:
        guarded.dispose()
