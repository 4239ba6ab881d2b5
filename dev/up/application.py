"""The processes of `up` that are commands of ours, as the supervisor sees them."""

import contextlib
import http.client
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from dev.up.console import Console, Voice
from dev.up.processes import spawn

MANAGE = Path(__file__).resolve().parents[2] / "manage.py"
PROBE_TIMEOUT_SECONDS = 2.0


class Application:
    """One `manage.py` command kept as a process; its output goes to the console."""

    # Killed at once when the supervisor dies: what is under way is done again, never lost.
    death_signal: ClassVar = signal.SIGKILL
    stop_steps: ClassVar = ((signal.SIGTERM, 12.0),)

    def __init__(
        self, name: str, words: Sequence[str], environment: Mapping[str, str], console: Console
    ) -> None:
        self.name = name
        self.title = name
        self.process: subprocess.Popen[bytes] | None = None
        self.command = [sys.executable, str(MANAGE), *words]
        self._environment = environment
        self._console = console
        self._voice: Voice | None = None

    def launch(self) -> None:
        """Start the process and return at once."""
        self.process = spawn(
            self.command,
            output=subprocess.PIPE,
            death_signal=self.death_signal,
            environment=self._environment,
        )
        if self.process.stdout:
            self._voice = self._console.follow(self.name, self.process.stdout)

    def last_words(self) -> list[str]:
        """What the process said last."""
        return self._voice.last() if self._voice else []

    def ready(self) -> bool:
        """Whether it works; without a question to ask it, whether it runs."""
        return self.process is not None and self.process.poll() is None


class Background(Application):
    """A process that nobody can ask, and that touches a file while it lives."""

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        environment: Mapping[str, str],
        console: Console,
        directory: Path,
    ) -> None:
        """The file is made in `directory`; the command gets its name as `--liveness-file`."""
        self._liveness_file = directory / f"{name.replace(' ', '-')}.alive"
        super().__init__(
            name, [*words, "--liveness-file", str(self._liveness_file)], environment, console
        )

    def launch(self) -> None:
        """Start the process; from now on it is expected to touch its file."""
        with contextlib.suppress(OSError):  # On a full disk: then it is not watched.
            self._liveness_file.touch()
        super().launch()

    def liveness(self) -> float | None:
        """When the file was touched last; None where there is none."""
        with contextlib.suppress(OSError):
            return self._liveness_file.stat().st_mtime
        return None


class Server(Application):
    """A process that answers HTTP, and can be asked whether it does."""

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        environment: Mapping[str, str],
        console: Console,
        probe_url: str,
    ) -> None:
        super().__init__(name, words, environment, console)
        self._probe = urlsplit(probe_url)

    def ready(self) -> bool:
        """Whether the address that tells it answers 200."""
        connection = http.client.HTTPConnection(
            self._probe.hostname or "", self._probe.port, timeout=PROBE_TIMEOUT_SECONDS
        )
        try:
            connection.request("GET", self._probe.path or "/")
            return super().ready() and connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
