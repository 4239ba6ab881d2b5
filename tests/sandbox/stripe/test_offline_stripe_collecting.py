"""What a checkout session of the offline Stripe is to ask of its buyer, and what it tells of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from sandbox.stripe.views import Paid
from tests.offline_stripe import ASKS, BROKE, GOOD, SUCCESS, Offline, offline_stripe
from tests.stripe_types import problems_of

ASKED: dict[str, tuple[Any, Any]] = {
    "billing_address_collection": ("required", "required"),
    "locale": ("de", "de"),
    "phone_number_collection": ({"enabled": True}, {"enabled": True}),
    "tax_id_collection": ({"enabled": True}, {"enabled": True, "required": "never"}),
    "consent_collection": (
        {"terms_of_service": "required"},
        {
            "payment_method_reuse_agreement": None,
            "promotions": "none",
            "terms_of_service": "required",
        },
    ),
    "saved_payment_method_options": (
        {"payment_method_save": "enabled"},
        {
            "allow_redisplay_filters": ["always"],
            "payment_method_remove": "disabled",
            "payment_method_save": "enabled",
        },
    ),
}


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account of its own."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


def told(offline: Offline, session: str) -> dict[str, Any]:
    """A session as it stands, and as Stripe's types want it."""
    drawn = offline.client.v1.checkout.sessions.retrieve(session).to_dict(for_json=True)
    assert not problems_of(drawn)
    return drawn


def guest(offline: Offline, **more: Any) -> str:
    """A session that sells something to nobody in particular."""
    lines = [{"price": offline.price(500, None), "quantity": 1}]
    params: Any = {"mode": "payment", "line_items": lines, "success_url": SUCCESS, **more}
    return offline.client.v1.checkout.sessions.create(params).id


@pytest.mark.parametrize("name", sorted(ASKED))
def test_what_is_asked_for_is_told_whole(offline: Offline, name: str) -> None:
    """With the defaults of what the request left out; also where a card is kept."""
    said, whole = ASKED[name]
    session = guest(offline, **{name: said})
    assert told(offline, session)[name] == whole
    params: Any = {"mode": "setup", "currency": "usd", "success_url": SUCCESS, name: said}
    sales_only = ("phone_number_collection", "saved_payment_method_options")
    if name in sales_only:
        with pytest.raises(stripe.InvalidRequestError, match="in `setup` mode"):
            offline.client.v1.checkout.sessions.create(params)
    else:
        kept = offline.client.v1.checkout.sessions.create(params).id
        assert told(offline, kept)[name] == whole


def test_terms_that_must_be_accepted_are(offline: Offline) -> None:
    """Whoever has completed the page has accepted them."""
    session = guest(offline, consent_collection={"terms_of_service": "required"})
    assert told(offline, session)["consent"] is None
    assert isinstance(offline.world.pay(session, GOOD), Paid)
    assert told(offline, session)["consent"]["terms_of_service"] == "accepted"
    free = guest(offline, consent_collection={"promotions": "auto"})
    offline.world.pay(free, GOOD)
    assert told(offline, free)["consent"]["terms_of_service"] is None


@pytest.mark.parametrize("enabled", [True, False])
def test_automatic_tax_is_told_and_is_nothing(offline: Offline, *, enabled: bool) -> None:
    """Where the buyer is stays open until the page is completed; nothing is ever taxed."""
    session = guest(offline, automatic_tax={"enabled": enabled})
    assert told(offline, session)["automatic_tax"] == {
        "enabled": enabled,
        "liability": {"type": "self"} if enabled else None,
        "provider": "stripe" if enabled else None,
        "status": "requires_location_inputs" if enabled else None,
    }
    offline.world.pay(session, GOOD)
    done = told(offline, session)
    assert done["automatic_tax"]["status"] == ("complete" if enabled else None)
    assert done["total_details"]["amount_tax"] == 0


def test_a_customer_must_be_placed_and_named_for_taxes(offline: Offline) -> None:
    """By an address of theirs, or by leave to keep what the page is told."""
    price, customer = offline.price(500, None), offline.customer()
    taxed: Any = {"automatic_tax": {"enabled": True}}
    numbered: Any = {"tax_id_collection": {"enabled": True}}
    with pytest.raises(stripe.InvalidRequestError) as error:
        offline.session(price, customer, **taxed)
    assert error.value.code == "customer_tax_location_invalid"
    with pytest.raises(stripe.InvalidRequestError) as error:
        offline.session(price, customer, **numbered)
    assert error.value.param == "customer_update[name]"
    offline.session(price, customer, **taxed, customer_update={"address": "auto"})
    offline.session(price, customer, **numbered, customer_update={"name": "auto"})
    offline.client.v1.customers.update(customer, {"address": {"country": "DE"}})
    offline.session(price, customer, **taxed)
    with pytest.raises(stripe.InvalidRequestError) as error:
        guest(offline, customer_update={"name": "auto"})
    assert error.value.param == "customer_update"


@pytest.mark.parametrize("pays_by", [GOOD, ASKS, "bank"])
def test_a_card_that_pays_is_kept_where_that_was_asked_for(offline: Offline, pays_by: str) -> None:
    """The intent says so, and the customer has the method; without the word nobody has it."""
    price, customer = offline.price(500, None), offline.customer()
    data: Any = {"setup_future_usage": "off_session", "description": "A call"}
    for more in ({}, {"payment_intent_data": data}):
        session = offline.session(price, customer, **more)
        if pays_by == "bank":
            offline.world.pay_delayed(session)
        else:
            offline.world.pay(session, BROKE)
            offline.world.pay(session, pays_by, authenticated=True)
        intent = offline.client.v1.payment_intents.retrieve(
            str(told(offline, session)["payment_intent"])
        )
        kept = offline.client.v1.payment_methods.list({"customer": customer}).data
        assert [one.id for one in kept] == ([intent.payment_method] if more else [])
        assert intent.setup_future_usage == (data["setup_future_usage"] if more else None)
    assert intent.description == "A call"
    assert not problems_of(intent.to_dict(for_json=True))


def test_a_guest_keeps_no_card(offline: Offline) -> None:
    """Checkout attaches to a customer only, one that it makes included."""
    data: Any = {"setup_future_usage": "on_session"}
    offline.world.pay(guest(offline, payment_intent_data=data), GOOD)
    assert "payment_method.attached" not in offline.types()
    made = guest(offline, payment_intent_data=data, customer_creation="always")
    assert told(offline, made)["customer_creation"] == "always"
    offline.world.pay(made, GOOD)
    (method,) = offline.objects("payment_method.attached")
    assert method["customer"] == told(offline, made)["customer"]


@pytest.mark.parametrize(
    ("name", "value", "param"),
    [
        ("automatic_tax", {"liability": {"type": "self"}}, "automatic_tax[enabled]"),
        ("consent_collection", {"terms_of_service": "yes"}, "consent_collection[terms_of_service]"),
        ("tax_id_collection", {"enabled": True, "x": "1"}, "tax_id_collection[x]"),
        ("payment_intent_data", {"setup_future_usage": "never"}, None),
    ],
)
def test_what_makes_no_sense_is_refused(
    offline: Offline, name: str, value: Any, param: str | None
) -> None:
    """By name, as any other parameter."""
    with pytest.raises(stripe.InvalidRequestError) as error:
        guest(offline, **{name: value})
    assert error.value.param == (param or f"{name}[setup_future_usage]")
