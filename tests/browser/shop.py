"""The running product as a buyer's browser meets it, and the steps that tests have in common."""

import re
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator, Page, Response, expect

GOOD = "4242 4242 4242 4242"
ASKS = "4000 0025 0000 3155"
BROKE = "4000 0000 0000 9995"
DECLINED = "4000 0000 0000 0002"

SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
# A shop on a machine that is busy with other tests; nothing here takes a second by itself.
PATIENCE_MS = 15_000


@dataclass(frozen=True, slots=True)
class Product:
    """Where the parts of a running product answer."""

    base_url: str
    stripe_url: str
    # On `localhost`, where a frontend of a test is let in from; nothing listens there by itself.
    frontend_port: int


@dataclass(frozen=True, slots=True)
class Shop:
    """One buyer's page of the running product."""

    product: Product
    page: Page

    def enter(self, user: str) -> None:
        """Open the shop as this user, and wait until it shows what they have."""
        self.page.goto(f"{self.product.base_url}/demo/")
        self.page.get_by_label("Signed in as").fill(user)
        self.page.get_by_role("button", name="Switch").click()
        expect(self.balance).not_to_have_text("–")  # noqa: RUF001 - the page shows a dash until it knows.

    def choose(self, button: str) -> None:
        """Press a plan's button and wait for the checkout page."""
        self.page.get_by_role("button", name=button, exact=True).click()
        self.page.wait_for_url("**/c/pay/**")

    def pay(self, card: str, button: str) -> None:
        """Fill in a card on the page at hand and press its button."""
        self.page.get_by_label("Card number").fill(card)
        self.page.get_by_label("Expires").fill("12 / 40")
        self.page.get_by_label("Security code").fill("123")
        self.page.get_by_label("Name on card").fill("Ada Lovelace")
        self.page.get_by_role("button", name=button).click()

    def expect_complete(self, text: str) -> None:
        """Wait until the shop says that the purchase has taken effect, in these words."""
        self.page.wait_for_url("**/demo/**")
        expect(self.purchase).to_have_attribute("data-state", "complete")
        expect(self.purchase).to_contain_text(text)

    def visit(self, path: str) -> Response | None:
        """Open a page of the offline Stripe."""
        return self.page.goto(f"{self.product.stripe_url}{path}")

    def set_delay(self, seconds: str) -> None:
        """Set, on the dashboard, how late webhooks are."""
        self.visit("/")
        delivery = self.page.get_by_role("region", name="Delivery of webhooks")
        delivery.get_by_label("Delay, seconds").fill(seconds)
        delivery.get_by_role("button", name="Apply").click()
        expect(self.page.get_by_role("status")).to_contain_text("new switches")

    def picture(self, name: str) -> None:
        """Keep a picture of the whole page, which must not be wider than its window."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
        excess = "document.documentElement.scrollWidth - window.innerWidth"
        assert self.page.evaluate(excess) <= 0, f"{name} is wider than its window"

    def asked(self, path: str) -> list[str]:
        """The addresses below this path that the page asks for from now on; the list grows."""
        addresses: list[str] = []
        base = f"{self.product.base_url}{path}"
        self.page.on(
            "request",
            lambda asked: addresses.append(asked.url) if asked.url.startswith(base) else None,
        )
        return addresses

    @property
    def stream(self) -> Locator:
        """Where the shop says whether it hears of changes."""
        return self.page.locator("#stream")

    @property
    def balance(self) -> Locator:
        """The number of tokens that the shop shows."""
        return self.page.locator("#balance")

    @property
    def purchase(self) -> Locator:
        """What the shop says of the purchase that the buyer came back from."""
        return self.page.locator("#purchase")


def session_of(url: str) -> str:
    """The id of the checkout session behind a page's address."""
    found = re.search(r"cs_\w+", url)
    assert found, url
    return found[0]
