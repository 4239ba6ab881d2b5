"""Engines and processes of a measurement: as in production, on loopback, in a directory that goes.

Everything it starts dies with it, also at Ctrl-C. PostgreSQL syncs, Redis writes every entry to
its file before it answers, logs are JSON in files, metrics are counted.
"""

import contextlib
import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Self

import psutil  # type: ignore[import-untyped]  # It ships no types.
import psycopg2
import redis

from bench.place import ROOT, Place, StandError
from bench.progress import Progress
from bench.trees import Tree
from db.migrate import upgrade
from dev.up.engines import PostgresEngine, ValkeyEngine
from dev.up.ports import free_port
from dev.up.processes import Steps, end, spawn
from sandbox.simulate.plans import SAMPLE_PLANS
from settings import Settings, variable
from workers.commands.catalogue import load_file

SECRET = "whsec_bench"  # noqa: S105 - it guards an account that does not exist.
START_SECONDS_MAX = 60.0
POLL_SECONDS = 0.02
# Another checkout may make its environment first.
COMMAND_SECONDS_MAX = 300.0
# A backlog of millions; it is what an operator would set for one.
REDIS_MEMORY = "8gb"


class Postgres(PostgresEngine):
    """As in production, and it notes when each transaction was committed."""

    def _command(self) -> list[str]:
        return [*super()._command(), "-c", "track_commit_timestamp=on"]


