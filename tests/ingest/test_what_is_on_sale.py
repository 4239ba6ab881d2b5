"""Checkout and lists sell what the newest catalogue file says, for as long as it says so."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ingest.builders import as_user
from tests.ingest.shop import Shop, opened, swept
from tests.stripe_checkout import serve
from workers.commands.catalogue import load_file

SESSION = "POST checkout/sessions"
QUARTERLY = """
[[plans]]
id = 30
type = "full"
name = "Quarterly"
tokens = 30000
interval = "month"
interval_count = 3
prices = { usd = 7900, gbp = 6500 }
"""

Load = Callable[[str], None]


@pytest.fixture(scope="module")
def mall(database_url: str, redis_url: str) -> Iterator[Shop]:
    """One shop for the module."""
    with serve() as stripe, opened(database_url, redis_url, stripe) as found:
        yield found


@pytest.fixture
def shop(mall: Shop) -> Shop:
    """The same with nothing in the catalogue, where nothing has happened yet."""
    mall.execute("TRUNCATE plans, plan_prices, stripe_prices")
    return swept(mall)


@pytest.fixture
def load(database_url: str, tmp_path: Path) -> Load:
    """Loads a catalogue file given as text."""

    def run(catalogue: str) -> None:
        path = tmp_path / "plans.toml"
        path.write_text(catalogue)
        load_file(database_url, path)

    return run


def listed(shop: Shop, plan_type: str = "full") -> list[dict[str, Any]]:
    """What a user is shown."""
    path = f"/billing/plans/{plan_type}/"
    answer = shop.app.test_client().get(path, headers=as_user("user_1"))
    items: list[dict[str, Any]] = answer.get_json()["items"]
    return items


def test_a_plan_of_three_months_is_shown_and_sold_as_one(shop: Shop, load: Load) -> None:
    """Paid monthly it would cost three times as much."""
    load(QUARTERLY)
    [plan] = listed(shop)
    assert (plan["interval"], plan["interval_count"]) == ("month", 3)
    shop.bought(30, plan_type="full")
    [line] = shop.stripe.only(SESSION).params["line_items"].values()
    assert line["price_data"]["recurring"] == {"interval": "month", "interval_count": "3"}
