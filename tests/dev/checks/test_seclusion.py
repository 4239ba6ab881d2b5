"""Tests see nothing of the machine they run on, and reach nothing that is not this machine."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import stripe

import settings
from dev.checks import seclusion
from settings import Settings
from tests.conftest import Engines

ROOT = Path(__file__).resolve().parents[3]
NOT_COPIED = (
    *(".git", ".venv", ".data", ".env", "node_modules", "build", "__pycache__", ".*_cache"),
    # Other tests write these meanwhile.
    *(".bench", ".coverage*", ".hypothesis"),
)
# Modules that a machine's settings once broke: each reads settings in a way of its own.
READERS = (
    "tests/test_settings.py",
    "tests/test_celery_config.py",
    "tests/dev/up/test_environment.py",
    "tests/sandbox/test_demo.py",
    "tests/sandbox/stripe/test_offline_stripe_command.py",
    "tests/ingest/http/test_auth.py",
    "tests/workers/operations/test_issue_token.py",
    "tests/workers/pipeline/test_failure.py",
    "tests/workers/schedule/test_reconcile.py",
    "tests/dev/checks/test_seclusion.py",
)
STRIPE_HOST = "api.stripe.com"
HOSTILE_FILE = """
STRIPE_SECRET_KEY=sk_live_of_the_machine
STRIPE_PUBLISHABLE_KEY=pk_live_of_the_machine
STRIPE_TEST_MODE=False
STRIPE_CURRENCY=eur
JWT_AUDIENCE=somebody
JWT_ISSUER=somebody
RETRY_DELAYS=1h
"""
HOSTILE_DATA = """
STRIPE_WEBHOOK_SECRET=whsec_of_the_machine
JWT_SECRET=of_the_machine_of_the_machine_of_the_machine
DATABASE_URL=postgresql://nobody@127.0.0.1:1/nowhere
REDIS_URL=redis://127.0.0.1:1/0
STRIPE_API_BASE=http://127.0.0.1:1
CORS_ORIGINS=*
"""
HOSTILE_ENVIRONMENT = {
    "STRIPE_SECRET_KEY": "sk_live_of_the_environment",
    "STRIPE_TEST_MODE": "False",
    "STRIPE_CURRENCY": "sek",
    "JWT_JWKS_URL": "https://issuer.invalid/keys",
    "JWT_AUDIENCE": "nobody",
    "INTAKE": "inbox",
    "PORT": "none at all",
    "LOG_FORMAT": "console",
    "PROMETHEUS_MULTIPROC_DIR": "/nowhere/at/all",
    "PGOPTIONS": "-c statement_timeout=1",
    "TZ": "Asia/Kolkata",
    "HTTP_PROXY": "http://127.0.0.1:2",
    "https_proxy": "http://127.0.0.1:2",
    "ALL_PROXY": "http://127.0.0.1:2",
}


@pytest.fixture
def forgiven() -> Iterator[None]:
    """Lets a test try to leave the machine on purpose."""
    yield
    seclusion.attempts.clear()


def test_no_setting_comes_in() -> None:
    """Neither by the environment nor by a file; each is as it is on an empty machine."""
    found = settings.load()
    assert found == settings.load(environ={})
    assert (found.stripe_secret_key, found.stripe_currency) == ("", "usd")
    assert (found.jwt_secret, found.jwt_audience, found.database_url) == ("", "", "")


@pytest.mark.parametrize("field", [field.name for field in fields(Settings)])
def test_every_variable_of_the_product_is_kept_out(field: str) -> None:
    """Also the one that is added next."""
    assert settings.variable(field) not in seclusion.secluded({settings.variable(field): "x"})


def test_a_test_works_where_nothing_lies() -> None:
    """A process that a test starts finds no `.env` and no `.data` either."""
    assert list(Path.cwd().iterdir()) == []


def test_the_time_zone_is_the_tests_own() -> None:
    """The same on every machine, and not UTC."""
    assert os.environ["TZ"] == seclusion.TIME_ZONE
    assert time.localtime(0).tm_gmtoff != 0


@pytest.mark.usefixtures("forgiven")
def test_stripe_cannot_be_reached() -> None:
    """Neither by its client, which says why, nor by its name, nor by an address."""
    client = stripe.StripeClient("sk_test_x", max_network_retries=0)
    with pytest.raises(stripe.APIConnectionError):
        client.v1.balance.retrieve()
    with pytest.raises(seclusion.OutsideError, match=STRIPE_HOST):
        socket.create_connection((STRIPE_HOST, 443), timeout=1)
    with (
        socket.socket() as one,
        pytest.raises(seclusion.OutsideError, match=r"192\.0\.2\.1.*give it a server on 127"),
    ):
        one.connect(("192.0.2.1", 443))
    with socket.socket(type=socket.SOCK_DGRAM) as one, pytest.raises(seclusion.OutsideError):
        one.sendto(b"", ("192.0.2.1", 53))
    assert seclusion.attempts == [STRIPE_HOST, "192.0.2.1", "192.0.2.1"]


@pytest.mark.usefixtures("forgiven")
@pytest.mark.parametrize(
    "leave",
    [
        lambda one: one.connect_ex(("192.0.2.1", 443)),
        lambda one: one.sendmsg([b""], [], 0, ("192.0.2.1", 53)),
        lambda one: one.sendto(b"", 0, ("192.0.2.1", 53)),
        lambda _: socket.getaddrinfo(host=STRIPE_HOST.encode(), port=443),
        lambda _: socket.gethostbyname(STRIPE_HOST),
        lambda _: socket.gethostbyname_ex(STRIPE_HOST),
        lambda _: asyncio.run(asyncio.open_connection("192.0.2.1", 443)),
        lambda _: asyncio.run(asyncio.open_connection(STRIPE_HOST, 443)),
    ],
)
def test_no_other_way_out_is_open(leave: Callable[[socket.socket], object]) -> None:
    """A datagram, a look-up, a loop: each is refused before anything is sent."""
    with socket.socket(type=socket.SOCK_DGRAM) as one, pytest.raises(seclusion.OutsideError):
        leave(one)
    assert len(seclusion.attempts) == 1


def test_a_way_within_the_machine_is_open() -> None:
    """By name and address, by path, and on what is connected already."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(("localhost", server.getsockname()[1])) as one,
    ):
        assert one.sendmsg((b"192.0.2.1", b"")) == 9
    one, other = socket.socketpair()
    with one, other:
        assert one.sendmsg([b"x"]) == 1
    with socket.socket(socket.AF_UNIX) as one, pytest.raises(FileNotFoundError):
        one.connect("nobody.listens")
    assert seclusion.attempts == []