class Stand:
    """One PostgreSQL, one Valkey and the processes that were asked for; a context manager."""

    def __init__(
        self, directory: Path, *, other: Path | None = None, progress: Progress | None = None
    ) -> None:
        """`directory` is on the disk that is to be measured; all of it is taken away again.

        `other` is a checkout of the product that is measured beside this one.
        """
        self._parent = directory
        self.other = other
        self.progress = progress or Progress()
        self._stack = ExitStack()
        self._made = 0
        self._logs: dict[int, Path] = {}
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        with self._stack:
            self._make_parent()
            name = tempfile.mkdtemp(prefix="bench-", dir=self._parent)
            self._stack.callback(shutil.rmtree, name, ignore_errors=True)
            self.directory = Path(name)
            self.directory.chmod(0o711)  # The engines' user passes through.
            # No .env of the project is to be read by what runs here.
            self._stack.enter_context(contextlib.chdir(self.directory))
            self._postgres = self._stack.enter_context(Postgres(self.directory))
            self._valkey = self._stack.enter_context(ValkeyEngine(self.directory))
            self.postgres = Tree("PostgreSQL", _process(self._postgres.process))
            self.valkey = Tree("Valkey", _process(self._valkey.process))
            with closing(redis.Redis.from_url(self._valkey.url)) as client:
                client.config_set("maxmemory", REDIS_MEMORY)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _make_parent(self) -> None:
        if not self._parent.exists():
            self._parent.mkdir(parents=True)
            # Ours to take away, unless somebody else has put something there by then.
            self._stack.callback(_remove_if_empty, self._parent)

    def place(self, root: Path = ROOT) -> Place:
        """Another empty database with a checkout's newest schema, and another logical Redis."""
        self._made += 1
        name = f"bench{self._made}"
        with closing(psycopg2.connect(self._postgres.url)) as connection:
            connection.autocommit = True
            connection.cursor().execute(f'CREATE DATABASE "{name}"')
        url = self._postgres.url_of(name).replace("postgresql", "postgresql+psycopg2", 1)
        place = Place(url, self._valkey.url_of(self._made), root)
        if root == ROOT:
            upgrade(url)
            load_file(url, SAMPLE_PLANS)
        else:
            for words in (("migrate",), ("load_plans", str(sample_plans(root)))):
                self.finish(self.product(words[0], words, place))
        return place

    def twin(self, place: Place) -> Place:
        """The same database with a Redis of its own, in which nobody works."""
        self._made += 1
        return replace(place, redis_url=self._valkey.url_of(self._made))

    def copied(self, place: Place) -> Place:
        """A place with all that is in the tables of another, to which nobody is connected."""
        self._made += 1
        name = f"bench{self._made}"
        source = place.database_url.rpartition("/")[2]
        with closing(psycopg2.connect(self._postgres.url)) as connection:
            connection.autocommit = True
            statement = f'CREATE DATABASE "{name}" TEMPLATE "{source}" STRATEGY file_copy'
            connection.cursor().execute(statement)
        url = self._postgres.url_of(name).replace("postgresql", "postgresql+psycopg2", 1)
        return Place(url, self._valkey.url_of(self._made), place.root)

    def finish(self, tree: Tree) -> None:
        """Wait for a command's end. Raises `StandError` where it failed."""
        code = self._processes[tree.root.pid].wait(COMMAND_SECONDS_MAX)
        if code:
            raise StandError(f"{tree.name} ended with {code}: {self._last_words(tree)}")

    def require_durable(self) -> str:
        """What the engines say of how they keep things. Raises `StandError` if they might not."""
        told: dict[str, str] = {}
        with closing(psycopg2.connect(self._postgres.url)) as connection:
            cursor = connection.cursor()
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                cursor.execute(f"SHOW {name}")
                row = cursor.fetchone()
                told[name] = str(row[0]) if row else ""
        with closing(redis.Redis.from_url(self._valkey.url)) as client:
            for name in ("appendonly", "appendfsync"):
                told[name] = str(client.config_get(name)[name])
        if told != _DURABLE:
            raise StandError(f"the engines are not as durable as in production: {told}")
        return ", ".join(f"{name} {value}" for name, value in told.items())

    def receiver(self, place: Place, **environment: str) -> tuple[Tree, int]:
        """The product's receiver on a port of its own."""
        port = free_port()
        environment |= {"PORT": str(port)}
        tree = self.product("receiver", ("web",), place, **environment)
        self.await_answer(tree, port)
        return tree, port

    def worker(self, place: Place, *, processes: int) -> Tree:
        """The product's worker with so many processes that apply; counting, as in production."""
        counts = Path(tempfile.mkdtemp(prefix="metrics-", dir=self.directory))
        words = ("worker", "--concurrency", str(processes))
        return self.product("worker", words, place, PROMETHEUS_MULTIPROC_DIR=str(counts))

    def product(self, name: str, words: Sequence[str], place: Place, **more: str) -> Tree:
        """A process of the product, on production's settings."""
        command = (sys.executable, str(place.root / "manage.py"), *words)
        settings = {**product_settings(place), **more, "PYTHONPATH": str(place.root)}
        return self.run(name, command, settings)

    def start(self, name: str, words: Sequence[str], settings: Mapping[str, str]) -> Tree:
        """A Python program of this checkout."""
        return self.run(name, (sys.executable, *words), {**settings, "PYTHONPATH": str(ROOT)})

    def run(self, name: str, command: Sequence[str], settings: Mapping[str, str]) -> Tree:
        """A program until the stand is left; its output goes to a file of its own."""
        path = self.directory / f"{name}-{len(self._logs)}.log"
        log = self._stack.enter_context(path.open("ab"))
        process = spawn(command, output=log, environment={**_plain_environment(), **settings})
        self._stack.callback(end, process, _STOP_STEPS)
        self._logs[process.pid] = path
        self._processes[process.pid] = process
        return Tree(name, psutil.Process(process.pid))

    def stop(self, tree: Tree) -> None:
        """End a process before the stand is left."""
        with contextlib.suppress(psutil.NoSuchProcess):
            tree.root.terminate()
            tree.root.wait(_STOP_STEPS[0][1])

    def await_answer(self, tree: Tree, port: int) -> None:
        """Wait until a server answers anything at all."""
        self.await_true(lambda: _answers(port), tree, "answers")

    def await_true(self, is_so: Callable[[], bool], tree: Tree, what: str) -> None:
        """Wait for what a process does once it has started. Raises `StandError`."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while not is_so():
            is_gone = not tree.root.is_running() or tree.root.status() == psutil.STATUS_ZOMBIE
            if is_gone or time.monotonic() > deadline:
                raise StandError(f"no {tree.name} {what}: {self._last_words(tree)}")
            time.sleep(POLL_SECONDS)

    def _last_words(self, tree: Tree) -> str:
        lines = self._logs[tree.root.pid].read_text(errors="replace").splitlines()
        return " / ".join(lines[-3:]) or "it said nothing"


def product_settings(place: Place) -> dict[str, str]:
    """What production sets."""
    return {
        "DATABASE_URL": place.database_url.replace("+psycopg2", "", 1),
        "REDIS_URL": place.redis_url,
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "info",
        "HOST": "127.0.0.1",
    }


def sample_plans(root: Path) -> Path:
    """The catalogue that another checkout ships: ours may say what it does not know yet.

    It sells the same plans at the same prices. Raises `StandError` where there is none.
    """
    found = [root / room / SAMPLE_PLANS.name for room in ("sandbox", "dev")]
    for path in found:
        if path.is_file():
            return path
    raise StandError(f"{root} has no {SAMPLE_PLANS.name}, neither in sandbox nor in dev")


_DURABLE = {
    **dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "on"),
    "appendonly": "yes",
    "appendfsync": "always",
}
_STOP_STEPS: Steps = ((signal.SIGTERM, 12.0),)


def _plain_environment() -> dict[str, str]:
    """Ours, without any setting of the product's."""
    named = {variable(field.name) for field in fields(Settings)} | {"PROMETHEUS_MULTIPROC_DIR"}
    return {name: value for name, value in os.environ.items() if name not in named}


def _remove_if_empty(directory: Path) -> None:
    with contextlib.suppress(OSError):
        directory.rmdir()


def _process(started: subprocess.Popen[bytes] | None) -> psutil.Process:
    assert started is not None
    return psutil.Process(started.pid)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
