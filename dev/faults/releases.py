"""Two releases on the same stores: their processes, each from a checkout of its own.

What a deploy does is done here by hand: a role of one release begins, one of the other ends.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import psycopg2
import zstandard

from db.queue.inbox import FOR_A_NEWER_WORKER
from dev.faults.product import ROOT
from sandbox.simulate.wire import BROKEN, Wire

# Frames of a release that does not exist yet name it.
NEXT_DICTIONARY = 40_000
# Of the repository, what a process of the product imports.
_PARTS = ("domain", "db", "ingest", "workers", "settings", "stripe_gateway", "locks", "sandbox")
START_SECONDS_MAX = 40.0
STOP_SECONDS_MAX = 20.0


@dataclass(frozen=True, slots=True)
class Release:
    """A checkout, and the interpreter that has what it needs."""

    root: Path
    python: Path = Path(sys.executable)


TODAY = Release(ROOT)


def next_release(place: Path, dictionary: bytes) -> Release:
    """Today's code with one more dictionary: what every release with a new one is to this one."""
    for part in _PARTS:
        shutil.copytree(ROOT / part, place / part, ignore=shutil.ignore_patterns("__pycache__"))
    for module in ROOT.glob("*.py"):
        shutil.copy(module, place)
    (place / "db" / "dictionaries" / f"{NEXT_DICTIONARY}.zdict").write_bytes(dictionary)
    return Release(place)


@dataclass(slots=True)
class Processes:
    """The processes that run now, by role and release; `settings` is their environment."""

    settings: Mapping[str, str]
    directory: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        """Where the receiver answers."""
        return f"http://127.0.0.1:{self.settings['PORT']}"

    def once(self, release: Release, *words: str) -> None:
        """Run a command of a release to its end; raises where it fails."""
        subprocess.run(  # noqa: S603 - the project's own command.
            [str(release.python), str(release.root / "manage.py"), *words],
            cwd=self.directory,
            env=self._environment(release),
            check=True,
            capture_output=True,
        )

    def start(self, release: Release, *words: str) -> subprocess.Popen[bytes]:
        """Start a role of a release."""
        log_path = self.directory / f"{len(self.running)}-{words[0]}.log"
        with log_path.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - as above.
                [str(release.python), str(release.root / "manage.py"), *words],
                cwd=self.directory,
                env=self._environment(release),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.running.append(process)
        return process

    def await_receiver(self) -> None:
        """Return when the receiver answers."""
        deadline = time.monotonic() + START_SECONDS_MAX
        wire = Wire(self.base_url)
        while time.monotonic() < deadline:
            with contextlib.suppress(*BROKEN):
                if wire.request("GET", "/healthz", {})[0] == HTTPStatus.OK:
                    wire.close()
                    return
            time.sleep(0.2)
        raise TimeoutError(f"no receiver answers (logs: {self.directory})")

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End a role as a deploy does; one that does not end is killed with all of its own."""
        process.terminate()
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _environment(self, release: Release) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        return kept | {"PYTHONPATH": str(release.root)} | dict(self.settings)


@contextlib.contextmanager
def processes(settings: Mapping[str, str], directory: Path) -> Iterator[Processes]:
    """Nobody yet; whoever is started ends with the block."""
    started = Processes(settings, directory)
    try:
        yield started
    finally:
        for process in reversed(started.running):
            if process.poll() is None:
                started.stop(process)


def dictionaries_written(database_url: str) -> set[int]:
    """The numbers of the dictionaries that stored events and subscriptions are kept with."""
    frames = _asked(
        database_url,
        "SELECT body FROM webhook_events UNION ALL"
        " SELECT versions FROM subscriptions WHERE versions IS NOT NULL",
    )
    return {zstandard.get_frame_parameters(bytes(frame)).dict_id for (frame,) in frames}


def failures(database_url: str) -> list[str]:
    """Why tries of events have failed, each reason once."""
    question = "SELECT DISTINCT left(error, 300) FROM event_attempts WHERE status IN %s ORDER BY 1"
    return [str(error) for (error,) in _asked(database_url, question, ("failed", "dead"))]


def waiting(database_url: str) -> int:
    """How many stored events are not applied."""
    question = "SELECT count(*) FROM webhook_events WHERE status NOT IN ('applied', 'ignored')"
    return int(_asked(database_url, question)[0][0])


def left(database_url: str) -> int:
    """How many stored events wait for a worker of a newer release."""
    question = "SELECT count(*) FROM webhook_events WHERE status = 'received' AND note = %s"
    return int(_asked(database_url, question, FOR_A_NEWER_WORKER)[0][0])


def _asked(database_url: str, question: str, *values: object) -> list[tuple[Any, ...]]:
    with (
        contextlib.closing(psycopg2.connect(database_url)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(question, values or None)
        return cursor.fetchall()
