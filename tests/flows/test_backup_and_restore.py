"""docs/backup.md, rehearsed: what was copied while it ran comes back elsewhere and audits clean.

Redis is copied before PostgreSQL; then no event can fall between the two copies.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from db import migrate
from dev.up.engines import PostgresEngine, ValkeyEngine
from dev.up.suppliers import postgres_directory
from sandbox.simulate.plans import SAMPLE_PLANS
from tests.flows.lives import events_of_lives
from tests.pipeline import a_worker_context, balances, put, statuses
from workers.commands.catalogue import load_file
from workers.context import WorkerContext
from workers.operations.audit import audit
from workers.pipeline.drain import drain

PATIENCE_SECONDS = 20.0
Backup = Callable[[PostgresEngine, Path], None]
Restore = Callable[[Path, PostgresEngine, Path], None]


def run(name: str, *words: str) -> None:
    """One of PostgreSQL's own tools."""
    command = [str(postgres_directory() / name), *words]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def hand_over(place: Path, like: Path) -> None:
    """Give files to who owns `like`; engines that root starts run as somebody else."""
    owner = like.stat()
    for path in (place, *place.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)


def dump(postgres: PostgresEngine, place: Path) -> None:
    """`pg_dump`: one file, of any size of database that fits one night."""
    run("pg_dump", "--format=custom", f"--file={place}", postgres.url)


def restore_dump(place: Path, fresh: PostgresEngine, old: Path) -> None:
    """`pg_restore` into the empty database of a new server."""
    del old
    fresh.start()
    run("pg_restore", "--exit-on-error", f"--dbname={fresh.url}", str(place))


def copy_cluster(postgres: PostgresEngine, place: Path) -> None:
    """`pg_basebackup`: the whole server, file by file."""
    words = (f"--pgdata={place}", f"--dbname={postgres.url}", "--wal-method=stream")
    run("pg_basebackup", *words, "--checkpoint=fast", "--no-sync")


def restore_cluster(place: Path, fresh: PostgresEngine, old: Path) -> None:
    """A new server on the copied files; its roles and passwords are among them."""
    shutil.copytree(place, fresh.home)
    hand_over(fresh.home, old)
    shutil.copy(old.with_name("postgres.json"), fresh.directory)
    fresh.start()


def copy_redis(valkey: ValkeyEngine, place: Path) -> None:
    """The append-only files, with rewriting put off meanwhile, as Redis's handbook says."""
    with closing(redis.Redis.from_url(valkey.url)) as client:
        name = "auto-aof-rewrite-percentage"
        before = str(client.config_get(name)[name])
        client.config_set(name, 0)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while client.info("persistence")["aof_rewrite_in_progress"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        shutil.copytree(valkey.home / "appendonlydir", place)
        client.config_set(name, before)


def restore_redis(place: Path, fresh: ValkeyEngine, old: Path) -> None:
    """A new server on the copied files."""
    shutil.copytree(place, fresh.home / "appendonlydir")
    hand_over(fresh.home, old)
    shutil.copy(old.with_name("valkey.json"), fresh.directory)
    fresh.start()


@contextmanager
def worker_on(postgres: PostgresEngine, valkey: ValkeyEngine) -> Iterator[WorkerContext]:
    """A worker on these servers."""
    context = a_worker_context(as_settings_spell(postgres.url), valkey.url)
    yield context
    context.engine.dispose()


@pytest.mark.parametrize(
    ("backup", "restore"),
    [(dump, restore_dump), (copy_cluster, restore_cluster)],
    ids=["pg_dump", "pg_basebackup"],
)
def test_a_restored_backup_audits_clean(tmp_path: Path, backup: Backup, restore: Restore) -> None:
    """Events applied before, between and after the copies: each counts once, none is lost."""
    tmp_path.chmod(0o711)
    old, new, kept = tmp_path / "old", tmp_path / "new", tmp_path / "kept"
    kept.mkdir()
    events = [event.payload for event in events_of_lives(seed=7, run="backup", customers=12)]
    third = len(events) // 3
    with PostgresEngine(old, durable=False) as postgres, ValkeyEngine(old) as valkey:
        url = as_settings_spell(postgres.url)
        migrate.upgrade(url)
        load_file(url, SAMPLE_PLANS)
        with worker_on(postgres, valkey) as context:
            put(context, events[:third])
            drain(context, lambda: None)
            put(context, events[third : 2 * third])  # On the stream, and in no table yet.
            copy_redis(valkey, kept / "redis")
            drain(context, lambda: None)  # Applied between the two copies.
            backup(postgres, kept / "postgres")
            put(context, events[2 * third :])
            drain(context, lambda: None)
            expected, known = balances(context.engine), statuses(context.engine)
        homes = postgres.home, valkey.home
        fresh, fresh_valkey = PostgresEngine(new, durable=False), ValkeyEngine(new)
        try:
            restore_redis(kept / "redis", fresh_valkey, homes[1])
            restore(kept / "postgres", fresh, homes[0])
            with worker_on(fresh, fresh_valkey) as context:
                drain(context, lambda: None)
                assert set(statuses(context.engine)) == {
                    event["id"] for event in events[: 2 * third]
                }
                assert audited(context) == []
                put(context, events[2 * third :])  # As `reconcile` fetches them from Stripe.
                drain(context, lambda: None)
                assert balances(context.engine) == expected
                assert statuses(context.engine) == known
                assert audited(context) == []
        finally:
            fresh.stop()
            fresh_valkey.stop()


def as_settings_spell(url: str) -> str:
    """The URL of a database with our driver."""
    return url.replace("postgresql", "postgresql+psycopg2", 1)


def audited(context: WorkerContext) -> Sequence[Any]:
    """What an audit finds."""
    found: list[Any] = []
    audit(context.engine, found.append, lambda _done, _total: None)
    return found
