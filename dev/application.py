"""The product's own processes, as the supervisor sees them: receiver, worker, scheduler."""

import http.client
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from dev.console import Console
from dev.processes import spawn

MANAGE = Path(__file__).resolve().parent.parent / "manage.py"
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
        self._command = [sys.executable, str(MANAGE), *words]
        self._environment = environment
        self._console = console

    def launch(self) -> None:
        """Start the process and return at once."""
        self.process = spawn(
            self._command,
            output=subprocess.PIPE,
            death_signal=self.death_signal,
            environment=self._environment,
        )
        if self.process.stdout:
            self._console.follow(self.name, self.process.stdout)

    def ready(self) -> bool:
        """Whether it works; without a question to ask it, whether it runs."""
        return self.process is not None and self.process.poll() is None


class Receiver(Application):
    """The HTTP process, which can be asked."""

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], console: Console, base_url: str
    ) -> None:
        super().__init__("receiver", words, environment, console)
        self._address = urlsplit(base_url)

    def ready(self) -> bool:
        """Whether `/readyz` says so."""
        connection = http.client.HTTPConnection(
            self._address.hostname or "", self._address.port, timeout=PROBE_TIMEOUT_SECONDS
        )
        try:
            connection.request("GET", "/readyz")
            return super().ready() and connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
