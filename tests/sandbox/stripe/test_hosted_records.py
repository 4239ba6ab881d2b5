"""Pages of single things: events with their deliveries, invoices, receipts, a bank's question."""

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from flask.testing import FlaskClient

from dev.faults.local_server import serving
from sandbox.stripe.server import make_app
from sandbox.stripe.views import Declined, Paid
from tests.offline_stripe import DAY, GOOD, Offline, offline_stripe


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account of its own."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


@pytest.fixture
def browser(offline: Offline) -> FlaskClient:
    """Somebody who looks at its pages."""
    return make_app(offline.world).test_client()


def page(url: str) -> str:
    """What a page says."""
    assert url.startswith("http://127.0.0.1:")
    with urlopen(url) as answer:  # noqa: S310 - of this machine.
        assert answer.status == 200
        said: str = answer.read().decode()
        return said


def test_an_invoice_and_its_receipt_are_pages_of_ours(offline: Offline) -> None:
    """The addresses in answers lead to this machine, and show what was paid."""
    offline.subscription(offline.price(), offline.customer())
    (invoice,) = offline.client.v1.invoices.list().data
    assert invoice.hosted_invoice_url is not None
    assert invoice.hosted_invoice_url.startswith(offline.url)
    shown = page(invoice.hosted_invoice_url)
    assert "$29.00" in shown
    assert str(invoice.number) in shown
    (charge,) = offline.client.v1.charges.list().data
    assert charge.receipt_url is not None
    assert charge.receipt_url.startswith(offline.url)
    assert "card ending in 4242" in page(charge.receipt_url)


def test_what_is_not_there_is_a_404(browser: FlaskClient) -> None:
    """Of every kind of page."""
    for path in ("/events/evt_1", "/i/acct_1/in_1", "/receipts/payment/ch_1", "/authenticate/pi_1"):
        assert browser.get(path).status_code == 404


def test_an_event_is_opened_and_sent_again(tmp_path: Path) -> None:
    """Its page has the payload and what the receiver answered; a click posts it once more."""
    taken: list[bytes] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name.
            """Say nothing."""

    with serving(Receiver) as hook, offline_stripe(tmp_path / "x", webhook_url=hook) as offline:
        offline.client.v1.products.create({"name": "A lamp"})
        wait_for(lambda: len(taken) == 1)
        browser = make_app(offline.world).test_client()
        (posted,) = offline.world.log.posted
        wait_for(lambda: posted.delivery == "delivered")
        assert posted.event.type in browser.get("/").text
        shown = browser.get(f"/events/{posted.event.id}").text
        assert "A lamp" in shown
        assert "the receiver last answered" in shown
        assert "204" in shown
        assert browser.post(f"/events/{posted.event.id}").status_code == 303
        wait_for(lambda: len(taken) == 2)
        assert taken[0] == taken[1]
        wait_for(lambda: posted.attempts == 2)


def wait_for(what: Any) -> None:
    """Wait until something is so, for some seconds."""
    deadline = time.monotonic() + 10
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_bank_refuses_the_next_payment_once(offline: Offline, browser: FlaskClient) -> None:
    """At checkout, and at a renewal; the one after that is paid."""
    session = offline.session(offline.price(), offline.customer())
    assert browser.post("/fail_next").status_code == 303
    assert "It refuses whatever" in browser.get("/").text
    assert isinstance(offline.world.pay(session, GOOD), Declined)
    assert isinstance(offline.world.pay(session, GOOD), Paid)
    browser.post("/fail_next")
    (contract,) = offline.client.v1.subscriptions.list().data
    offline.renew(contract.id, seconds_later=7_200)
    (contract,) = offline.client.v1.subscriptions.list().data
    assert contract.status == "past_due"
    offline.world.advance(2 * DAY)
    (contract,) = offline.client.v1.subscriptions.list().data
    assert contract.status == "active"


def test_the_dashboard_shows_subscriptions_and_whose_they_are(
    offline: Offline, browser: FlaskClient
) -> None:
    """The plan, how it stands, and the user where a customer has no name."""
    customer = offline.client.v1.customers.create({"metadata": {"user_id": "grace"}}).id
    offline.subscription(offline.price(), customer)
    shown = browser.get("/").text
    assert "Plan at 2900" in shown
    assert shown.count("grace") == 2


@pytest.mark.parametrize(("outcome", "status"), [("complete", "succeeded"), ("fail", "open")])
def test_a_bank_asks_whoever_pays_by_a_request(
    offline: Offline, browser: FlaskClient, outcome: str, status: str
) -> None:
    """The page of `next_action` leads back to the shop with the intent paid, or not."""
    params: Any = {
        "amount": 2000,
        "currency": "usd",
        "payment_method": "pm_card_authenticationRequired",
        "confirm": True,
        "return_url": "http://shop.test/back",
    }
    intent = offline.client.v1.payment_intents.create(params)
    path = f"/authenticate/{intent.id}"
    assert "3184" in browser.get(path).text
    answer = browser.post(path, data={"outcome": outcome})
    assert (answer.status_code, answer.location) == (303, "http://shop.test/back")
    told = offline.client.v1.payment_intents.retrieve(intent.id)
    assert told.status == {"open": "requires_payment_method"}.get(status, status)
    assert told.next_action is None


def test_the_account_begins_anew_when_it_is_meant(offline: Offline, browser: FlaskClient) -> None:
    """Records, events, answers and the clock are gone; endpoints stay, also after a restart."""
    endpoint: Any = {"url": "http://127.0.0.1:9/hook", "enabled_events": ["*"]}
    made = offline.client.v1.webhook_endpoints.create(endpoint)
    email: Any = {"email": "ada@example.com"}
    once: Any = {"idempotency_key": "once"}
    before = offline.client.v1.customers.create(email, once)
    account = offline.client.v1.accounts.retrieve_current().id
    offline.world.advance(40 * DAY)
    assert browser.post("/begin_anew").status_code == 400
    assert offline.client.v1.customers.retrieve(before.id).id == before.id
    answer = browser.post("/begin_anew", data={"meant": "on"})
    assert "done=begin_anew" in answer.location
    assert offline.client.v1.customers.list().data == []
    assert offline.types() == []
    assert offline.world.ahead_seconds == 0
    assert offline.client.v1.accounts.retrieve_current().id != account
    assert [one.id for one in offline.client.v1.webhook_endpoints.list().data] == [made.id]
    assert offline.client.v1.customers.create(email, once).id != before.id
    assert offline.types() == ["customer.created"]


def test_a_delivery_of_the_account_before_is_not_noted(offline: Offline) -> None:
    """What was on its way when the account began anew leaves no trace in the new one."""
    offline.world.serve_to("http://127.0.0.1:9/hook", "whsec_1")
    offline.customer()
    (one,) = offline.world.log.posted
    (name,) = one.postings
    offline.world.begin_anew()
    offline.customer("other")
    offline.world.note_delivery(one, name, "200", accepted=True)
    (now,) = offline.world.log.posted
    assert now.event.id != one.event.id
    assert now.delivery != "delivered"
