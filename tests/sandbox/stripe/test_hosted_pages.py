"""The pages of the offline Stripe, asked without a browser: what they show, take and refuse."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import stripe
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from sandbox.simulate.payments import DRAFT_SECONDS
from sandbox.stripe.hosted.cards import what_is_wrong
from sandbox.stripe.hosted.dashboard import later
from sandbox.stripe.hosted.wording import money, span, web_url
from sandbox.stripe.server import make_app
from tests.offline_stripe import ASKS, BROKE, DAY, GOOD, LATER, Offline, offline_stripe

LOCAL = "http://127.0.0.1:9000"
# 23 November 2026.
NOW = 1_795_430_000


@dataclass(frozen=True, slots=True)
class Visitor:
    """A browser's requests to the pages, without a browser."""

    client: FlaskClient

    def get(self, path: str) -> TestResponse:
        """Open a page."""
        return self.client.get(path, base_url=LOCAL)

    def post(self, path: str, **form: Any) -> TestResponse:
        """Send a form of a page of this address."""
        return self.client.post(path, data=form, base_url=LOCAL, headers={"Origin": LOCAL})

    def pay(self, path: str, card: str, **more: str) -> TestResponse:
        """Send a card form that is filled in rightly."""
        form = {"card_expiry": "12 / 40", "card_cvc": "123", "card_name": "Ada", **more}
        return self.post(path, card_number=card, **form)


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account of its own."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


@pytest.fixture
def visitor(offline: Offline) -> Visitor:
    """Someone who looks at the pages of the account."""
    return Visitor(make_app(offline.world).test_client())


def subscribed(offline: Offline, **more: Any) -> tuple[str, str, str]:
    """A customer with a monthly subscription, in the portal: customer, subscription, visit."""
    customer = offline.customer()
    subscription = offline.subscription(offline.price(2900), customer, **more)
    return customer, subscription, offline.portal(customer)


def place(answer: TestResponse) -> str:
    """Where an answer sends the visitor, as a path."""
    assert answer.status_code == 303, answer.text
    return urlsplit(answer.headers["Location"]).path


def test_a_checkout_page_tells_price_and_terms(offline: Offline, visitor: Visitor) -> None:
    """Product, price, how often, and where one gets out without paying."""
    price = offline.price(2900)
    session = offline.session(price, offline.customer(), cancel_url="http://shop.test/plans")
    page = visitor.get(f"/c/pay/{session}")
    assert page.status_code == 200
    assert "$29.00 per month until you cancel" in page.text
    assert 'href="http://shop.test/plans"' in page.text
    assert "Test mode" in page.text


def test_a_trial_is_free_today(offline: Offline, visitor: Visitor) -> None:
    """With a trial nothing is due, and the page says from when something is."""
    session = offline.session(
        offline.price(900), offline.customer(), subscription_data={"trial_period_days": 14}
    )
    page = visitor.get(f"/c/pay/{session}").text
    assert "14 days free" in page
    assert "$0.00" in page


def test_a_card_that_pays_leads_back_to_the_shop(offline: Offline, visitor: Visitor) -> None:
    """The success address has the session's id; the page then says that it is done."""
    session = offline.session(offline.price(500, None), offline.customer())
    paid = visitor.pay(f"/c/pay/{session}", GOOD)
    assert paid.headers["Location"] == f"http://shop.test/thanks?session={session}"
    again = visitor.get(f"/c/pay/{session}")
    assert "This order is complete" in again.text
    assert visitor.pay(f"/c/pay/{session}", GOOD).status_code == 200
    assert offline.types().count("checkout.session.completed") == 1


def test_a_declined_card_is_said_and_what_was_typed_stays(
    offline: Offline, visitor: Visitor
) -> None:
    """The page comes again with the bank's words; the session stays open."""
    session = offline.session(offline.price(500, None), offline.customer())
    page = visitor.pay(f"/c/pay/{session}", BROKE)
    assert page.status_code == 402
    assert "Your card has insufficient funds." in page.text
    assert 'value="Ada"' in page.text
    assert visitor.pay(f"/c/pay/{session}", GOOD).status_code == 303


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("number", ""),
        ("number", "4242"),
        ("expiry", "13 / 40"),
        ("expiry", "10 / 26"),
        ("expiry", "soon"),
        ("cvc", "12"),
        ("name", "  "),
    ],
)
def test_a_form_that_is_filled_in_wrongly_is_told_where(field: str, value: str) -> None:
    """Each mistake is told at its own field, and only there."""
    right = {
        "card_number": GOOD,
        "card_expiry": "11 / 26",
        "card_cvc": "123",
        "card_name": "Ada",
    }
    assert what_is_wrong(right, NOW) == {}
    assert list(what_is_wrong({**right, f"card_{field}": value}, NOW)) == [field]


