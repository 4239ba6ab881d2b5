"""A product from `manage.py up` and a browser for it, each started once and shared by all tests."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dotenv import dotenv_values
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from dev.up.ports import free_port
from tests.browser.shop import PATIENCE_MS, Product, Shop

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 90.0
STOP_SECONDS = 30.0
PLACES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
# What this machine is configured with must not lead the product to another Stripe or database.
FOREIGN = ("STRIPE_", "DATABASE_URL", "REDIS_URL", "CELERY_", "JWT_", "PORT", "HOST", "BILLING_")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium."""
    found = next((path for name in PLACES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("there is no Chromium here: install the package chromium to run these tests")
    return found


@pytest.fixture(scope="session")
def product(chromium: str) -> Iterator[Product]:
    """The whole product without any key, so with the offline Stripe."""
    del chromium  # Where there is no browser, nothing need be started.
    with tempfile.TemporaryDirectory(prefix="billing-browser-") as name:
        directory = Path(name)
        directory.chmod(0o711)  # The engines' user passes through, and sees nothing.
        port = free_port()
        # `up` gives the offline Stripe the port after its own, if that is free.
        frontend_port = next(at for at in iter(free_port, None) if at not in (port, port + 1))
        frontend = f"http://localhost:{frontend_port}"
        log = directory / "up.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, ROOT / "manage.py", "up", "--data", name, "--port", str(port)],
                cwd=name,  # A developer's own .env is in the project, not here.
                env={
                    **{key: at for key, at in os.environ.items() if not key.startswith(FOREIGN)},
                    "CORS_ORIGINS": frontend,
                    "ALLOWED_REDIRECT_ORIGINS": frontend,
                },
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait(process, log)
            written = dotenv_values(directory / "dev.env", interpolate=False)
            yield Product(
                f"http://127.0.0.1:{port}", written["STRIPE_API_BASE"] or "", frontend_port
            )
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(STOP_SECONDS)


def _wait(process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once `up` says that everything runs."""
    end = time.monotonic() + START_SECONDS
    while "Ready in" not in log.read_text(errors="replace"):
        if process.poll() is not None or time.monotonic() > end:
            pytest.fail(f"`up` did not start:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.1)


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """A browser without a window."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=list(OPTIONS))
        yield opened
        opened.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that remembers nothing."""
    opened = browser.new_context(viewport={"width": 1200, "height": 900}, locale="en-GB")
    opened.set_default_timeout(PATIENCE_MS)
    yield opened
    opened.close()


@pytest.fixture
def shop(product: Product, context: BrowserContext) -> Iterator[Shop]:
    """The shop in a fresh browser. What its pages load is local, and no page has an error."""
    page = context.new_page()
    foreign: list[str] = []
    errors: list[str] = []
    own = (product.base_url, product.stripe_url, "data:")
    page.on(
        "request", lambda asked: None if asked.url.startswith(own) else foreign.append(asked.url)
    )
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda told: errors.append(told.text) if "Policy" in told.text else None)
    yield Shop(product, page)
    assert foreign == []
    assert errors == []
