"""Real processes that fail: what Celery, granian and PostgreSQL write by themselves."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from sqlalchemy import Engine, text

from db.engine import make_engine
from dev.up.ports import free_port
from dev.up.postgres import DISCREET

ROOT = Path(__file__).parents[2]
MARK = "Ada-4711-marked"


@pytest.fixture(scope="module")
def engine(database_url: str) -> Iterator[Engine]:
    """A database with a table that takes no negative amount."""
    found = make_engine(database_url, pool_size=1)
    with found.begin() as connection:
        connection.execute(text("CREATE TABLE marked (name text, amount int CHECK (amount > 0))"))
    yield found
    with found.begin() as connection:
        connection.execute(text("DROP TABLE marked"))
    found.dispose()


def environment(database_url: str, redis_url: str, **more: str) -> dict[str, str]:
    """What a process of the product finds, and nothing of this machine."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": database_url.replace("+psycopg2", ""),
        "REDIS_URL": redis_url,
        **more,
    }


def test_postgresql_itself_logs_no_error_of_a_statement(engine: Engine) -> None:
    """It would quote the row, the value or the statement."""
    with engine.connect() as connection:
        for name, value in DISCREET.items():
            assert connection.execute(text(f"SHOW {name}")).scalar_one() == value


WORKER = """
import os, signal, threading
from celery import signals
from sqlalchemy import text
from celery_config import app
from db.engine import make_engine
import settings, telemetry

MARK = os.environ["MARK"]

@app.task(name="boom")
def boom():
    with make_engine(settings.load().database_url).begin() as connection:
        connection.execute(text("INSERT INTO marked VALUES (:mark, -1)"), {"mark": MARK})

@signals.worker_ready.connect
def begin(**_):
    app.send_task("boom", queue="telling")
    threading.Thread(target=lambda: 1 / 0, name="ends").start()

@signals.task_failure.connect
def end(**_):
    threading.Timer(0.5, os.kill, (os.getppid(), signal.SIGTERM)).start()

telemetry.catch_uncaught()
app.worker_main(["--quiet", "worker", "--pool=prefork", "--concurrency=1", "-n", "telling",
                 "--without-gossip", "--without-mingle", "--without-heartbeat", "-Q", "telling"])
"""


def test_celery_tells_no_value_of_a_task_that_failed(
    engine: Engine, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """In a real worker: the pool's process and the main one, by Celery's own loggers."""
    del engine
    result = subprocess.run(
        [sys.executable, "-c", WORKER],
        cwd=tmp_path,
        env=environment(database_url, redis_url, MARK=MARK),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    written = result.stdout + result.stderr
    assert MARK not in written
    lines = [orjson.loads(line) for line in written.splitlines() if line.startswith("{")]
    [failure] = [line for line in lines if "raised unexpected" in line["event"]]
    assert "CheckViolation: new row for relation" in failure["exception"]
    [thread] = [line for line in lines if line["origin"] == "uncaught"]
    assert "ZeroDivisionError" in thread["exception"]


APP = """
import os, settings, telemetry
from ingest.app import create_app
telemetry.configure("json", "web")

def failing(environ, start_response):
    raise ValueError(os.environ["MARK"])

app = create_app(settings.load(("database_url", "redis_url")))
app.wsgi_app = failing
"""


def test_granian_tells_no_value_of_what_the_application_raised(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """What no handler of ours caught is told in its lines, as text."""
    (tmp_path / "failing.py").write_text(APP, encoding="utf-8")
    port = free_port()
    given = environment(
        database_url, redis_url, PYTHONPATH=f"{ROOT}:{tmp_path}", PORT=str(port), MARK=MARK
    )
    command = [sys.executable, "-c", "from ingest.server import web; web()", "--app", "failing:app"]
    log = tmp_path / "log"
    with log.open("wb") as sink:
        server = subprocess.Popen(command, cwd=tmp_path, env=given, stdout=sink, stderr=sink)
        try:
            assert status_at(port) == 500
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=20)
    written = log.read_text(encoding="utf-8")
    assert MARK not in written
    assert "Application callable raised an exception" in written
    assert "ValueError: [hidden]" in written
    assert "failing.py" in written


def status_at(port: int) -> int:
    """What a server that is just starting answers."""
    for _ in range(150):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            time.sleep(0.1)
    return 0