def test_mistakes_are_marked_for_everyone(offline: Offline, visitor: Visitor) -> None:
    """A field with a mistake is marked invalid, and points to the words that say why."""
    session = offline.session(offline.price(500, None), offline.customer())
    page = visitor.pay(f"/c/pay/{session}", GOOD, card_cvc="1")
    assert page.status_code == 422
    assert 'aria-invalid="true" aria-describedby="wrong_cvc"' in page.text
    assert 'id="wrong_cvc"' in page.text


def test_what_was_typed_is_never_markup(offline: Offline, visitor: Visitor) -> None:
    """A name with tags in it comes back as text."""
    session = offline.session(offline.price(500, None), offline.customer())
    page = visitor.pay(f"/c/pay/{session}", BROKE, card_name="<script>alert(1)</script>")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text


def test_a_card_that_asks_is_paid_on_the_banks_page(offline: Offline, visitor: Visitor) -> None:
    """Failing there is told on the checkout page; completing there pays."""
    session = offline.session(offline.price(500, None), offline.customer())
    bank = f"/c/authenticate/{session}"
    assert place(visitor.get(bank)) == f"/c/pay/{session}"
    assert place(visitor.pay(f"/c/pay/{session}", ASKS)) == bank
    assert "Card ending in" in visitor.get(bank).text
    assert visitor.post(bank, outcome="fail").status_code == 402
    assert place(visitor.post(bank, outcome="complete")) == f"/c/pay/{session}"
    assert place(visitor.pay(f"/c/pay/{session}", ASKS)) == bank
    assert place(visitor.post(bank, outcome="complete")) == "/thanks"


def test_a_bank_debit_waits_on_the_dashboard(offline: Offline, visitor: Visitor) -> None:
    """The order is placed at once; the dashboard lets the money arrive."""
    session = offline.session(offline.price(500, None), offline.customer())
    assert place(visitor.post(f"/c/pay/{session}", method="bank")) == "/thanks"
    assert session in visitor.get("/").text
    assert place(visitor.post("/finish_delayed", session_id=session, outcome="succeed")) == "/"
    assert "checkout.session.async_payment_succeeded" in offline.types()
    assert visitor.post("/finish_delayed", session_id=session, outcome="succeed").status_code == 404


def test_an_expired_session_takes_no_card(offline: Offline, visitor: Visitor) -> None:
    """The page says so, and that nothing was charged."""
    session = offline.session(offline.price(500, None), offline.customer())
    offline.world.advance(2 * DAY)
    page = visitor.get(f"/c/pay/{session}")
    assert page.status_code == 410
    assert "This page has expired" in page.text
    assert visitor.pay(f"/c/pay/{session}", GOOD).status_code == 410


@pytest.mark.parametrize("path", ["/c/pay/cs_none", "/c/authenticate/cs_none", "/p/session/none"])
def test_an_address_that_opens_nothing_is_not_found(visitor: Visitor, path: str) -> None:
    """It is answered with a page, not with a trace."""
    page = visitor.get(path)
    assert page.status_code == 404
    assert "<h1>Not Found</h1>" in page.text


def test_the_portal_cancels_and_takes_it_back(offline: Offline, visitor: Visitor) -> None:
    """At the end of the period, undone, and then at once."""
    _, subscription, portal = subscribed(offline)
    root = f"/p/session/{portal}"
    here = f"{root}/subscriptions/{subscription}"
    assert "Renews on" in visitor.get(root).text
    assert "Cancel Plan at 2900?" in visitor.get(f"{here}/cancel").text
    assert place(visitor.post(f"{here}/cancel", when="period_end")) == root
    assert "Ends on" in visitor.get(root).text
    assert place(visitor.post(f"{here}/undo")) == root
    assert "Renews on" in visitor.get(root).text
    visitor.post(f"{here}/cancel", when="now")
    assert "This subscription is over." in visitor.get(root).text
    assert visitor.get(f"{here}/cancel").status_code == 404


def test_the_portal_switches_plans(offline: Offline, visitor: Visitor) -> None:
    """What is chosen is switched to; without a choice the page asks for one."""
    _, subscription, portal = subscribed(offline)
    other = offline.price(9900, "year")
    here = f"/p/session/{portal}/subscriptions/{subscription}/plan"
    assert "$99.00 per year" in visitor.get(here).text
    assert visitor.post(here).status_code == 422
    assert place(visitor.post(here, price_id=other)) == f"/p/session/{portal}"
    assert "$99.00 per year" in visitor.get(f"/p/session/{portal}").text


