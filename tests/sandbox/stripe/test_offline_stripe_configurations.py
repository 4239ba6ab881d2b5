"""Portal configurations of the offline Stripe: kept, named by visits, and obeyed by the pages."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from sandbox.stripe.server import make_app
from sandbox.stripe.world import World
from tests.offline_stripe import Offline, offline_stripe
from tests.stripe_types import problems_of

LOCAL = "http://127.0.0.1:9000"


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account of its own."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


def configured(offline: Offline, features: Any, **more: Any) -> stripe.billing_portal.Configuration:
    """Make a configuration of these features."""
    configurations = offline.client.v1.billing_portal.configurations
    made: Any = {"features": features, **more}
    return configurations.create(made)


def switching(offline: Offline, *price_ids: str, **more: Any) -> dict[str, Any]:
    """Features that let a visitor switch to some prices."""
    products = [
        {"product": offline.client.v1.prices.retrieve(one).product, "prices": [one]}
        for one in price_ids
    ]
    update = {"enabled": True, "default_allowed_updates": ["price"], "products": products, **more}
    return {"subscription_update": update}


def opened(client: FlaskClient, path: str, form: dict[str, str] | None = None) -> TestResponse:
    """Open a page, or send its form."""
    if form is None:
        return client.get(path, base_url=LOCAL)
    return client.post(path, data=form, base_url=LOCAL, headers={"Origin": LOCAL})


def test_there_is_a_default_configuration_that_offers_everything(offline: Offline) -> None:
    """In the list, by its id, named by every visit that names none, and told whole."""
    configurations = offline.client.v1.billing_portal.configurations
    (default,) = configurations.list({"is_default": True}).data
    assert configurations.retrieve(default.id).to_dict() == default.to_dict()
    assert not problems_of(default.to_dict(for_json=True))
    visit: Any = {"customer": offline.customer(), "expand": ["configuration"]}
    named = offline.client.v1.billing_portal.sessions.create(visit).configuration
    assert isinstance(named, stripe.billing_portal.Configuration)
    assert named.to_dict() == default.to_dict()
    with pytest.raises(stripe.InvalidRequestError, match="cannot be made inactive"):
        configurations.update(default.id, {"active": False})


def test_a_configuration_is_made_changed_and_kept(tmp_path: Path) -> None:
    """What is not stated stays; what nobody ever stated is not offered."""
    path = tmp_path / "stripe.sqlite"
    with offline_stripe(path) as offline:
        made = configured(offline, {"invoice_history": {"enabled": True}}, name="Quiet")
        assert not problems_of(made.to_dict(for_json=True))
        assert not made.features.subscription_cancel.enabled
        configurations = offline.client.v1.billing_portal.configurations
        cancel: Any = {"enabled": True, "mode": "immediately"}
        changed = configurations.update(
            made.id, {"features": {"subscription_cancel": cancel}, "metadata": {"a": "b"}}
        )
        assert changed.features.subscription_cancel.mode == "immediately"
        assert changed.features.invoice_history.enabled
        assert configurations.update(made.id, {"active": False}).active is False
        with pytest.raises(stripe.InvalidRequestError, match="inactive"):
            offline.portal(offline.customer(), configuration=made.id)
        assert [one.name for one in configurations.list().data] == ["Quiet", None]
        assert [one.id for one in configurations.list({"active": False}).data] == [made.id]
        assert offline.types()[-1] == "customer.created"
        assert offline.types().count("billing_portal.configuration.updated") == 2
        told = changed.to_dict()
    world = World.open(path)
    try:
        (kept,) = offline_names(world)
    finally:
        world.close()
    assert (kept, told["metadata"]) == ("Quiet", {"a": "b"})


def offline_names(world: World) -> list[str]:
    """What the kept configurations are called."""
    with world.reading() as shop:
        return [str(getattr(one, "name", "")) for one in shop.records.values() if "bpc_" in one.id]


def test_a_visit_shows_only_what_its_configuration_offers(offline: Offline) -> None:
    """No end, no switch, no card, no invoices: neither as links nor by their addresses."""
    customer = offline.customer()
    contract = offline.subscription(offline.price(2900), customer)
    offline.price(5900)
    quiet = configured(offline, {"customer_update": {"enabled": False}}).id
    visit = offline.portal(customer, configuration=quiet)
    client = make_app(offline.world).test_client()
    page = opened(client, f"/p/session/{visit}").text
    for words in ("Cancel subscription", "Switch plan", "Update card", '<h2 id="invoices"'):
        assert words not in page
    root = f"/p/session/{visit}"
    assert opened(client, f"{root}/card").status_code == 404
    assert opened(client, f"{root}/subscriptions/{contract}/cancel", {}).status_code == 404
    full = opened(client, f"/p/session/{offline.portal(customer)}").text
    for words in ("Cancel subscription", "Switch plan", "Update card", '<h2 id="invoices"'):
        assert words in full


def test_a_contract_ends_when_the_configuration_says(offline: Offline) -> None:
    """One that ends at once offers no end at the period's end, and takes none."""
    customer = offline.customer()
    contract = offline.subscription(offline.price(2900), customer)
    feature = {"enabled": True, "mode": "immediately"}
    at_once = configured(offline, {"subscription_cancel": feature}).id
    visit = offline.portal(customer, configuration=at_once)
    client = make_app(offline.world).test_client()
    path = f"/p/session/{visit}/subscriptions/{contract}/cancel"
    assert 'value="period_end"' not in opened(client, path).text
    assert opened(client, path, {"when": "period_end"}).status_code == 404
    assert opened(client, path, {}).status_code == 303
    assert offline.client.v1.subscriptions.retrieve(contract).status == "canceled"


