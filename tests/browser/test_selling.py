"""A buyer with a browser, from the shop's page through the offline Stripe and back."""

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.shop import ASKS, BROKE, GOOD, PATIENCE_MS, Product, Shop, session_of

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

# Keeps every state that the shop tells of a purchase, however short.
REMEMBER_STATES = """
window.states = [];
new MutationObserver(() => {
  const state = document.querySelector("#purchase")?.dataset.state;
  if (state && state !== window.states.at(-1)) window.states.push(state);
}).observe(document, { subtree: true, childList: true, attributes: true });
"""

# Keeps every stream that the shop opens, so that a test can have one break off.
REMEMBER_SOURCES = """
window.sources = [];
window.EventSource = class extends EventSource {
  constructor(...words) {
    super(...words);
    window.sources.push(this);
  }
};
"""


def test_a_bought_package_changes_the_balance_on_the_page(shop: Shop) -> None:
    """4242 pays for a package; the buyer comes back, and balance, ledger and payments follow."""
    shop.enter("ada")
    expect(shop.balance).to_have_text("0")
    shop.picture("demo-new")
    shop.choose("Buy Large package")
    expect(shop.page.get_by_text("$49.00").first).to_be_visible()
    shop.picture("checkout-package")
    shop.pay(GOOD, "Pay $49.00")
    shop.expect_complete("12,000 tokens are yours")
    expect(shop.balance).to_have_text("12,000")
    expect(shop.page.locator("#ledger")).to_contain_text("+12,000")
    expect(shop.page.locator("#payments")).to_contain_text("$49.00")
    shop.page.get_by_role("button", name="Spend").click()
    expect(shop.balance).to_have_text("11,900")
    expect(shop.page.locator("#ledger")).to_contain_text("−100")  # noqa: RUF001 - as the page writes it.
    shop.picture("demo-bought")


def test_another_page_hears_of_a_purchase_without_asking(shop: Shop) -> None:
    """Balance, subscription and payments change on a page that is neither loaded anew nor polls."""
    shop.enter("mia")
    expect(shop.stream).to_have_attribute("data-status", "live")
    shop.page.evaluate("window.stays = true")
    asked = shop.asked("/billing/tokens/")
    buyer = Shop(shop.product, shop.page.context.new_page())
    buyer.enter("mia")
    buyer.choose("Choose Pro monthly")
    assert asked == [], "a page with a stream has no need to ask"
    buyer.pay(GOOD, "Subscribe")
    buyer.expect_complete("10,000 tokens are yours")
    expect(shop.balance).to_have_text("10,000")
    expect(shop.page.locator("#subscriptions")).to_contain_text("Renews on")
    expect(shop.page.locator("#payments")).to_contain_text("$29.00")
    buyer.page.get_by_role("button", name="Spend").click()
    expect(shop.balance).to_have_text("9,900")
    assert shop.page.evaluate("window.stays")


def test_a_stream_that_breaks_off_comes_back_where_it_was(shop: Shop) -> None:
    """With another ticket, and after the last message; meanwhile the page asks."""
    shop.page.add_init_script(REMEMBER_SOURCES)
    shop.enter("noa")
    shop.choose("Buy Small package")
    shop.pay(GOOD, "Pay $5.00")
    shop.expect_complete("1,000 tokens are yours")
    expect(shop.stream).to_have_attribute("data-status", "live")
    opened = shop.asked("/billing/stream/?")
    shop.page.route("**/billing/stream/?ticket=*", lambda route: route.abort())
    shop.page.evaluate("window.sources.at(-1).dispatchEvent(new Event('error'))")
    expect(shop.stream).to_have_attribute("data-status", "polling")
    spender = Shop(shop.product, shop.page.context.new_page())
    spender.enter("noa")
    spender.page.get_by_role("button", name="Spend").click()
    expect(shop.balance).to_have_text("900")
    shop.page.unroute("**/billing/stream/?ticket=*")
    expect(shop.stream).to_have_attribute("data-status", "live")
    assert len(set(opened)) == len(opened)
    assert "last_event_id=" in opened[-1]
    spender.page.get_by_role("button", name="Spend").click()
    expect(shop.balance).to_have_text("800")


