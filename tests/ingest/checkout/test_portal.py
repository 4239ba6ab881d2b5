"""The customer portal: whose it is, where it begins, and where it leads back to."""

from typing import Any

import pytest

from tests.ingest.shop import PACKAGE, SHOP, Shop, problem
from tests.stripe_objects import a_customer, a_session, a_subscription, an_event

ASKED = "POST billing_portal/sessions"


@pytest.fixture
def subscribed(shop: Shop) -> Shop:
    """The same, where `user_1` has a subscription that is live and an older one that ended."""
    shop.stripe.customers["cus_1"] = a_customer()
    ended = a_subscription(id="sub_0", status="canceled", created=1_600_000_000)
    shop.work(
        an_event("customer.subscription.deleted", ended),
        an_event("customer.subscription.created", a_subscription()),
    )
    return shop


def test_a_buyer_gets_a_portal(shop: Shop) -> None:
    """The contract's shape; the configured way back where none is sent."""
    shop.bought(PACKAGE)
    answer = shop.portal()
    assert (answer.status_code, answer.get_json()) == (
        200,
        {
            "url": "https://billing.stripe.example/p/1",
            "message": "Portal session created successfully",
        },
    )
    assert shop.stripe.only(ASKED).params == {
        "customer": "cus_made_1",
        "return_url": f"{SHOP}/account",
    }


def test_who_never_bought_has_no_portal(shop: Shop) -> None:
    """A 409, whatever is asked for."""
    assert problem(shop.portal()) == (409, "no_stripe_customer")
    assert problem(shop.portal(flow="cancel")) == (409, "no_stripe_customer")
    assert shop.stripe.asked == []


def test_a_customer_that_stripe_does_not_know_is_none(shop: Shop) -> None:
    """It was deleted, or is of another mode."""
    shop.work(an_event("customer.created", a_customer()))
    assert problem(shop.portal()) == (409, "no_stripe_customer")


def test_bought_at_another_account_is_not_never_bought(subscribed: Shop) -> None:
    """The account of today does not know the customer: say that, not that nothing was bought."""
    subscribed.stripe.customers.clear()
    assert problem(subscribed.portal()) == (409, "other_stripe_account")
    assert problem(subscribed.portal(flow="cancel")) == (409, "other_stripe_account")


def test_a_customer_found_missing_at_checkout_tells_the_same(shop: Shop) -> None:
    """Also once the next purchase failed on that customer, before another one was made."""
    shop.bought(PACKAGE)
    shop.work(an_event("checkout.session.completed", a_session(customer="cus_made_1")))
    shop.execute(
        "UPDATE buyers SET customer_id = NULL,"
        " missing_customer_ids = jsonb_build_array(customer_id)"
    )
    assert problem(shop.portal()) == (409, "other_stripe_account")


def test_a_deleted_customer_is_none(shop: Shop) -> None:
    """The event said so."""
    shop.work(an_event("customer.created", a_customer()))
    shop.work(an_event("customer.deleted", a_customer(), created=1_700_000_100))
    assert problem(shop.portal()) == (409, "no_stripe_customer")


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        (
            "cancel",
            {"type": "subscription_cancel", "subscription_cancel": {"subscription": "sub_1"}},
        ),
        (
            "update",
            {"type": "subscription_update", "subscription_update": {"subscription": "sub_1"}},
        ),
        ("payment_method", {"type": "payment_method_update"}),
    ],
)
def test_a_flow_leads_straight_to_its_task(
    subscribed: Shop, flow: str, expected: dict[str, Any]
) -> None:
    """The newest live subscription, and back when it is done."""
    back = f"{SHOP}/done"
    assert subscribed.portal(flow=flow, return_url=back).status_code == 200
    found = subscribed.stripe.only(ASKED).params
    after = {"type": "redirect", "redirect": {"return_url": back}}
    assert found["flow_data"] == expected | {"after_completion": after}
    assert found["customer"] == "cus_1"


def test_a_subscription_can_be_named(subscribed: Shop) -> None:
    """One's own alone, and only while it has not ended."""
    expected = {
        "sub_0": (409, "no_subscription"),
        "sub_2": (404, "subscription_not_found"),
    }
    for name, refused in expected.items():
        assert problem(subscribed.portal(flow="cancel", subscription_id=name)) == refused
    assert subscribed.portal(flow="cancel", subscription_id="sub_1").status_code == 200
    stranger = subscribed.portal(user="user_2", flow="cancel", subscription_id="sub_1")
    assert problem(stranger) == (404, "subscription_not_found")


def test_what_ends_already_cannot_be_canceled_again(subscribed: Shop) -> None:
    """Stripe would refuse; the plain portal is where to change one's mind."""
    ending = a_subscription(cancel_at_period_end=True, cancel_at=1_702_592_000)
    changed = {"cancel_at_period_end": False, "cancel_at": None}
    subscribed.work(
        an_event("customer.subscription.updated", ending, created=1_700_000_100, previous=changed)
    )
    assert problem(subscribed.portal(flow="cancel")) == (409, "already_canceled")
    assert subscribed.portal(flow="update").status_code == 200
    assert subscribed.portal().status_code == 200


def test_the_portal_of_a_subscription_is_its_customers(subscribed: Shop) -> None:
    """Also where another customer was linked to the user later."""
    later = a_customer(id="cus_2")
    subscribed.stripe.customers["cus_2"] = later
    subscribed.work(an_event("customer.created", later, created=1_700_000_500))
    subscribed.portal()
    assert subscribed.stripe.only(ASKED).params["customer"] == "cus_1"


def test_without_a_subscription_there_is_none_to_cancel(shop: Shop) -> None:
    """The card can be changed all the same."""
    shop.bought(PACKAGE)
    assert problem(shop.portal(flow="cancel")) == (409, "no_subscription")
    assert problem(shop.portal(flow="update")) == (409, "no_subscription")
    assert shop.portal(flow="payment_method").status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"return_url": "https://evil.example.com/"}, "redirect_refused"),
        ({"return_url": "//shop.example.com"}, "redirect_refused"),
        ({"flow": "pause"}, "invalid_input"),
        ({"subscription_id": "sub_1"}, "invalid_input"),
        ({"flow": "payment_method", "subscription_id": "sub_1"}, "invalid_input"),
        ({"flow": "cancel", "subscription_id": "sub_1/../x"}, "invalid_input"),
        ({"customer": "cus_1"}, "invalid_input"),
    ],
)
def test_wrong_input_is_refused(shop: Shop, body: dict[str, Any], code: str) -> None:
    """And Stripe is not asked."""
    assert problem(shop.portal(**body)) == (422, code)
    assert shop.stripe.asked == []


def test_stripes_failures_are_problems(subscribed: Shop) -> None:
    """As with checkout."""
    subscribed.stripe.faults[ASKED] = [500, 429, 401]
    codes = [problem(subscribed.portal())[1] for _ in range(3)]
    assert codes == ["stripe_error", "stripe_busy", "stripe_key_refused"]
