"""Baskets, coupons and promotion codes of the offline Stripe: sold, listed, billed, shown."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from sandbox.stripe.server import make_app
from sandbox.stripe.views import Declined, Paid
from tests.offline_stripe import DAY, GOOD, SUCCESS, Offline, offline_stripe
from tests.stripe_types import problems_of

HALF = {"percent_off": 50, "duration": "forever"}


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account of its own."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


def coupon(offline: Offline, **terms: Any) -> str:
    """Make a coupon; returns its id."""
    made: Any = terms or HALF
    return offline.client.v1.coupons.create(made).id


def code(offline: Offline, word: str, coupon_id: str, **more: Any) -> str:
    """Make a promotion code; returns its id."""
    made: Any = {"code": word, "promotion": {"type": "coupon", "coupon": coupon_id}, **more}
    return offline.client.v1.promotion_codes.create(made).id


def basket(offline: Offline, mode: str, prices: list[tuple[str, int]], **more: Any) -> str:
    """Open a session of several lines."""
    lines = [{"price": price, "quantity": count} for price, count in prices]
    made: Any = {"mode": mode, "success_url": SUCCESS, "line_items": lines, **more}
    return offline.client.v1.checkout.sessions.create(made).id


def totals(offline: Offline) -> list[int]:
    """What the invoices come to, oldest first."""
    return [one.total for one in reversed(offline.client.v1.invoices.list().data)]


def test_line_items_are_cut_in_the_session_and_paged_when_asked_for(offline: Offline) -> None:
    """Twelve packages: ten are shown with it, all are found page by page."""
    prices = [(offline.price(100 + n, interval=None), 1 + n % 2) for n in range(12)]
    session = basket(offline, "payment", prices)
    assert isinstance(offline.world.pay(session, GOOD), Paid)
    sessions = offline.client.v1.checkout.sessions
    shown = sessions.retrieve(session, {"expand": ["line_items"]})
    assert shown.line_items is not None
    assert (len(shown.line_items.data), shown.line_items.has_more) == (10, True)
    asked = list(sessions.line_items.list(session, {"limit": 5}).auto_paging_iter())
    assert [(one.price.id if one.price else "", one.quantity) for one in asked] == prices
    assert sum(one.amount_total for one in asked) == shown.amount_total
    found = sessions.list({"payment_intent": str(shown.payment_intent)}).data
    assert [one.id for one in found] == [session]


def test_a_contract_of_many_items_tells_ten_of_each_list(offline: Offline) -> None:
    """Items and lines are cut in events and answers; both lists are whole when asked for."""
    prices = [(offline.price(100 + n), 1) for n in range(12)]
    session = basket(offline, "subscription", [*prices, (offline.price(50, interval=None), 1)])
    assert isinstance(offline.world.pay(session, GOOD), Paid)
    (contract,) = offline.client.v1.subscriptions.list().data
    assert (len(contract["items"].data), contract["items"].has_more) == (10, True)
    items: Any = {"subscription": contract.id, "limit": 5}
    assert len(list(offline.client.v1.subscription_items.list(items).auto_paging_iter())) == 12
    (told,) = offline.objects("invoice.paid")
    assert (len(told["lines"]["data"]), told["lines"]["has_more"]) == (10, True)
    lines = offline.client.v1.invoices.line_items.list(told["id"], {"limit": 5})
    assert sum(one.amount for one in lines.auto_paging_iter()) == told["total"] == 1316
    offline.world.advance(31 * DAY)
    assert totals(offline) == [1316, 1266]


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (HALF, [1450, 1450, 1450, 1450]),
        ({"percent_off": 50, "duration": "once"}, [1450, 2900, 2900, 2900]),
        (
            {"percent_off": 50, "duration": "repeating", "duration_in_months": 2},
            [1450, 1450, 2900, 2900],
        ),
        ({"amount_off": 900, "currency": "usd", "duration": "forever"}, [2000] * 4),
    ],
)
def test_a_coupon_lasts_as_long_as_it_says(
    offline: Offline, terms: dict[str, Any], expected: list[int]
) -> None:
    """Once, for ever, for some months; a share or a sum."""
    coupon_id = coupon(offline, **terms)
    offline.subscription(offline.price(2900), offline.customer(), discounts=[{"coupon": coupon_id}])
    for _ in range(3):
        offline.world.advance(31 * DAY)
    assert totals(offline) == expected


def test_discounts_are_told_with_their_contract_and_its_lines(offline: Offline) -> None:
    """Ids until they are asked for whole; a line says what each took off; then it is taken away."""
    given = [{"coupon": coupon(offline)}]
    contract = offline.subscription(offline.price(2900), offline.customer(), discounts=given)
    subscriptions = offline.client.v1.subscriptions
    (named,) = subscriptions.retrieve(contract).discounts
    (whole,) = subscriptions.retrieve(contract, {"expand": ["discounts"]}).discounts
    assert isinstance(whole, stripe.Discount)
    assert (whole.id, whole.source.coupon) == (named, given[0]["coupon"])
    assert not problems_of(whole.to_dict(for_json=True))
    (told,) = offline.objects("invoice.paid")
    (line,) = told["lines"]["data"]
    assert line["discount_amounts"] == [{"amount": 1450, "discount": named}]
    assert subscriptions.update(contract, {"discounts": ""}).discounts == []
    assert "customer.discount.deleted" in offline.types()
    offline.world.advance(31 * DAY)
    assert totals(offline) == [1450, 2900]


def test_a_promotion_code_is_typed_on_the_page(offline: Offline) -> None:
    """The page has a field where codes are allowed; a right one lowers what is due, once."""
    coupon_id = coupon(offline)
    promotion = code(offline, "SPRING", coupon_id, max_redemptions=1)
    price, customer = offline.price(2900), offline.customer()
    session = offline.session(price, customer, allow_promotion_codes=True)
    page = make_app(offline.world).test_client()
    local = {"base_url": "http://127.0.0.1:9000"}
    assert 'name="promotion_code"' in page.get(f"/c/pay/{session}", **local).text
    path = f"/c/promotion/{session}"
    refused = page.post(path, data={"promotion_code": "WINTER"}, **local)
    assert (refused.status_code, "code is invalid" in refused.text) == (422, True)
    assert page.post(path, data={"promotion_code": " spring "}, **local).status_code == 303
    shown = page.get(f"/c/pay/{session}", **local).text
    assert "50% off, every time" in shown
    assert "$14.50" in shown
    assert 'name="promotion_code"' not in shown
    assert isinstance(offline.world.pay(session, GOOD), Paid)
    done = offline.client.v1.checkout.sessions.retrieve(session)
    assert (done.amount_subtotal, done.amount_total) == (2900, 1450)
    assert done.discounts is not None
    assert done.discounts[0].promotion_code == promotion
    other = offline.session(price, customer, allow_promotion_codes=True)
    assert isinstance(offline.world.apply_code(other, "SPRING"), Declined)


def test_a_code_that_takes_everything_needs_no_payment(offline: Offline) -> None:
    """Nothing is due, so nothing is collected, even after a card was refused."""
    code(offline, "FREE", coupon(offline, percent_off=100, duration="once"))
    price = offline.price(500, interval=None)
    session = offline.session(price, offline.customer(), allow_promotion_codes=True)
    offline.world.pay(session, "4000000000009995")
    assert offline.world.apply_code(session, "free") is None
    assert isinstance(offline.world.pay(session, GOOD), Paid)
    done = offline.client.v1.checkout.sessions.retrieve(session)
    assert (done.payment_status, done.payment_intent) == ("no_payment_required", None)


def test_codes_are_found_by_what_is_typed(offline: Offline) -> None:
    """Whatever the case of its letters; typed as the SDK types it; and never twice at once."""
    promotion = code(offline, "Spring", coupon(offline))
    codes = offline.client.v1.promotion_codes
    (found,) = codes.list({"code": "SPRING", "active": True}).data
    assert (found.id, codes.retrieve(promotion).id) == (promotion, promotion)
    assert not problems_of(found.to_dict(for_json=True))
    assert not problems_of(offline.client.v1.coupons.list().data[0].to_dict(for_json=True))
    with pytest.raises(stripe.InvalidRequestError):
        code(offline, "SPRING", coupon(offline))


@pytest.mark.parametrize(
    "terms",
    [
        {"percent_off": 101},
        {"amount_off": 100},
        {"duration": "once"},
        {"percent_off": 10, "duration": "repeating"},
    ],
)
def test_a_coupon_that_makes_no_sense_is_refused(offline: Offline, terms: dict[str, Any]) -> None:
    """Too much, of no currency, nothing, and for no months."""
    with pytest.raises(stripe.InvalidRequestError):
        coupon(offline, **terms)