def test_where_no_stream_gets_through_the_page_asks(shop: Shop) -> None:
    """It says so, and buying changes the balance all the same."""
    shop.page.route("**/billing/stream/?ticket=*", lambda route: route.abort())
    shop.enter("pia")
    expect(shop.stream).to_have_attribute("data-status", "polling")
    shop.picture("demo-polling")
    shop.choose("Buy Small package")
    shop.pay(GOOD, "Pay $5.00")
    shop.expect_complete("1,000 tokens are yours")
    expect(shop.balance).to_have_text("1,000")


def test_who_spends_more_than_there_is_reads_why_not(shop: Shop) -> None:
    """The API's problem is shown in its own words."""
    shop.enter("poor")
    shop.page.get_by_role("button", name="Spend").click()
    expect(shop.page.get_by_role("alert")).to_contain_text("tokens")
    shop.picture("demo-refused")


def test_a_subscription_is_canceled_in_the_portal_and_kept_again(shop: Shop) -> None:
    """Subscribe, cancel in the portal, see the end on the page; take it back, see that."""
    shop.enter("bob")
    shop.choose("Choose Pro monthly")
    shop.picture("checkout-subscription")
    shop.pay(GOOD, "Subscribe")
    shop.expect_complete("10,000 tokens are yours")
    subscriptions = shop.page.locator("#subscriptions")
    expect(subscriptions).to_contain_text("Renews on")
    shop.page.get_by_role("button", name="Manage billing").click()
    shop.page.wait_for_url("**/p/session/**")
    shop.picture("portal")
    shop.page.get_by_role("link", name="Cancel subscription").click()
    shop.picture("portal-cancel")
    shop.page.get_by_role("button", name="Cancel subscription").click()
    expect(shop.page.get_by_role("status")).to_contain_text("ends as you chose")
    shop.picture("portal-canceled")
    shop.page.get_by_role("link", name="Back to the shop").click()
    expect(subscriptions).to_contain_text("ends soon")
    shop.picture("demo-canceled")
    shop.page.get_by_role("button", name="Manage billing").click()
    shop.page.get_by_role("button", name="Keep the subscription").click()
    shop.page.get_by_role("link", name="Back to the shop").click()
    expect(subscriptions).to_contain_text("Renews on")


def test_a_declined_card_says_why_and_another_one_pays(shop: Shop) -> None:
    """…9995 is declined on the page, which keeps what was typed; 4242 then pays there."""
    shop.enter("eve")
    shop.choose("Buy Small package")
    shop.pay(BROKE, "Pay $5.00")
    expect(shop.page.get_by_role("alert")).to_have_text("Your card has insufficient funds.")
    expect(shop.page.get_by_label("Name on card")).to_have_value("Ada Lovelace")
    shop.picture("checkout-declined")
    shop.pay(GOOD, "Pay $5.00")
    shop.expect_complete("1,000 tokens are yours")
    expect(shop.balance).to_have_text("1,000")


def test_a_card_that_asks_for_authentication_pays_once_it_is_given(shop: Shop) -> None:
    """…3155 leads to the bank's page; failing there pays nothing, completing does."""
    shop.enter("kay")
    shop.choose("Buy Small package")
    shop.pay(ASKS, "Pay $5.00")
    shop.page.wait_for_url("**/c/authenticate/**")
    shop.picture("checkout-authentication")
    shop.page.get_by_role("button", name="Fail").click()
    expect(shop.page.get_by_role("alert")).to_be_visible()
    shop.pay(ASKS, "Pay $5.00")
    shop.page.get_by_role("button", name="Complete").click()
    shop.expect_complete("1,000 tokens are yours")


