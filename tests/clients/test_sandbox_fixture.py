"""The pytest fixture of the Python client, as the tests of an app use it."""

import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.error import URLError

import pytest

ROOT = Path(__file__).parents[2]
APP_TESTS = """
import asyncio
from pathlib import Path

import pytest

from fiko_client import InsufficientTokens, costs


def test_it_sells_and_takes(fiko_sandbox):
    Path("address").write_text(fiko_sandbox.base_url)
    fiko_sandbox.give("ada", 8)
    with fiko_sandbox.client("ada") as client:
        assert client.balance().balance == 8
        view = costs(5, client)(lambda: "made")
        assert view() == "made"
        with pytest.raises(InsufficientTokens) as refused:
            view()
        assert (refused.value.balance, refused.value.missing) == (3, 2)
        assert refused.value.buy
        assert [each.kind for each in client.ledger()] == ["debit", "adjustment"]
        assert list(client.subscriptions()) == []
        bought = client.checkout(**refused.value.buy[0].checkout)
        assert bought.url.startswith("http://127.0.0.1:")


def test_it_is_the_same_for_every_test_and_each_user_has_their_own(fiko_sandbox):
    assert Path("address").read_text() == fiko_sandbox.base_url

    async def balance():
        async with fiko_sandbox.async_client("bob") as client:
            return (await client.balance()).balance

    assert asyncio.run(balance()) == 0
"""


def run_tests_of_an_app(folder: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run an app's tests in a pytest of its own that knows the client and nothing of ours."""
    (folder / "test_app.py").write_text(APP_TESTS, encoding="utf-8")
    words = ("-p", "fiko_client.pytest_plugin", "-p", "no:cacheprovider", "-c", os.devnull, "-rs")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *words, "--rootdir", str(folder), "test_app.py"],
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if name != "FIKO_CHECKOUT"},
            "PYTHONPATH": str(ROOT / "clients" / "python" / "src"),
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def test_an_apps_tests_get_a_product_of_their_own(tmp_path: Path) -> None:
    """Started once, whatever the app is configured with, and gone afterwards."""
    # Nobody listens there, and the sandbox does not care.
    foreign = {"DATABASE_URL": "postgresql://127.0.0.1:1/none", "JWT_SECRET": "another"}
    done = run_tests_of_an_app(tmp_path, FIKO_CHECKOUT=str(ROOT), **foreign)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    with pytest.raises(URLError):
        urllib.request.urlopen((tmp_path / "address").read_text() + "/healthz")  # noqa: S310


def test_without_a_checkout_an_apps_tests_skip(tmp_path: Path) -> None:
    """And say what to set."""
    done = run_tests_of_an_app(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 skipped" in done.stdout
    assert "set fiko_checkout or FIKO_CHECKOUT" in done.stdout


def test_a_checkout_that_is_none_is_told(tmp_path: Path) -> None:
    """Not skipped: somebody set it."""
    done = run_tests_of_an_app(tmp_path, FIKO_CHECKOUT=str(tmp_path))
    assert "there is no manage.py in" in done.stdout
    assert done.returncode == 1
