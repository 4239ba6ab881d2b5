"""Checkout over real engines and a Stripe account: one customer, one session, the right terms."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from ingest.app import create_app
from tests.examples import examples
from tests.ingest.builders import as_user
from tests.ingest.shop import (
    CHECKOUT,
    PACKAGE,
    PRO,
    SHOP,
    TRIED,
    UNSYNCED,
    Shop,
    opened,
    problem,
    stock,
)
from tests.stripe_checkout import serve
from tests.stripe_objects import a_customer, a_subscription, an_event

CUSTOMER = "POST customers"
SESSION = "POST checkout/sessions"
FIELDS = ("plan_type", "plan_id", "currency", "success_url", "cancel_url", "odd")
PAID = {"status": "complete", "payment_status": "paid"}


@pytest.fixture(scope="module")
def mall(database_url: str, redis_url: str) -> Iterator[Shop]:
    """One shop for the module."""
    with pytest.MonkeyPatch.context() as patch, serve() as stripe:
        # One user tries more inputs a second than a person would.
        patch.setattr("ingest.http.rate_limit.REQUESTS_PER_SECOND", 10**6)
        with opened(database_url, redis_url, stripe) as found:
            stock(found)
            yield found


def test_a_package_is_sold_on_the_terms_of_the_catalogue(shop: Shop) -> None:
    """The answer has the contract's shape, and Stripe is asked for exactly this sale."""
    found = shop.bought(PACKAGE)
    assert found == {
        "session_id": found["session_id"],
        "url": f"https://checkout.stripe.example/{found['session_id']}",
        "message": "Checkout session created successfully",
    }
    [[purchase_id]] = shop.execute("SELECT id FROM purchases")
    metadata = {"user_id": "user_1", "plan_id": "4", "purchase_id": purchase_id}
    assert shop.stripe.only(SESSION).params == {
        "mode": "payment",
        "customer": "cus_made_1",
        "client_reference_id": "user_1",
        "line_items": {"0": {"price": "price_pack_usd", "quantity": "1"}},
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
        "success_url": f"{SHOP}/bought?session_id={{CHECKOUT_SESSION_ID}}",
        "cancel_url": f"{SHOP}/plans?from=stripe",
    }
    assert shop.stripe.only(CUSTOMER).params == {"metadata": {"user_id": "user_1"}}
    assert shop.stripe.only(SESSION).key == f"checkout:{purchase_id}"


def test_a_plan_is_sold_as_a_subscription_with_its_trial(shop: Shop) -> None:
    """The subscription carries the user and the plan itself, because Stripe copies nothing."""
    shop.bought(TRIED)
    params = shop.stripe.only(SESSION).params
    assert params["mode"] == "subscription"
    assert params["subscription_data"] == {
        "metadata": params["metadata"],
        "trial_period_days": "14",
    }
    assert "payment_intent_data" not in params


def test_nobody_gets_a_second_trial(shop: Shop) -> None:
    """Who had the plan before pays from the first day."""
    plan = {"user_id": "user_1", "plan_id": str(TRIED)}
    ended = a_subscription(metadata=plan, status="canceled")
    ended["items"]["data"][0]["price"]["id"] = "price_5"
    shop.work(an_event("customer.subscription.deleted", ended))
    shop.bought(TRIED)
    assert "trial_period_days" not in shop.stripe.asked[-1].params["subscription_data"]


def test_a_plan_without_a_synced_price_is_spelled_out(shop: Shop) -> None:
    """Amount and currency are the catalogue's."""
    shop.bought(UNSYNCED, currency="JPY")
    assert shop.stripe.only(SESSION).params["line_items"] == {
        "0": {
            "price_data": {
                "currency": "jpy",
                "unit_amount": "900",
                "product_data": {"name": "Plan 6", "metadata": {"plan_id": "6"}},
            },
            "quantity": "1",
        }
    }