def test_nothing_of_it_runs_where_a_thread_sets_its_trace() -> None:
    """Coverage sets one in each new thread; up to 3.11, two at a time end one of the threads."""
    program = (
        "import sys, threading\n"
        "from dev.checks import seclusion\n"
        "seclusion.enter()\n"
        "sys.setswitchinterval(1e-6)\n"
        "refused = []\n"
        "def trace():\n"
        "    for _ in range(2000):\n"
        "        try: sys.settrace(None)\n"
        "        except RuntimeError as error: refused.append(error)\n"
        "threads = [threading.Thread(target=trace) for _ in range(8)]\n"
        "for one in threads: one.start()\n"
        "for one in threads: one.join()\n"
        "print(len(refused))\n"
    )
    assert _said(program) == "0"


def test_a_process_that_a_test_starts_cannot_reach_stripe_either() -> None:
    """Whatever it is written in: the way out that it is told of is closed."""
    program = (
        "import stripe\n"
        "client = stripe.StripeClient('sk_test_x', max_network_retries=0)\n"
        "try: client.v1.balance.retrieve()\n"
        "except stripe.APIConnectionError as error: print(type(error.__cause__).__name__)\n"
    )
    assert _said(program) == "ProxyError"


def _said(program: str) -> str:
    """What a Python of its own prints when it runs this."""
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return told.stdout.strip()


def test_who_asks_a_registry_finds_the_machines_proxies_again() -> None:
    """However often the tests were entered on the way."""
    machine = {"HTTPS_PROXY": "http://proxy:8080", "no_proxy": "registry", "PATH": "/bin"}
    within = seclusion.secluded(seclusion.secluded(machine))
    assert within["HTTPS_PROXY"] == seclusion.DEAD_PROXY
    assert seclusion.outward(within).items() >= machine.items()
    within = seclusion.secluded(seclusion.secluded({"PATH": "/bin"}))
    assert not {"HTTPS_PROXY", "NO_PROXY"} & seclusion.outward(within).keys()


@pytest.fixture
def hostile_project(tmp_path: Path) -> Path:
    """A copy of the project on a machine that is set up for something else."""
    project = tmp_path / "project"
    shutil.copytree(ROOT, project, ignore=shutil.ignore_patterns(*NOT_COPIED))
    (project / ".env").write_text(HOSTILE_FILE)
    (project / ".data").mkdir()
    (project / ".data" / "dev.env").write_text(HOSTILE_DATA)
    return project


def test_the_tests_pass_on_a_hostile_machine(hostile_project: Path, engines: Engines) -> None:
    """What they are set up by is all theirs: a few modules that have read the machine's."""
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-k", "not hostile", *READERS],
        cwd=hostile_project,
        env=dict(os.environ)
        | HOSTILE_ENVIRONMENT
        | {"TEST_DATABASE_URL": engines.database_url, "TEST_REDIS_URL": engines.redis_url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]


def test_the_command_passes_on_a_hostile_machine(hostile_project: Path) -> None:
    """It starts engines of its own, whatever the machine tells clients of PostgreSQL."""
    result = subprocess.run(
        [sys.executable, "manage.py", "test", "-q", "-x", "tests/test_settings.py"],
        cwd=hostile_project,
        env=dict(os.environ) | HOSTILE_ENVIRONMENT | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
