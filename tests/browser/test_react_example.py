"""The React example in a browser, on another origin than the API: it changes by itself."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from dev.checks import node
from dev.checks.clients import CLIENT, EXAMPLE, FOLDER, HOOKS
from dev.checks.node import NodeUnavailableError
from tests.browser.shop import GOOD, Product, Shop

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

Build = Callable[[str], str]


class AppHandler(SimpleHTTPRequestHandler):
    """Serves an app of one page: what is no file is the page."""

    def translate_path(self, path: str) -> str:
        """The file behind an address."""
        found = super().translate_path(path)
        return found if Path(found).is_file() else str(Path(self.directory, "index.html"))

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def packages() -> None:
    """What the example is built on is installed and built."""
    try:
        node.install(FOLDER)
    except NodeUnavailableError as error:
        pytest.skip(f"the example cannot be built here: {error}")
    for folder in (CLIENT, HOOKS):
        node.run(folder, "tsc")


@pytest.fixture
def example(
    product: Product,
    context: BrowserContext,
    packages: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Build]:
    """Builds the example for a user, serves it, and gives its address."""
    del packages
    build = tmp_path / "dist"

    def built(user: str) -> str:
        monkeypatch.setenv("VITE_BILLING_URL", product.base_url)
        monkeypatch.setenv("VITE_BILLING_TOKEN", token_of(product, context, user))
        shutil.rmtree(build, ignore_errors=True)
        node.run(EXAMPLE, "vite", "build", "--logLevel", "warn", "--outDir", str(build))
        return f"http://localhost:{product.frontend_port}"

    with serving(build, product.frontend_port):
        yield built


@contextmanager
def serving(folder: Path, port: int) -> Iterator[None]:
    """A folder is served on `localhost`."""
    server = ThreadingHTTPServer(("localhost", port), partial(AppHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def token_of(product: Product, context: BrowserContext, user: str) -> str:
    """A token of this user, as the demo page gets one."""
    answer = context.request.post(
        f"{product.base_url}/demo/token", data={"user": user}, headers={"Origin": product.base_url}
    )
    return str(answer.json()["token"])


def errors_of(page: Page) -> list[str]:
    """What goes wrong on a page from now on."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    return errors


def test_the_example_changes_without_being_loaded_anew(
    product: Product, context: BrowserContext, example: Build
) -> None:
    """A purchase, what it unlocks and a debit made elsewhere are shown, on one stream."""
    page = context.new_page()
    errors = errors_of(page)
    shop = Shop(product, page)
    streams, balances = shop.asked("/billing/stream/"), shop.asked("/billing/tokens/")
    accesses = shop.asked("/billing/access/")
    page.goto(example("rea"))
    expect(page.get_by_text("0 tokens", exact=True)).to_be_visible()
    expect(page.get_by_text("seats: no.")).to_be_visible()
    page.evaluate("window.stays = true")
    buyer = Shop(product, context.new_page())
    buyer.enter("rea")
    buyer.choose("Choose Pro monthly")
    buyer.pay(GOOD, "Subscribe")
    buyer.expect_complete("10,000 tokens are yours")
    expect(page.get_by_text("10,000 tokens", exact=True).first).to_be_visible()
    expect(page.get_by_text("Pro monthly: active")).to_be_visible()
    expect(page.get_by_text("seats: 5")).to_be_visible()
    buyer.page.get_by_role("button", name="Spend").click()
    expect(page.get_by_text("9,900 tokens", exact=True)).to_be_visible()
    assert page.evaluate("window.stays")
    assert (len(streams), len(balances), len(accesses)) == (1, 1, 1), "asked once, then told"
    assert errors == []


def test_the_success_page_changes_by_itself(
    product: Product, context: BrowserContext, example: Build
) -> None:
    """A bank debit is on its way until the bank answers; the page then says so by itself."""
    page = context.new_page()
    errors = errors_of(page)
    shop = Shop(product, page)
    page.goto(example("sam"))
    page.get_by_role("listitem").filter(has_text="Small package").get_by_role("button").click()
    page.wait_for_url("**/c/pay/**")
    page.get_by_label("Bank debit").check()
    page.get_by_role("button", name="Pay $5.00").click()
    page.wait_for_url("**/success?session_id=*")
    expect(page.get_by_text("The payment is on its way")).to_be_visible()
    shop.picture("react-success-processing")
    dashboard = context.new_page()
    dashboard.goto(f"{product.stripe_url}/")
    dashboard.get_by_role("button", name="Succeed").click()
    expect(page.get_by_text("1,000 tokens were added to your balance")).to_be_visible()
    expect(page.get_by_text("1,000 tokens", exact=True)).to_be_visible()
    shop.picture("react-success-complete")
    assert errors == []
