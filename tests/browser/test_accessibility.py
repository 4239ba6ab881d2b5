"""Our pages keep nobody out: axe finds nothing, in both schemes, on a phone and on a desk.

Pictures of each page are kept in `build/screenshots`.
"""

import re
from collections.abc import Iterator
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.axe import violations
from tests.browser.shop import BROKE, DECLINED, GOOD, PATIENCE_MS, Product, Shop
from tests.browser.test_react_example import Build, example, packages
from tests.offline_stripe import KEY

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
WIDTHS = (390, 1280)
_OPEN_ALL_ANSWERS = """
    for (const button of document.querySelectorAll("#reader button:has(strong)")) button.click()
"""
_OPEN_THEIR_MEMBERS = """
    for (const button of document.querySelectorAll("#reader td button")) button.click()
"""
# Fixtures of the example's own tests.
__all__ = ["example", "packages"]


class Look:
    """Keeps a picture of each page at hand, and what axe says of it."""

    def __init__(self, shop: Shop, name: str) -> None:
        self.shop = shop
        self.name = name
        self.found: dict[str, list[str]] = {}

    def at(self, place: str) -> None:
        """Look at the page at hand, which is called so."""
        self.shop.picture(f"axe-{place}-{self.name}")
        if wrong := violations(self.shop.page):
            self.found[place] = wrong


@pytest.fixture(params=[(scheme, width) for scheme in SCHEMES for width in WIDTHS], ids=str)
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page in one of the schemes and widths."""
    scheme, width = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, locale="en-GB"
    )
    context.set_default_timeout(PATIENCE_MS)
    opened = context.new_page()
    opened.emulate_media(reduced_motion="reduce", color_scheme=scheme)
    yield opened
    context.close()


@pytest.fixture
def look(product: Product, page: Page, request: pytest.FixtureRequest) -> Iterator[Look]:
    """Looks at pages, and complains of all of them together."""
    scheme, width = request.node.callspec.params["page"]
    looked = Look(Shop(product, page), f"{scheme}-{width}")
    yield looked
    assert looked.found == {}


def test_the_shop_and_the_way_to_it(look: Look) -> None:
    """The demo, checkout with its refusals, where one comes back to, portal, dashboard, records."""
    shop, page = look.shop, look.shop.page
    shop.enter(f"axe {look.name}")
    look.at("demo-new")
    shop.choose("Choose Pro monthly")
    expect(page.get_by_label("Card number")).to_be_focused()
    look.at("checkout")
    page.get_by_role("button", name="Subscribe").click()
    expect(page.get_by_label("Card number")).to_be_focused()
    look.at("checkout-wrong")
    shop.pay(BROKE, "Subscribe")
    expect(page.get_by_role("alert")).to_be_visible()
    look.at("checkout-declined")
    shop.pay(GOOD, "Subscribe")
    shop.expect_complete("10,000 tokens are yours")
    expect(shop.purchase).to_be_focused()
    look.at("demo-bought")
    expect(page.get_by_role("button", name="Change plan: Starter monthly")).to_be_visible()
    page.get_by_role("button", name="Change plan: Starter monthly").click()
    page.wait_for_url("**/p/session/**")
    look.at("portal-switch")
    page.goto(f"{shop.product.base_url}/demo/")
    page.get_by_role("button", name="Manage billing").click()
    page.wait_for_url("**/p/session/**")
    look.at("portal")
    page.get_by_role("link", name="Invoice ").click()
    expect(page.get_by_text("paid", exact=True)).to_be_visible()
    look.at("invoice")
    shop.visit("/")
    look.at("dashboard")
    page.get_by_role("link", name="charge.succeeded").first.click()
    payload = page.get_by_role("group", name="Payload").inner_text()
    look.at("event")
    receipt = re.search('"receipt_url": "([^"]+)"', payload)
    assert receipt
    page.goto(receipt[1])
    look.at("receipt")


def test_the_page_that_keeps_a_card(look: Look) -> None:
    """A session that sells nothing: as it opens, with a card that is declined, and when it is over.

    A client of the offline Stripe makes it, because the product sells.
    """
    page = look.shop.page
    answer = httpx.post(
        f"{look.shop.product.stripe_url}/v1/checkout/sessions",
        auth=(KEY, ""),
        data={"mode": "setup", "currency": "usd", "success_url": look.shop.product.base_url},
    )
    session = answer.raise_for_status().json()
    page.goto(session["url"])
    look.at("keep")
    look.shop.pay(DECLINED, "Save")
    expect(page.get_by_role("alert")).to_be_visible()
    look.at("keep-declined")
    look.shop.pay(GOOD, "Save")
    page.wait_for_url(f"{look.shop.product.base_url}/**")
    page.goto(session["url"])
    expect(page.get_by_role("heading", name="This is done")).to_be_visible()
    look.at("keep-over")


def test_the_react_example(look: Look, example: Build) -> None:
    """The shop of the example and the page one comes back to."""
    page = look.shop.page
    page.goto(example(f"axe react {look.name}"))
    expect(page.get_by_text("0 tokens", exact=True)).to_be_visible()
    look.at("react-shop")
    page.get_by_role("listitem").filter(has_text="Small package").get_by_role("button").click()
    page.wait_for_url("**/c/pay/**")
    look.shop.pay(GOOD, "Pay $5.00")
    expect(page.get_by_text("1,000 tokens were added to your balance")).to_be_visible()
    look.at("react-success")


def test_the_page_of_the_api(product: Product, page: Page) -> None:
    """Redoc is not of our making, but its colours and headings are mended; answers are open."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{product.base_url}/docs/")
    page.wait_for_selector("[data-state=shown]")
    expect(page.locator("#reader h2", has_text="Begin a purchase").first).to_be_visible()
    page.evaluate(_OPEN_ALL_ANSWERS)
    expect(page.locator("#reader h5", has_text="Response Schema").first).to_be_visible()
    page.evaluate(_OPEN_THEIR_MEMBERS)
    page.locator("[aria-label='More on authorization']").first.press("Enter")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    own = (product.base_url, "data:", "blob:")
    assert [url for url in asked if not url.startswith(own)] == []


def test_the_page_of_the_api_needs_no_mouse(product: Product, context: BrowserContext) -> None:
    """On a phone its contents, and how one authorizes, open by the keyboard too."""
    page = context.new_page()
    page.set_viewport_size({"width": 390, "height": 900})
    page.goto(f"{product.base_url}/docs/")
    contents = page.locator("#reader .menu-content")
    page.locator("[aria-label=Contents]").press("Enter")
    expect(contents).to_be_in_viewport()
    page.locator("[aria-label=Contents]").press("Enter")
    expect(contents).not_to_be_in_viewport()
    told = page.locator("#reader", has_text="A token whose sub is the user")
    expect(told).to_have_count(0)
    page.locator("[aria-label='More on authorization']").first.press(" ")
    expect(told).to_have_count(1)


def test_the_page_of_the_api_follows_the_evening(product: Product, context: BrowserContext) -> None:
    """When the machine changes to the other scheme, text and ground change together."""
    page = context.new_page()
    page.emulate_media(color_scheme="light")
    page.goto(f"{product.base_url}/docs/")
    title = page.locator("#reader h1").first
    expect(title).to_have_css("color", "rgb(24, 36, 32)")
    page.emulate_media(color_scheme="dark")
    expect(title).to_have_css("color", "rgb(232, 236, 233)")
    expect(page.locator("html")).to_have_css("background-color", "rgb(20, 25, 23)")
