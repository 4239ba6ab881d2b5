"""The embedded engines, really started: what was acknowledged outlives whatever ends them."""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
import redis

import dev.up.engine
from dev.up.engines import Engine, EngineError, PostgresEngine, ValkeyEngine


def written(engine: Engine) -> None:
    """Put one thing into an engine, acknowledged."""
    if isinstance(engine, PostgresEngine):
        with closing(psycopg2.connect(engine.url)) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE kept AS SELECT 'a word' AS word")
            connection.commit()
    else:
        with closing(redis.Redis.from_url(engine.url)) as client:
            client.set("kept", "a word")


def read_back(engine: Engine) -> str:
    """What `written` put there."""
    if isinstance(engine, PostgresEngine):
        with closing(psycopg2.connect(engine.url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT word FROM kept")
            row = cursor.fetchone()
            return str(row and row[0])
    with closing(redis.Redis.from_url(engine.url, decode_responses=True)) as client:
        return str(client.get("kept"))


@pytest.fixture(params=[PostgresEngine, ValkeyEngine], ids=["postgres", "valkey"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Each engine in turn, started in a path with a space."""
    with request.param(tmp_path / "some data") as started:
        yield started


def test_what_was_acknowledged_survives_a_crash_and_a_restart(engine: Engine) -> None:
    """A killed engine starts again with its data, at the same address."""
    written(engine)
    url = engine.url
    engine.kill()
    engine.start()
    assert read_back(engine) == "a word"
    engine.stop()
    again = type(engine)(engine.directory)
    with again:
        assert (read_back(again), again.url) == ("a word", url)


def test_a_directory_in_use_is_refused_in_one_line(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two servers never share a directory, whatever their supervisors think."""
    monkeypatch.setattr(dev.up.engine, "LOCK_PATIENCE_SECONDS", 0.1)
    with pytest.raises(EngineError, match="already running") as refusal:
        type(engine)(engine.directory).start()
    assert "\n" not in str(refusal.value)
    written(engine)


def test_a_taken_port_is_given_up_for_another(engine: Engine) -> None:
    """Someone else's server on last time's port does not keep an engine from starting."""
    engine.stop()
    with socket.create_server(("127.0.0.1", engine.address.port)):
        again = type(engine)(engine.directory)
        with again:
            assert again.address.port != engine.address.port
            assert again.address.password == engine.address.password


def test_a_lost_password_file_is_named(engine: Engine) -> None:
    """Data without its password is not overwritten; the message says which file is missing."""
    engine.stop()
    kept = engine.directory / f"{engine.name}.json"
    kept.unlink()
    with pytest.raises(EngineError, match=re.escape(str(kept))):
        type(engine)(engine.directory).start()


def test_no_password_is_on_a_command_line_or_in_a_readable_file(engine: Engine) -> None:
    """Other users of the machine learn nothing."""
    assert engine.process
    shown = Path(f"/proc/{engine.process.pid}/cmdline").read_bytes().decode()
    assert engine.address.password not in shown
    for path in engine.directory.glob("*"):
        if path.is_file() and engine.address.password in path.read_text(encoding="utf-8"):
            assert path.stat().st_mode & 0o077 == 0


def test_a_server_never_runs_as_root(engine: Engine) -> None:
    """Root's engines run as somebody who owns nothing else."""
    assert engine.process
    assert os.stat(f"/proc/{engine.process.pid}").st_uid != 0  # noqa: PTH116 - proc is no place for Path.


def test_valkey_loses_and_evicts_nothing(tmp_path: Path) -> None:
    """The settings by which the receiver decides that Redis is durable."""
    wanted = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
    with (
        ValkeyEngine(tmp_path) as valkey,
        closing(redis.Redis.from_url(valkey.url, decode_responses=True)) as client,
    ):
        found = client.config_get(*wanted)
        assert found == wanted


def test_an_engine_that_cannot_start_says_its_last_words(tmp_path: Path) -> None:
    """What PostgreSQL says of damaged files reaches the person."""
    engine = PostgresEngine(tmp_path, durable=False)
    with engine:
        pass
    (engine.home / "PG_VERSION").write_text("9.4\n", encoding="utf-8")
    with pytest.raises(EngineError, match=r"version 9\.4"):
        PostgresEngine(tmp_path).start()


def test_too_little_disk_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new cluster is not begun where it cannot be finished."""
    monkeypatch.setattr(dev.up.engine, "NEW_BYTES_MIN", 10**18)
    with pytest.raises(EngineError, match="no room on the disk"):
        PostgresEngine(tmp_path).start()
    assert not (tmp_path / "postgres").exists()
