"""Periods of any length in the offline Stripe: every so many days, weeks, months or years."""

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import stripe

from sandbox.simulate.engine import after_interval
from sandbox.stripe.server import make_app
from tests.offline_stripe import DAY, Offline, offline_stripe


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account of its own."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


@pytest.mark.parametrize(
    ("interval", "count"), [("day", 10), ("week", 1), ("week", 2), ("month", 3), ("year", 2)]
)
def test_a_contract_renews_after_its_own_period(
    offline: Offline, interval: str, count: int
) -> None:
    """The price says so, the first period ends so, and the second begins there."""
    price = offline.price(interval=None, recurring={"interval": interval, "interval_count": count})
    told = offline.client.v1.prices.retrieve(price).recurring
    assert told is not None
    assert (told.interval, told.interval_count) == (interval, count)
    contract = offline.subscription(price, offline.customer())
    (item,) = offline.client.v1.subscriptions.retrieve(contract)["items"].data
    began = item.current_period_start
    ends = after_interval(began, interval, count)
    assert item.current_period_end == ends
    offline.world.advance(ends - offline.world.now + DAY)
    (item,) = offline.client.v1.subscriptions.retrieve(contract)["items"].data
    assert item.current_period_start == ends
    # Of the day it began on: what ended early, in a short month, does not end early again.
    assert item.current_period_end == after_interval(began, interval, 2 * count)


def test_a_contract_of_the_31st_ends_early_only_in_short_months(offline: Offline) -> None:
    """Whatever day it is today: the month after a short one is whole again."""
    now = datetime.fromtimestamp(offline.world.now, UTC)
    last_of_january = now.replace(year=now.year + 1, month=1, day=31, hour=12)
    offline.world.advance(int(last_of_january.timestamp()) - offline.world.now)
    contract = offline.subscription(offline.price(), offline.customer())
    ends = []
    for _ in range(3):
        (item,) = offline.client.v1.subscriptions.retrieve(contract)["items"].data
        ends.append(datetime.fromtimestamp(item.current_period_end, UTC))
        offline.renew(contract, seconds_later=DAY)
    february = monthrange(now.year + 1, 2)[1]
    assert [(end.month, end.day) for end in ends] == [(2, february), (3, 31), (4, 30)]


def test_an_inline_price_has_its_period_and_the_page_says_it(offline: Offline) -> None:
    """price_data as for a catalogue's price; the page says how often."""
    params: Any = {
        "mode": "subscription",
        "success_url": "http://shop.test/",
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": "usd",
                    "unit_amount": 900,
                    "recurring": {"interval": "month", "interval_count": 3},
                    "product_data": {"name": "Quarter"},
                },
            }
        ],
    }
    session = offline.client.v1.checkout.sessions.create(params).id
    page = make_app(offline.world).test_client().get(f"/c/pay/{session}").text
    assert "$9.00 every 3 months until you cancel" in page


@pytest.mark.parametrize(("interval", "count"), [("year", 4), ("day", 1096), ("month", 0)])
def test_no_period_is_longer_than_three_years(offline: Offline, interval: str, count: int) -> None:
    """Stripe's own bound; and none is nothing."""
    with pytest.raises(stripe.InvalidRequestError) as error:
        offline.price(interval=None, recurring={"interval": interval, "interval_count": count})
    assert error.value.param == "recurring[interval_count]"
