"""Another SDK than the one we check with: Stripe's for Node signs, our receiver believes it.

Skipped where Node or its package cannot be had; everything else is real, down to the balance.
"""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.checks import node
from dev.up.ports import free_port
from tests.ingest.builders import ENVIRONMENT, SECRET
from tests.pipeline import a_worker_context, balances, sell
from tests.play import CATALOGUE
from tests.stripe_objects import a_refund, a_session, an_event
from workers.context import WorkerContext
from workers.pipeline.drain import drain

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "node"
COMMAND = (sys.executable, "-c", "from ingest.server import web; web()")
OTHER_SECRET = "whsec_of_somebody_else"


@pytest.fixture(scope="module")
def package() -> None:
    """Stripe's SDK for Node, installed from the lock."""
    try:
        node.install(FOLDER)
    except node.NodeUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def receiver(
    package: None, database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The receiver as its own process, on the engines of the tests; its webhook's URL."""
    assert package is None
    port = free_port()
    variables = {
        "DATABASE_URL": database_url.replace("+psycopg2", ""),
        "REDIS_URL": redis_url,
        "PORT": str(port),
        "PYTHONPATH": str(ROOT),
        # Two secrets, as during a rotation; Node knows the older one.
        "STRIPE_WEBHOOK_SECRET": f"whsec_the_new_one,{SECRET}",
    }
    log = tmp_path_factory.mktemp("receiver") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            COMMAND,
            cwd=log.parent,
            env=os.environ | ENVIRONMENT | variables,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_alive(port, process, log)
        yield f"http://127.0.0.1:{port}/billing/stripe/webhook/"
    finally:
        process.terminate()
        process.wait(timeout=20)


def wait_until_alive(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until it answers; fail with its log when it never does."""
    until = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < until:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.05)
        finally:
            connection.close()
    pytest.fail(f"The receiver does not answer:\n{log.read_text()}")


@pytest.fixture(scope="module")
def context(database_url: str, redis_url: str) -> Iterator[WorkerContext]:
    """A worker's ports on the same engines, which sell the test catalogue."""
    made = a_worker_context(database_url, redis_url)
    sell(made.engine, CATALOGUE)
    yield made
    made.engine.dispose()


def post(url: str, *orders: dict[str, Any]) -> list[dict[str, Any]]:
    """Have Node sign and send these; the answers."""
    result = subprocess.run(
        ["node", "deliver.js"],  # noqa: S607 - wherever Node is installed.
        cwd=FOLDER,
        input=json.dumps({"url": url, "orders": orders}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    answers: list[dict[str, Any]] = json.loads(result.stdout)
    return answers


def test_what_node_signs_becomes_a_balance(receiver: str, context: WorkerContext) -> None:
    """A purchase of 1,000 tokens, a duplicate of it, and a refund of half."""
    sale = an_event("checkout.session.completed", a_session())
    accented = a_refund(amount=250, metadata={"why": "n\N{LATIN SMALL LETTER E WITH ACUTE}"})
    refund = an_event("refund.created", accented)
    orders = [{"event": event, "secret": SECRET} for event in (sale, sale, refund)]
    answers = post(receiver, *orders)
    assert answers == [{"status": 200, "body": {"received": True}}] * 3
    drain(context, lambda: None)
    assert balances(context.engine) == {"user_1": 500}


@pytest.mark.parametrize(
    ("spoilt", "code"),
    [
        ({"secret": OTHER_SECRET}, "signature_invalid"),
        ({"tamper": True}, "signature_invalid"),
        ({"ageSeconds": 400}, "signature_stale"),
        ({"ageSeconds": -400}, "signature_stale"),
    ],
    ids=["another's secret", "another body", "too old", "of the future"],
)
def test_what_node_signs_wrongly_is_refused(
    receiver: str, spoilt: dict[str, Any], code: str
) -> None:
    """400, as for any other sender."""
    order = {"event": an_event("invoice.paid", {"id": "in_1"}), "secret": SECRET} | spoilt
    [answer] = post(receiver, order)
    assert (answer["status"], answer["body"]["code"]) == (400, code)