def test_a_failed_renewal_is_paid_in_the_portal(offline: Offline, visitor: Visitor) -> None:
    """A card that failed leaves an open invoice; another card pays it, after authentication."""
    _, subscription, portal = subscribed(offline, card=LATER)
    offline.world.advance(32 * DAY)
    found = re.search(r"/invoices/(in_\w+)/pay", visitor.get(f"/p/session/{portal}").text)
    assert found
    here = f"/p/session/{portal}/invoices/{found[1]}"
    assert "Pay $29.00" in visitor.get(f"{here}/pay").text
    assert visitor.pay(f"{here}/pay", BROKE).status_code == 402
    assert place(visitor.pay(f"{here}/pay", ASKS)) == f"{here}/authenticate"
    assert visitor.post(f"{here}/authenticate", outcome="fail").status_code == 402
    visitor.pay(f"{here}/pay", ASKS)
    assert place(visitor.post(f"{here}/authenticate", outcome="complete")) == (
        f"/p/session/{portal}"
    )
    assert offline.client.v1.subscriptions.retrieve(subscription).status == "active"
    assert place(visitor.get(f"{here}/pay")) == f"/p/session/{portal}"


def test_the_portal_leads_to_each_invoice(offline: Offline, visitor: Visitor) -> None:
    """As its customer sees it."""
    _, _, portal = subscribed(offline)
    found = re.search(r'href="(/i/\w+/in_\w+)"', visitor.get(f"/p/session/{portal}").text)
    assert found
    assert "$29.00" in visitor.get(found[1]).text


def test_the_portal_saves_another_card(offline: Offline, visitor: Visitor) -> None:
    """A card that pays is saved; a declined one is not."""
    _, _, portal = subscribed(offline)
    here = f"/p/session/{portal}/card"
    assert visitor.pay(here, BROKE).status_code == 402
    assert place(visitor.pay(here, "5555555555554444")) == f"/p/session/{portal}"
    assert "4444" in visitor.get(f"/p/session/{portal}").text


@pytest.mark.parametrize(
    ("flow", "page"),
    [
        ("subscription_cancel", "/subscriptions/{}/cancel"),
        ("subscription_update", "/subscriptions/{}/plan"),
        ("payment_method_update", "/card"),
    ],
)
def test_a_deep_link_opens_its_page_once(
    offline: Offline, visitor: Visitor, flow: str, page: str
) -> None:
    """The first look leads there; after something was done the portal's first page is shown."""
    customer, subscription, _ = subscribed(offline)
    more = {} if flow == "payment_method_update" else {flow: {"subscription": subscription}}
    portal = offline.portal(customer, flow_data={"type": flow, **more})
    root = f"/p/session/{portal}"
    assert place(visitor.get(root)) == root + page.format(subscription)
    assert visitor.get(f"{root}?done=kept").status_code == 200


def test_a_deep_link_leads_back_to_the_shop_once_its_task_is_done(
    offline: Offline, visitor: Visitor
) -> None:
    """Where the visit says so; without that the buyer stays in the portal."""
    customer, subscription, _ = subscribed(offline)
    back = {"type": "redirect", "redirect": {"return_url": "http://shop.test/kept"}}
    named = {"subscription_cancel": {"subscription": subscription}}
    flow = {"type": "subscription_cancel", "after_completion": back, **named}
    with pytest.raises(stripe.InvalidRequestError, match="redirect"):
        offline.portal(customer, flow_data={**flow, "after_completion": {"type": "redirect"}})
    portal = offline.portal(customer, flow_data=flow)
    done = visitor.post(f"/p/session/{portal}/subscriptions/{subscription}/cancel")
    assert (done.status_code, done.location) == (303, "http://shop.test/kept")


def test_nobody_sees_the_subscription_of_another_customer(
    offline: Offline, visitor: Visitor
) -> None:
    """A visit opens what is its customer's, and nothing else."""
    _, subscription, _ = subscribed(offline)
    strange = offline.portal(offline.customer("other"))
    here = f"/p/session/{strange}/subscriptions/{subscription}"
    assert visitor.get(f"{here}/cancel").status_code == 404
    assert visitor.post(f"{here}/cancel").status_code == 404
    assert offline.client.v1.subscriptions.retrieve(subscription).canceled_at is None


