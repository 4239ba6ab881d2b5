"""The receivers that the guide shows, each run as it stands there, against real deliveries."""

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from db.engine import make_engine
from db.outbox import destinations as tables
from db.outbox import messages
from db.outbox.messages import Message, MessageType
from dev.checks import node
from dev.up.ports import free_port
from tests.pipeline import empty
from workers.hearing import destinations
from workers.hearing.deliver import Deliverer
from workers.hearing.sending import Sender

ROOT = Path(__file__).parents[2]
NODE = ROOT / "tests" / "node"
PAGE = (ROOT / "docs" / "8-hearing-of-changes.md").read_text("utf-8")
START_SECONDS_MAX = 30.0

Start = Callable[[Path, int], Sequence[str]]


def code_of(heading: str) -> str:
    """The program below a heading of the page."""
    shown = rf"^### {re.escape(heading)}\n.*?^```\w+\n(.*?)^```"
    block = re.search(shown, PAGE, re.DOTALL | re.MULTILINE)
    assert block
    return block[1]


def _flask(module: Path, port: int) -> Sequence[str]:
    return (sys.executable, "-m", "flask", "--app", module.stem, "run", "--port", str(port))


def _fastapi(module: Path, port: int) -> Sequence[str]:
    served = f"{module.stem}:app"
    return (sys.executable, "-m", "granian", "--interface", "asgi", "--port", str(port), served)


def _express(module: Path, _port: int) -> Sequence[str]:
    return ("node", str(module))


def _next(module: Path, _port: int) -> Sequence[str]:
    return ("node", str(NODE / "next_route.js"), str(module))


RECEIVERS: dict[str, tuple[str, Start]] = {
    "Flask": ("py", _flask),
    "FastAPI": ("py", _fastapi),
    "Express": ("mjs", _express),
    "Next.js": ("mjs", _next),
}


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A database with nothing in it."""
    made = make_engine(database_url, pool_size=4)
    empty(made)
    yield made
    made.dispose()


@contextmanager
def running(heading: str, folder: Path, port: int, secret: str) -> Iterator[Path]:
    """The receiver below a heading, on a port of this machine; where it prints."""
    suffix, start = RECEIVERS[heading]
    module = folder / f"receiver_of_{re.sub(r'[^a-z]', '', heading.lower())}.{suffix}"
    module.write_text(code_of(heading), encoding="utf-8")
    if suffix == "mjs":
        packages = folder / "node_modules"
        if not packages.exists():
            packages.symlink_to(NODE / "node_modules")
    # Apart: a server's own log breaks into a line that is being printed.
    printed, logged = folder / "printed", folder / "logged"
    environment = {"BILLING_WEBHOOK_SECRET": secret, "PORT": str(port), "PYTHONUNBUFFERED": "1"}
    with printed.open("wb") as output, logged.open("wb") as log:
        process = subprocess.Popen(
            start(module, port),
            cwd=folder,
            env=os.environ | environment,
            stdout=output,
            stderr=log,
        )
    try:
        until = time.monotonic() + START_SECONDS_MAX
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > until:
                told = printed.read_text() + logged.read_text()
                pytest.fail(f"the receiver does not answer:\n{told}")
            time.sleep(0.05)
        yield printed
    finally:
        process.terminate()
        process.wait(timeout=20)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def deliver(engine: Engine) -> None:
    """Tell every destination what is due."""

    async def settle() -> None:
        deliverer = Deliverer(engine, Sender(allow_private=True, timeout_seconds=5.0))
        await deliverer.settle()
        await deliverer.close()

    asyncio.run(settle())


def _require_node() -> None:
    try:
        node.install(NODE)
    except node.NodeUnavailableError as reason:
        pytest.skip(f"not run with Node: {reason}")


@pytest.mark.parametrize("heading", RECEIVERS)
def test_a_receiver_takes_what_is_ours_and_nothing_else(
    engine: Engine, tmp_path: Path, heading: str
) -> None:
    """Two messages, one of them again, and the same from somebody who has not the secret."""
    if RECEIVERS[heading][0] == "mjs":
        _require_node()
    port = free_port()
    url = f"http://127.0.0.1:{port}/hooks/billing"
    name, secret = destinations.add(engine, url, allow_private=True)
    stranger, _ = destinations.add(engine, url, allow_private=True)
    with engine.begin() as connection:
        messages.write(
            connection,
            [
                Message("\N{LATIN SMALL LETTER E WITH ACUTE}mile", kind, data)
                for kind, data in (
                    (MessageType.TOKENS_CHANGED, {"balance": 5}),
                    (MessageType.PAYMENT_PAID, {"id": "in_1", "status": "paid"}),
                )
            ],
        )
    with running(heading, tmp_path, port, secret) as printed:
        deliver(engine)
        destinations.resend(engine, name, since=None, types=(), user_id=None)
        deliver(engine)
        lines = [line for line in printed.read_text("utf-8").splitlines() if "mile " in line]
    assert [line.split(" ", 1)[1] for line in lines] == ["tokens.changed 1", "payment.paid 2"]
    with engine.connect() as connection:
        ours, theirs = tables.find(connection, name), tables.find(connection, stranger)
    assert ours is not None
    assert theirs is not None
    assert (ours.failures, theirs.last_error) == (0, "answered 400")


def test_every_receiver_of_the_page_is_run() -> None:
    """A fifth one would have to be, too."""
    receivers = PAGE.split("## Receivers")[1]
    assert re.findall(r"^### (.*)$", receivers, re.MULTILINE) == list(RECEIVERS)
