"""Checkout sessions of the offline Stripe whose page stands inside the shop's own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from sandbox.stripe.server import make_app
from sandbox.stripe.views import Paid
from tests.offline_stripe import GOOD, SUCCESS, Offline, offline_stripe
from tests.stripe_types import problems_of

LOCAL = "http://127.0.0.1:9000"
BACK = "http://shop.test/return?session={CHECKOUT_SESSION_ID}"
CARD = {"card_number": GOOD, "card_expiry": "12 / 40", "card_cvc": "123", "card_name": "Ada"}


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account of its own."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


def selling(offline: Offline) -> dict[str, Any]:
    """The parameters of a session that sells."""
    return {"mode": "payment", "line_items": [{"price": offline.price(500, None), "quantity": 1}]}


def keeping(_offline: Offline) -> dict[str, Any]:
    """The parameters of a session that keeps a card."""
    return {"mode": "setup", "currency": "usd"}


@pytest.mark.parametrize("kind", [selling, keeping])
def test_an_embedded_page_leads_back(offline: Offline, kind: Any) -> None:
    """It has a secret and no address; tests find it where hosted pages are."""
    params: Any = {**kind(offline), "ui_mode": "embedded_page", "return_url": BACK}
    session = offline.client.v1.checkout.sessions.create(params)
    assert not problems_of(session.to_dict(for_json=True))
    assert (session.url, session.success_url, session.return_url) == (None, None, BACK)
    assert (session.ui_mode, session.redirect_on_completion) == ("embedded_page", "always")
    assert str(session.client_secret).startswith(f"{session.id}_secret_")
    browser, page = make_app(offline.world).test_client(), f"/c/pay/{session.id}"
    assert browser.get(page, base_url=LOCAL).status_code == 200
    paid = browser.post(page, data=CARD, base_url=LOCAL, headers={"Origin": LOCAL})
    assert paid.headers["Location"] == BACK.replace("{CHECKOUT_SESSION_ID}", session.id)
    (done,) = offline.objects("checkout.session.completed")
    assert (done["ui_mode"], done["client_secret"], done["url"]) == ("embedded_page", None, None)
    assert not problems_of(done)


@pytest.mark.parametrize("redirects", ["never", "if_required"])
def test_a_page_that_leads_nowhere_says_that_it_is_done(offline: Offline, redirects: str) -> None:
    """A card leaves no page, so `if_required` stays as well."""
    more = {"return_url": BACK} if redirects == "if_required" else {}
    params: Any = {**selling(offline), "ui_mode": "embedded_page", **more}
    params["redirect_on_completion"] = redirects
    session = offline.client.v1.checkout.sessions.create(params).id
    browser, page = make_app(offline.world).test_client(), f"/c/pay/{session}"
    own: Any = {"base_url": LOCAL, "headers": {"Origin": LOCAL}}
    paid = browser.post(page, data=CARD, **own)
    assert paid.headers["Location"].endswith(page)
    assert "This order is complete" in browser.get(page, base_url=LOCAL).text
    assert offline.world.pay(session, GOOD) == Paid("")


def test_an_embedded_page_is_there_again_after_a_restart(tmp_path: Path) -> None:
    """It still leads where it did."""
    path = tmp_path / "again.sqlite"
    with offline_stripe(path) as offline:
        params: Any = {**selling(offline), "ui_mode": "embedded_page", "return_url": BACK}
        session = offline.client.v1.checkout.sessions.create(params)
    with offline_stripe(path) as offline:
        again = offline.client.v1.checkout.sessions.retrieve(session.id)
        assert again.client_secret == session.client_secret
        said = offline.world.pay(session.id, GOOD)
        assert said == Paid(BACK.replace("{CHECKOUT_SESSION_ID}", session.id))


def test_a_version_has_its_own_words(offline: Offline) -> None:
    """`embedded` until 2026-03-25, `embedded_page` since; neither version takes the other's."""
    client, params = offline.client.v1.checkout.sessions, {**selling(offline), "return_url": BACK}
    older: Any = {"stripe_version": "2025-09-30.clover"}
    embedded: Any = {**params, "ui_mode": "embedded"}
    made = client.create(embedded, older)
    assert made.ui_mode == "embedded"
    assert client.retrieve(made.id).ui_mode == "embedded_page"
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.create(embedded)
    assert error.value.param == "ui_mode"
    with pytest.raises(stripe.InvalidRequestError):
        client.create(embedded | {"ui_mode": "embedded_page"}, older)
    hosted: Any = {**selling(offline), "ui_mode": "hosted", "success_url": SUCCESS}
    assert client.create(hosted, older).url


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"ui_mode": "embedded_page"}, "return_url"),
        ({"ui_mode": "embedded_page", "return_url": BACK, "success_url": SUCCESS}, "success_url"),
        ({"ui_mode": "embedded_page", "return_url": BACK, "cancel_url": BACK}, "cancel_url"),
        (
            {"ui_mode": "embedded_page", "return_url": BACK, "redirect_on_completion": "never"},
            "return_url",
        ),
        ({"ui_mode": "elements", "return_url": BACK}, "ui_mode"),
        ({}, "success_url"),
        ({"success_url": SUCCESS, "return_url": BACK}, "return_url"),
        ({"success_url": SUCCESS, "redirect_on_completion": "never"}, "redirect_on_completion"),
    ],
)
def test_where_a_page_leads_must_fit_where_it_is(
    offline: Offline, given: dict[str, Any], param: str
) -> None:
    """Each kind of page has addresses of its own."""
    params: Any = {**selling(offline), **given}
    with pytest.raises(stripe.InvalidRequestError) as error:
        offline.client.v1.checkout.sessions.create(params)
    assert error.value.param == param