@pytest.mark.parametrize(
    ("behavior", "billed"), [("always_invoice", 2), ("create_prorations", 1), ("none", 1)]
)
def test_plans_to_switch_to_are_those_of_the_configuration(
    offline: Offline, behavior: str, billed: int
) -> None:
    """A price that it does not name is not offered; the difference is billed as it says."""
    customer = offline.customer()
    contract = offline.subscription(offline.price(2900), customer)
    wanted, refill = offline.price(5900), offline.price(1200)
    features = switching(offline, wanted, proration_behavior=behavior)
    visit = offline.portal(customer, configuration=configured(offline, features).id)
    client = make_app(offline.world).test_client()
    path = f"/p/session/{visit}/subscriptions/{contract}/plan"
    page = opened(client, path).text
    assert (wanted in page, refill in page) == (True, False)
    assert opened(client, path, {"price_id": refill}).status_code == 422
    assert opened(client, path, {"price_id": wanted}).status_code == 303
    (item,) = offline.client.v1.subscriptions.retrieve(contract)["items"].data
    assert item.price.id == wanted
    assert len(offline.client.v1.invoices.list().data) == billed
    pending = offline.client.v1.invoice_items.list({"customer": customer, "pending": True}).data
    assert bool(pending) is (behavior == "create_prorations")


def test_a_flow_needs_its_feature(offline: Offline) -> None:
    """A visit that leads to a page which its configuration does not offer is refused."""
    customer = offline.customer()
    contract = offline.subscription(offline.price(), customer)
    quiet = configured(offline, {"invoice_history": {"enabled": True}}).id
    flow = {"type": "subscription_cancel", "subscription_cancel": {"subscription": contract}}
    with pytest.raises(stripe.InvalidRequestError, match="is disabled") as error:
        offline.portal(customer, configuration=quiet, flow_data=flow)
    assert error.value.param == "flow_data[type]"


@pytest.mark.parametrize(
    ("features", "param"),
    [
        ({}, "features"),
        ({"invoice_history": {"enabled": ""}}, "features[invoice_history][enabled]"),
        (
            {"subscription_update": {"enabled": True, "default_allowed_updates": ["price"]}},
            "features[subscription_update][products]",
        ),
        (
            {"subscription_cancel": {"enabled": True, "proration_behavior": "always_invoice"}},
            "features[subscription_cancel][proration_behavior]",
        ),
        (
            {"subscription_cancel": {"enabled": True, "proration_behavior": "create_prorations"}},
            "features[subscription_cancel][proration_behavior]",
        ),
    ],
)
def test_features_that_make_no_sense_are_refused(
    offline: Offline, features: Any, param: str
) -> None:
    """By the full name of what is wrong."""
    with pytest.raises(stripe.InvalidRequestError) as error:
        configured(offline, features)
    assert error.value.param == param


def test_a_refused_change_leaves_a_configuration_as_it_was(offline: Offline) -> None:
    """Nothing of it is kept, and nobody is told."""
    made = configured(offline, {"invoice_history": {"enabled": True}})
    once = offline.price(500, interval=None)
    configurations = offline.client.v1.billing_portal.configurations
    with pytest.raises(stripe.InvalidRequestError, match="active and recurring"):
        configured(offline, switching(offline, once))
    wrong: Any = {"subscription_cancel": {"proration_behavior": "always_invoice"}}
    with pytest.raises(stripe.InvalidRequestError):
        configurations.update(made.id, {"features": wrong})
    assert configurations.retrieve(made.id).to_dict() == made.to_dict()