def test_the_dashboard_gives_money_back_and_lets_it_be_taken(
    offline: Offline, visitor: Visitor
) -> None:
    """Half of it, then the rest; and a dispute of another payment."""
    for _ in range(2):
        session = offline.session(offline.price(500, None), offline.customer())
        visitor.pay(f"/c/pay/{session}", GOOD)
    first, second = re.findall(r'value="(ch_\w+)"', visitor.get("/").text)
    visitor.post("/refund", charge_id=first, part="half")
    assert "$2.50 refunded" in visitor.get("/").text
    visitor.post("/refund", charge_id=first, part="all")
    assert visitor.post("/refund", charge_id=first, part="all").status_code == 409
    assert place(visitor.post("/dispute", charge_id=second)) == "/"
    assert "disputed" in visitor.get("/").text
    assert visitor.post("/refund", charge_id="ch_none").status_code == 404


def test_the_dashboard_sets_how_webhooks_are_delivered(offline: Offline, visitor: Visitor) -> None:
    """Percentages become probabilities; what is no number is refused, and nothing changes."""
    visitor.post("/switches", duplicates="20", loss="5", delay_seconds="2.5", shuffle="on")
    switches = offline.world.switches
    assert (switches.duplicates, switches.loss, switches.delay_seconds) == (0.2, 0.05, 2.5)
    assert (switches.shuffle, switches.same_second) == (True, False)
    assert visitor.post("/switches", duplicates="often").status_code == 400
    assert visitor.post("/switches", duplicates="nan").status_code == 400
    assert offline.world.switches == switches


def test_the_dashboard_advances_the_clock(offline: Offline, visitor: Visitor) -> None:
    """A month later a monthly subscription has been renewed."""
    subscribed(offline)
    before = offline.world.now
    assert place(visitor.post("/clock", unit="month", steps="1")) == "/"
    # It goes on to the end of the hour in which a renewal's invoice is a draft.
    month = later(before, "month", 1)
    assert month <= offline.world.now <= month + DRAFT_SECONDS + 60
    assert visitor.post("/clock", unit="century", steps="1").status_code == 400
    assert visitor.post("/clock", unit="day", steps="0").status_code == 400


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        (LOCAL, "https://evil.example"),
        (LOCAL, "http://127.0.0.1:8000"),
        (LOCAL, "null"),
        ("http://rebound.example:9000", "http://rebound.example:9000"),
    ],
)
def test_a_form_of_another_site_is_refused(
    offline: Offline, visitor: Visitor, host: str, origin: str
) -> None:
    """Neither another origin nor a foreign name for this machine moves the clock."""
    answer = visitor.client.post(
        "/clock",
        data={"unit": "year", "steps": "1"},
        base_url=host,
        headers={"Origin": origin},
    )
    assert answer.status_code == 403
    assert offline.world.dashboard().clock_ahead_seconds == 0


def test_pages_load_nothing_from_elsewhere(visitor: Visitor) -> None:
    """The policy allows this address only, no inline script; the files are served here."""
    page = visitor.get("/")
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    names = re.findall(r'(?:href|src)="(/assets/[^"]+)"', page.text)
    assert names
    for name in names:
        with visitor.get(name) as file:
            assert file.status_code == 200
    assert "style=" not in page.text


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (2900, "usd", "$29.00"),
        (-305, "eur", "−€3.05"),  # noqa: RUF001 - as people see it.
        (4400, "jpy", "¥4,400"),
        (1250, "chf", "CHF\N{NO-BREAK SPACE}12.50"),
        (1250, "kwd", "KWD\N{NO-BREAK SPACE}1.250"),
    ],
)
def test_amounts_are_written_as_people_read_them(amount: int, currency: str, text: str) -> None:
    """With the decimals that the currency has."""
    assert money(amount, currency) == text


def test_a_month_later_is_the_same_day_or_the_last() -> None:
    """31 January and a month is 28 February; units below a month are lengths of time."""
    end_of_january = 1_801_440_000
    assert later(end_of_january, "month", 1) == end_of_january + 28 * DAY
    assert later(end_of_january, "year", 1) == end_of_january + 365 * DAY
    assert later(end_of_january, "hour", 2) == end_of_january + 7200
    assert span(32 * DAY) == "32 days"


def test_a_link_leads_to_the_web_only() -> None:
    """An address of another kind leads to the front page instead."""
    assert web_url("https://shop.test/") == "https://shop.test/"
    assert web_url("javascript:alert(1)") == "/"