def test_a_late_webhook_keeps_the_buyer_waiting_and_counts_once(shop: Shop) -> None:
    """The page waits, then tells; the events that come after it change nothing more."""
    shop.set_delay("4")
    try:
        shop.page.add_init_script(REMEMBER_STATES)
        shop.enter("lea")
        shop.choose("Buy Small package")
        shop.pay(GOOD, "Pay $5.00")
        shop.expect_complete("1,000 tokens are yours")
        states = shop.page.evaluate("window.states")
        assert states[0] == "waiting"
        assert states[-1] == "complete"
    finally:
        shop.visit("/")
        late = shop.page.locator("#events").get_by_text("waiting")
        expect(late).to_have_count(0)
        shop.set_delay("0")
    shop.enter("lea")
    expect(shop.balance).to_have_text("1,000")


def test_a_bank_debit_is_processing_until_the_bank_answers(shop: Shop) -> None:
    """The page says so for as long as it takes, and tells by itself what came of it."""
    shop.enter("tom")
    shop.choose("Buy Small package")
    shop.page.get_by_label("Bank debit").check()
    expect(shop.page.get_by_label("Card number")).to_be_hidden()
    shop.picture("checkout-bank-debit")
    shop.page.get_by_role("button", name="Pay $5.00").click()
    shop.page.wait_for_url("**/demo/**")
    expect(shop.purchase).to_have_attribute("data-state", "processing")
    expect(shop.balance).to_have_text("0")
    shop.picture("demo-processing")
    dashboard = shop.page.context.new_page()
    dashboard.goto(f"{shop.product.stripe_url}/")
    dashboard.get_by_role("button", name="Succeed").click()
    shop.expect_complete("1,000 tokens are yours")
    expect(shop.balance).to_have_text("1,000")


def test_the_dashboard_advances_the_clock_and_gives_money_back(shop: Shop) -> None:
    """A refund on the dashboard takes the tokens back, seen on the page; a month passes."""
    shop.enter("ira")
    shop.choose("Buy Small package")
    shop.pay(GOOD, "Pay $5.00")
    shop.expect_complete("1,000 tokens are yours")
    shop.visit("/")
    shop.page.get_by_role("button", name="Refund", exact=True).first.click()
    expect(shop.page.locator("#payments")).to_contain_text("refunded")
    shop.page.get_by_role("button", name="+1 month").click()
    expect(shop.page.get_by_role("status")).to_contain_text("clock was advanced")
    expect(shop.page.locator("#clock-now")).to_contain_text("ahead of this machine")
    shop.picture("dashboard")
    shop.enter("ira")
    expect(shop.balance).to_have_text("0")
    expect(shop.page.locator("#ledger")).to_contain_text("Reversal")


def test_everything_fits_a_telephone(shop: Shop) -> None:
    """No page is wider than 390 pixels, and who turns back is told that nothing was charged."""
    shop.page.set_viewport_size({"width": 390, "height": 844})
    shop.enter("ada")
    shop.picture("narrow-demo")
    shop.choose("Choose Starter monthly")
    shop.picture("narrow-checkout")
    shop.page.get_by_role("link", name="Back to the shop").click()
    expect(shop.purchase).to_contain_text("without paying")
    shop.visit("/")
    shop.picture("narrow-dashboard")


def test_a_checkout_page_works_without_javascript(
    browser: Browser, product: Product, shop: Shop
) -> None:
    """Everything on the hosted pages is plain forms and links."""
    shop.enter("nan")
    shop.choose("Buy Small package")
    session_id = session_of(shop.page.url)
    plain = browser.new_context(java_script_enabled=False)
    try:
        plain.set_default_timeout(PATIENCE_MS)
        bare = Shop(product, plain.new_page())
        bare.visit(f"/c/pay/{session_id}")
        bare.pay(GOOD, "Pay $5.00")
        bare.page.wait_for_url(f"**/demo/?session_id={session_id}")
        bare.visit(f"/c/pay/{session_id}")
        expect(bare.page.get_by_role("heading", level=1)).to_have_text("This order is complete")
    finally:
        plain.close()