def test_the_price_is_that_of_the_asked_currency(shop: Shop) -> None:
    """Each currency has a price object of its own."""
    shop.bought(PRO, currency="EUR")
    [line] = shop.stripe.only(SESSION).params["line_items"].values()
    assert line["price"] == "price_pro_eur"


@pytest.mark.parametrize(
    ("plan_id", "changes", "expected"),
    [
        (PACKAGE, {"currency": "eur"}, (422, "currency_not_offered")),
        (PACKAGE, {"currency": "euro"}, (422, "invalid_input")),
        (PACKAGE, {"plan_id": "4"}, (422, "invalid_input")),
        (PACKAGE, {"plan_id": True}, (422, "invalid_input")),
        (PACKAGE, {"plan_id": 2**31}, (422, "invalid_input")),
        (PACKAGE, {"plan_type": "half"}, (422, "invalid_input")),
        (PACKAGE, {"amount": 1}, (422, "invalid_input")),
        (PACKAGE, {"success_url": "https://evil.example.com/"}, (422, "redirect_refused")),
        (PACKAGE, {"cancel_url": "javascript:alert(1)"}, (422, "redirect_refused")),
        (PACKAGE, {"cancel_url": f"{SHOP}\\@evil.example.com"}, (422, "redirect_refused")),
        (PACKAGE, {"key": "k" * 256}, (400, "idempotency_key_invalid")),
        (PACKAGE, {"plan_type": "full"}, (404, "plan_not_found")),
        (99, {}, (404, "plan_not_found")),
        (7, {}, (404, "plan_not_found")),
    ],
)
def test_what_is_not_for_sale_is_refused(
    shop: Shop, plan_id: int, changes: dict[str, Any], expected: tuple[int, str]
) -> None:
    """With a code that says why, and without a word to Stripe."""
    assert problem(shop.buy(plan_id, **changes)) == expected
    assert shop.stripe.asked == []


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 8) | st.integers(),
    st.floats(allow_nan=False),
    st.sampled_from(["full", "token", "usd", "EUR", "4", SHOP, f"{SHOP}/\0", "//x", "\udc00"]),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=2),
)


@examples(80, suppress_health_check=list(HealthCheck))
@given(changes=st.dictionaries(st.sampled_from(FIELDS), VALUES))
def test_whatever_is_sent_is_sold_or_refused(mall: Shop, changes: dict[str, Any]) -> None:
    """No input is a failure of ours."""
    body = {"plan_type": "token", "plan_id": PACKAGE} | changes
    answer = mall.app.test_client().post(CHECKOUT, json=body, headers=as_user())
    assert answer.status_code in (200, 400, 404, 422), answer.text


def test_a_currency_that_is_not_offered_is_answered_with_those_that_are(shop: Shop) -> None:
    """Who asks for none gets the plan's own where the usual one is not offered."""
    assert shop.buy(UNSYNCED, currency="chf").get_json(force=True)["currencies"] == ["jpy", "usd"]


def test_nobody_unknown_buys(shop: Shop) -> None:
    """A 401 comes before everything else."""
    assert problem(shop.app.test_client().post(CHECKOUT, json={})) == (401, "not_authenticated")


def test_without_a_key_nothing_is_sold(shop: Shop) -> None:
    """503, whatever the body is."""
    closed = create_app(shop.receiver.settings, opened=replace(shop.receiver, gateway=None))
    for path in (CHECKOUT, "/billing/stripe/customer-portal"):
        answer = closed.test_client().post(path, json={"odd": 1}, headers=as_user())
        assert problem(answer) == (503, "stripe_disabled")
        assert answer.get_json(force=True)["detail"] == "Stripe is not enabled"
        assert int(answer.headers["Retry-After"]) > 0


