"""What the offline Stripe has on offer is changed and taken away, through the real SDK."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.offline_stripe import Offline, offline_stripe
from tests.stripe_types import problems_of


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account of its own."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


def test_a_product_keeps_what_it_was_told_and_makes_its_price(offline: Offline) -> None:
    """Images and so on are told again; the default price is made with it."""
    data: Any = {"currency": "usd", "unit_amount": 900, "recurring": {"interval": "month"}}
    params: Any = {
        "name": "Pro",
        "images": ["https://shop.test/pro.png"],
        "url": "https://shop.test/pro",
        "tax_code": "txcd_10000000",
        "unit_label": "seat",
        "marketing_features": [{"name": "Support"}],
        "default_price_data": data,
        "expand": ["default_price"],
    }
    client = offline.client.v1
    made = client.products.create(params)
    assert not problems_of(made.to_dict(for_json=True))
    assert isinstance(made.default_price, stripe.Price)
    assert (made.default_price.unit_amount, made.images) == (900, params["images"])
    changed = client.products.update(made.id, {"images": "", "url": "https://shop.test"})
    assert (changed.images, changed.url, changed.unit_label) == ([], "https://shop.test", "seat")
    assert offline.types() == [
        "product.created",
        "price.created",
        "product.updated",
        "product.updated",
    ]
    del data["unit_amount"]
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.products.create({"name": "Max", "default_price_data": data})
    assert error.value.param == "default_price_data[unit_amount]"
    assert len(client.products.list().data) == 1


def test_a_product_without_prices_is_deleted(offline: Offline) -> None:
    """One that has prices is not."""
    client = offline.client.v1
    product = client.products.create({"name": "Empty"}).id
    assert client.products.delete(product).deleted
    with pytest.raises(stripe.InvalidRequestError, match="No such product"):
        client.products.retrieve(product)
    sold = str(client.prices.retrieve(offline.price()).product)
    with pytest.raises(stripe.InvalidRequestError, match="user-created prices"):
        client.products.delete(sold)
    assert client.products.retrieve(sold).active
    assert offline.types()[2:3] == ["product.created"]
    assert "product.deleted" in offline.types()


def test_a_coupon_is_renamed_and_withdrawn(offline: Offline) -> None:
    """Its codes are of no use then, and who has its discount keeps it."""
    client = offline.client.v1
    coupon = client.coupons.create({"percent_off": 50, "duration": "forever"}).id
    promotion: Any = {"promotion": {"type": "coupon", "coupon": coupon}, "code": "SPRING"}
    code = client.promotion_codes.create(promotion).id
    contract = offline.subscription(
        offline.price(2900), offline.customer(), discounts=[{"coupon": coupon}]
    )
    assert client.coupons.update(coupon, {"name": "Half", "metadata": {"a": "b"}}).name == "Half"
    assert client.coupons.delete(coupon).deleted
    with pytest.raises(stripe.InvalidRequestError, match="No such coupon"):
        client.coupons.retrieve(coupon)
    assert not client.promotion_codes.retrieve(code).active
    with pytest.raises(stripe.InvalidRequestError, match="its coupon is deleted"):
        client.promotion_codes.update(code, {"active": True})
    assert len(client.subscriptions.retrieve(contract).discounts) == 1
    offline.world.advance(31 * 86_400)
    assert [one.total for one in client.invoices.list().data] == [1450, 1450]


def test_a_promotion_code_is_switched_off_and_on(offline: Offline) -> None:
    """Not on while another active one has its word."""
    client = offline.client.v1
    coupon = client.coupons.create({"percent_off": 50, "duration": "once"}).id
    promotion: Any = {"promotion": {"type": "coupon", "coupon": coupon}, "code": "SPRING"}
    first = client.promotion_codes.create(promotion).id
    assert not client.promotion_codes.update(first, {"active": False}).active
    second = client.promotion_codes.create(promotion).id
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.promotion_codes.update(first, {"active": True})
    assert error.value.code == "resource_already_exists"
    client.promotion_codes.update(second, {"active": False})
    changed = client.promotion_codes.update(first, {"active": True, "metadata": {"a": "b"}})
    assert changed.active
    assert changed.to_dict()["metadata"] == {"a": "b"}
    assert offline.types().count("promotion_code.updated") == 3


def test_prices_are_found_by_how_they_renew(offline: Offline) -> None:
    """Their interval and whether use is metered; a one-time price does not renew."""
    monthly, yearly = offline.price(900), offline.price(9000, "year")
    offline.price(500, None)

    def found(**recurring: Any) -> list[str]:
        query: Any = {"recurring": recurring}
        return [one.id for one in offline.client.v1.prices.list(query).data]

    assert found(interval="year") == [yearly]
    assert found(usage_type="licensed") == [yearly, monthly]
    assert found(usage_type="metered") == []
