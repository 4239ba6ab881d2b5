"""The command that serves the offline Stripe: it says where, and ends cleanly when told to."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import stripe

from sandbox.stripe.command import FILE_NAME
from tests.offline_stripe import KEY, SECRET

COMMAND = "from sandbox.stripe.command import offline_stripe; offline_stripe()"


def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    """It logs its address, answers the SDK, keeps its file in the data directory, and exits 0."""
    environment = {
        **os.environ,
        "BILLING_DATA": str(tmp_path),
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "LOG_FORMAT": "json",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "--port", "0", "--webhook-url", "http://127.0.0.1:9/hook"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        ready = next(line for line in process.stderr if "offline Stripe ready" in line)
        url = re.search(r"http://127\.0\.0\.1:\d+", ready)
        assert url is not None
        client = stripe.StripeClient(KEY, base_addresses={"api": url[0]})
        assert client.v1.customers.create({"name": "A"}).name == "A"
        (endpoint,) = client.v1.webhook_endpoints.list().data
        assert endpoint.url == "http://127.0.0.1:9/hook"
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert "offline Stripe stopped" in rest
    assert SECRET not in ready + rest
    assert (tmp_path / FILE_NAME).exists()


def test_the_sandbox_needs_no_settings(tmp_path: Path) -> None:
    """It says where it answers and how webhooks are signed, the same at every start."""
    words = "from sandbox.stripe.command import sandbox; sandbox()"
    environment = {**os.environ, "BILLING_DATA": str(tmp_path)}
    said = []
    for _ in range(2):
        process = subprocess.Popen(
            [
                sys.executable,
                "-u",
                "-c",
                words,
                "--port",
                "0",
                "--webhook-url",
                "http://127.0.0.1:9/",
            ],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(3)]
            url = re.search(r"http://127\.0\.0\.1:\d+", lines[0])
            assert url is not None
            client = stripe.StripeClient("sk_test_sandbox", base_addresses={"api": url[0]})
            assert client.v1.customers.create({"name": "A"}).name == "A"
            process.send_signal(signal.SIGTERM)
            rest, _ = process.communicate(timeout=20)
        finally:
            process.kill()
        assert (process.returncode, rest) == (0, "Stopped.\n")
        said.append(lines[2])
    assert said[0] == said[1]
    assert "whsec_" in said[0]
