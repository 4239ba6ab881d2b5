"""The pytest fixture `fiko_sandbox`: the whole product, on this machine, for an app's tests.

It starts `python3 manage.py up` of a checkout of the product, which brings PostgreSQL, Valkey and
an offline Stripe, on a free port with data of its own. Where the checkout lies says the setting
`fiko_checkout` in pytest's configuration or the variable FIKO_CHECKOUT; without it tests that ask
for the fixture skip.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from fiko_client.async_client import AsyncClient
from fiko_client.client import Client
from fiko_client.spool import Spool

SETTING = "fiko_checkout"
VARIABLE = "FIKO_CHECKOUT"
# The first start of a checkout installs its packages.
START_SECONDS = 300.0
STOP_SECONDS = 60.0
COMMAND_SECONDS = 120.0
DEBIT_SCOPE = "tokens:debit"
# What the app under test is configured with must not lead the sandbox to another Stripe.
FOREIGN = ("STRIPE_", "DATABASE_", "REDIS_", "CELERY_", "JWT_", "PORT", "HOST", "BILLING_")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the setting."""
    parser.addini(SETTING, "Where a checkout of Fiko Billing lies, for the fixture fiko_sandbox.")


@dataclass(slots=True)
class Sandbox:
    """A running product. Users are made by naming them."""

    base_url: str
    checkout: Path
    data: Path
    _tokens: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)

    def token(self, user: str = "user_1", *scopes: str) -> str:
        """A JWT for a user, with the scope to spend where none is named."""
        wanted = (user, scopes or (DEBIT_SCOPE,))
        if wanted not in self._tokens:
            words = [word for scope in wanted[1] for word in ("--scope", scope)]
            self._tokens[wanted] = self.run("issue_token", "--user", user, *words).strip()
        return self._tokens[wanted]

    def client(self, user: str = "user_1", *, spool: Spool | None = None) -> Client:
        """A client for a user."""
        return Client(self.base_url, self.token(user), spool=spool)

    def async_client(self, user: str = "user_1", *, spool: Spool | None = None) -> AsyncClient:
        """An `AsyncClient` for a user."""
        return AsyncClient(self.base_url, self.token(user), spool=spool)

    def give(self, user: str, tokens: int) -> None:
        """Give a user tokens."""
        words = ("--amount", str(tokens), "--reason", "for a test", "--yes")
        self.run("adjust", "--user", user, *words)

    def run(self, command: str, *words: str) -> str:
        """Run a command of the product's `manage.py` on this sandbox; returns what it prints."""
        done = subprocess.run(  # noqa: S603 - the product's own command.
            [sys.executable, "manage.py", command, *words, "--data", str(self.data)],
            cwd=self.checkout,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"manage.py {command} failed:\n{done.stdout}{done.stderr}")
        return done.stdout


@pytest.fixture(scope="session")
def fiko_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """The product, started once for all tests that ask for it, and stopped after the last."""
    place = os.environ.get(VARIABLE) or request.config.getini(SETTING)
    if not place:
        pytest.skip(f"set {SETTING} or {VARIABLE} to a checkout of Fiko Billing")
    checkout = Path(place).expanduser().resolve()
    if not (checkout / "manage.py").is_file():
        pytest.fail(f"there is no manage.py in {checkout}")
    with tempfile.TemporaryDirectory(prefix="fiko-sandbox-") as name:
        data = Path(name)
        data.chmod(0o711)  # PostgreSQL runs as a user of its own where tests run as root.
        sandbox = Sandbox(f"http://127.0.0.1:{_free_port()}", checkout, data)
        log = data / "up.log"
        process = _start(sandbox, log)
        try:
            _wait(sandbox, process, log)
            yield sandbox
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()  # Its guard ends the rest.
                process.wait()


def _start(sandbox: Sandbox, log: Path) -> "subprocess.Popen[bytes]":
    port = sandbox.base_url.rpartition(":")[2]
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603 - the product's own command.
            [sys.executable, "manage.py", "up", "--data", str(sandbox.data), "--port", port],
            cwd=sandbox.checkout,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def _wait(sandbox: Sandbox, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return once the product is ready."""
    end = time.monotonic() + START_SECONDS
    while not _is_ready(sandbox.base_url):
        if process.poll() is not None or time.monotonic() > end:
            told = log.read_text(errors="replace")[-4000:]
            pytest.fail(f"the sandbox did not start:\n{told}")
        time.sleep(0.2)


def _is_ready(base_url: str) -> bool:
    try:
        return httpx.get(f"{base_url}/readyz", timeout=5).is_success
    except httpx.HTTPError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
