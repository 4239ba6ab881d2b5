"""A newcomer's first quarter of an hour: a clone, a terminal, a browser, and the next release."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from dotenv import dotenv_values
from playwright.sync_api import BrowserContext, expect

from dev.up.ports import free_port
from tests.browser.conftest import FOREIGN
from tests.browser.shop import GOOD, Product, Shop

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
COLUMNS, ROWS = 100, 30
START_SECONDS = 90.0
STOP_SECONDS = 30.0
TMUX, GIT = shutil.which("tmux"), shutil.which("git")


def git(*words: str) -> str:
    """What git answers; the test is skipped where there is no history."""
    if GIT is None or not (ROOT / ".git").exists():
        pytest.skip("there is no git, or no history, to make a clone of")
    command = [GIT, "-C", str(ROOT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def clone(place: Path, commit: str = "HEAD") -> Path:
    """A fresh clone of a commit, without anything that git does not keep."""
    name = git("rev-parse", commit)
    git("clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(place))
    git("-C", str(place), "checkout", "--quiet", name)
    return place


class Terminal:
    """`up` in a pane of tmux, of 100 columns and 30 rows."""

    def __init__(self, code: Path, data: Path, port: int) -> None:
        self._words = [str(TMUX), "-L", f"walk{os.getpid()}", "-f", "/dev/null"]
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)
        }
        up = [sys.executable, "manage.py", "up", "--data", str(data), "--port", str(port)]
        size = ["-x", str(COLUMNS), "-y", str(ROWS)]
        # The pane stays when the command has ended, so that its last words can be read.
        stays = (";", "set-option", "remain-on-exit", "on")
        subprocess.run(
            [*self._words, "new-session", "-d", *size, "-c", str(code), *up, *stays],
            env=environment,
            check=True,
        )

    def tmux(self, *words: str) -> str:
        """Ask tmux for something."""
        command = [*self._words, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def wait_for(self, condition: Callable[[str], bool], seconds: float) -> str:
        """What the pane shows and showed, once it is as it should be."""
        deadline = time.monotonic() + seconds
        while True:
            shown = self.tmux("capture-pane", "-p", "-S", "-2000")
            if condition(shown):
                return shown
            assert time.monotonic() < deadline, shown
            time.sleep(0.2)

    def stop(self) -> str:
        """Press Ctrl-C and wait for the end."""
        self.tmux("send-keys", "C-c")
        return self.wait_for(lambda _: self.is_over, STOP_SECONDS)

    @property
    def is_over(self) -> bool:
        """Whether the command in the pane has ended."""
        return self.tmux("display-message", "-p", "#{pane_dead}").strip() != "0"


@contextmanager
def up(code: Path, data: Path, port: int) -> Iterator[Terminal]:
    """`up` of this code on this data, from ready until somebody stops it."""
    if TMUX is None:
        pytest.skip("there is no tmux here")
    terminal = Terminal(code, data, port)
    try:
        shown = terminal.wait_for(
            lambda shown: "Ready in" in shown or terminal.is_over, START_SECONDS
        )
        if "Ready in" not in shown:
            assert "installing" in shown, shown
            pytest.skip(f"its packages cannot be had here: {shown.strip().splitlines()[-1]}")
        yield terminal
    finally:
        if not terminal.is_over:
            terminal.stop()
        terminal.tmux("kill-server")


def manage(code: Path, data: Path, *words: str) -> str:
    """What a command says; it must succeed."""
    command: Sequence[str] = [sys.executable, "manage.py", *words, "--data", str(data)]
    result = subprocess.run(command, cwd=code, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def shop_of(context: BrowserContext, data: Path, port: int) -> Shop:
    """The shop of a running `up`."""
    stripe = dotenv_values(data / "dev.env", interpolate=False)["STRIPE_API_BASE"]
    return Shop(Product(f"http://127.0.0.1:{port}", str(stripe), 0), context.new_page())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory that the engines' user may pass to."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == tmp_path.owner() and folder.name.startswith("pytest"):
            folder.chmod(0o711)
    return tmp_path / "data"


def test_the_first_quarter_of_an_hour(tmp_path: Path, data: Path, context: BrowserContext) -> None:
    """Clone, up, buy, simulate, compare, a year forward, a refund, an audit, Ctrl-C."""
    code, port = clone(tmp_path / "a clone"), free_port()
    with up(code, data, port) as terminal:
        shop = shop_of(context, data, port)
        shop.page.goto(shop.product.base_url)  # The port alone leads to the shop.
        shop.page.wait_for_url("**/demo/")
        shop.enter("demo")
        shop.choose("Choose Pro monthly")
        shop.pay(GOOD, "Subscribe")
        shop.expect_complete("10,000 tokens are yours")
        terminal.wait_for(lambda shown: "demo +10,000" in shown, STOP_SECONDS)
        assert "Right:" in manage(code, data, "simulate", "--customers", "5")
        compared = manage(code, data, "check_subscription_status")
        assert "1 subscription compared; no difference." in compared
        shop.visit("/")
        shop.page.get_by_role("button", name="+1 year").click()
        expect(shop.page.get_by_role("status")).to_be_visible()
        shop.enter("demo")
        # The first month and twelve renewals.
        expect(shop.balance).to_have_text("130,000")
        shop.visit("/")
        shop.page.get_by_role("button", name="Refund").first.click()
        shop.enter("demo")
        expect(shop.balance).to_have_text("120,000")
        manage(code, data, "audit")
        manage(code, data, "check_subscription_status")
        shown = terminal.stop()
    assert "Ready in" in shown
    assert shown.rstrip().splitlines()[-1].startswith(("everything is stopped", "Pane is dead"))
    assert "everything is stopped" in shown


def test_an_upgrade_keeps_what_was_bought_and_where(
    tmp_path: Path, data: Path, context: BrowserContext
) -> None:
    """From the last release: balance, subscription and the offline Stripe's account stay."""
    release = git("log", "--format=%H", "--grep=^chore: release", "-1", "HEAD")
    if not release:
        pytest.skip("no release is in this history")
    port = free_port()
    with up(clone(tmp_path / "old", release), data, port):
        shop = shop_of(context, data, port)
        shop.enter("demo")
        shop.choose("Choose Pro monthly")
        shop.pay(GOOD, "Subscribe")
        shop.expect_complete("10,000 tokens are yours")
        shop.page.close()
    code = clone(tmp_path / "new")
    with up(code, data, port):
        shop = shop_of(context, data, port)
        shop.enter("demo")
        expect(shop.balance).to_have_text("10,000")
        compared = manage(code, data, "check_subscription_status")
        assert "1 subscription compared; no difference." in compared
        assert "does not know" not in manage(code, data, "doctor")
        shop.page.get_by_role("button", name="Change plan: Starter monthly").click()
        shop.page.wait_for_url("**/p/session/**")
        expect(shop.page.get_by_text("Pro monthly").first).to_be_visible()
        # What this release keeps and that one did not: since when a subscription is as it is.
        manage(code, data, "rebuild", "--yes")
        manage(code, data, "audit")