def test_an_address_must_be_configured_or_sent(
    shop: Shop, database_url: str, redis_url: str
) -> None:
    """The 422 names the setting."""
    with opened(database_url, redis_url, shop.stripe, STRIPE_CANCEL_URL="") as bare:
        answer = bare.buy()
        assert problem(answer) == (422, "invalid_input")
        assert "STRIPE_CANCEL_URL" in answer.text
        bare.bought(cancel_url="http://localhost:3000/back")


@pytest.mark.parametrize("status", ["active", "trialing", "past_due", "unpaid", "paused"])
def test_who_has_a_plan_is_sent_to_the_portal(shop: Shop, status: str) -> None:
    """Two plans at once would be paid twice; packages are sold all the same."""
    shop.work(an_event("customer.subscription.created", a_subscription(status=status)))
    answer = shop.buy(TRIED)
    assert problem(answer) == (409, "already_subscribed")
    assert answer.get_json(force=True)["portal"] == "/billing/stripe/customer-portal/"
    shop.bought(PACKAGE)
    shop.bought(TRIED, user="user_2")


@pytest.mark.parametrize("status", ["canceled", "incomplete", "incomplete_expired"])
def test_who_had_a_plan_buys_again(shop: Shop, status: str) -> None:
    """What ended, or never began, binds nobody."""
    shop.work(an_event("customer.subscription.created", a_subscription(status=status)))
    shop.bought(PRO)


def test_a_plan_that_was_just_paid_is_not_sold_again_while_its_events_are_late(shop: Shop) -> None:
    """Stripe tells on the second click that the first session is complete."""
    first = shop.bought(PRO)["session_id"]
    shop.stripe.sessions[first] |= PAID
    shop.age()
    for plan_id in (PRO, PRO, TRIED):
        assert problem(shop.buy(plan_id)) == (409, "already_subscribed")
    assert shop.stripe.count(SESSION) == 1


def test_the_customer_known_from_events_is_used(shop: Shop) -> None:
    """Whoever made it; of several the one that was linked first, and no deleted one."""
    known = {name: a_customer(id=name) for name in ("cus_gone", "cus_old", "cus_new")}
    shop.stripe.customers.update(known)
    for created, name in enumerate(known):
        shop.work(an_event("customer.created", known[name], created=1_700_000_000 + created))
    shop.work(an_event("customer.deleted", known["cus_gone"], created=1_700_000_100))
    shop.bought()
    assert shop.stripe.only(SESSION).params["customer"] == "cus_old"
    assert shop.stripe.count(CUSTOMER) == 0


def test_a_customer_that_stripe_does_not_know_is_replaced_once(shop: Shop) -> None:
    """Of another mode, or deleted while nobody looked; it is not tried again later."""
    shop.work(an_event("customer.created", a_customer(id="cus_other_mode")))
    shop.bought()
    shop.bought(UNSYNCED)
    tried = [each.params["customer"] for each in shop.stripe.asked if each.what == SESSION]
    assert tried[0] == "cus_other_mode"
    assert tried[1] == tried[2] != "cus_other_mode"
    assert shop.stripe.count(CUSTOMER) == 1


def test_a_price_that_stripe_does_not_take_is_spelled_out(shop: Shop) -> None:
    """It was synced in another mode; the sale goes on at the catalogue's price."""
    shop.stripe.prices.discard("price_pack_usd")
    shop.bought()
    [line] = shop.stripe.asked[-1].params["line_items"].values()
    assert line["price_data"]["unit_amount"] == "500"
    assert shop.execute("SELECT state, count(*) FROM purchases GROUP BY 1 ORDER BY 1") == [
        ("open", 1),
        ("refused", 1),
    ]


def test_a_long_user_id_goes_into_the_metadata_alone(shop: Shop) -> None:
    """Stripe takes 200 characters as a reference and 500 in metadata."""
    user = "u" * 250
    shop.bought(user=user)
    params = shop.stripe.only(SESSION).params
    assert params["metadata"]["user_id"] == user
    assert "client_reference_id" not in params
