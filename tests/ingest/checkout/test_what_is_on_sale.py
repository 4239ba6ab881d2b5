"""Checkout and lists sell what the newest catalogue file says, for as long as it says so."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ingest.builders import as_user
from tests.ingest.shop import Shop, opened, problem, swept
from tests.stripe_checkout import serve
from tests.stripe_objects import an_event
from workers.commands.catalogue import Loaded, load_file

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
PACKS = """
[[plans]]
id = 31
type = "token"
name = "Pack"
tokens = 500
prices = {{ usd = 500{more} }}

[[plans]]
id = 32
type = "token"
name = "Other"
tokens = 900
prices = {{ usd = 900 }}
"""
ALL = PACKS.format(more=", gbp = 400")
WITHOUT_POUNDS = PACKS.format(more="")
WITHOUT_PACK = ALL[ALL.index("[[plans]]\nid = 32") :]

Load = Callable[[str], Loaded]


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

    def run(catalogue: str) -> Loaded:
        path = tmp_path / "plans.toml"
        path.write_text(catalogue)
        return load_file(database_url, path)

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


def test_a_currency_taken_out_of_the_file_is_shown_and_sold_no_more(shop: Shop, load: Load) -> None:
    """Until it is back."""
    load(ALL)
    shop.bought(31, currency="gbp")
    load(WITHOUT_POUNDS)
    assert listed(shop, "token")[0]["prices"] == {"usd": 500}
    refused = shop.buy(31, currency="gbp")
    assert problem(refused) == (422, "currency_not_offered")
    assert refused.get_json(force=True)["currencies"] == ["usd"]
    load(ALL)
    assert listed(shop, "token")[0]["prices"] == {"gbp": 400, "usd": 500}
    shop.bought(31, currency="gbp")


def test_a_plan_taken_out_of_the_file_is_shown_and_sold_no_more(shop: Shop, load: Load) -> None:
    """Also where a click or a key has opened its checkout before."""
    load(ALL)
    shop.bought(31, key="one")
    load(WITHOUT_PACK)
    assert [plan["id"] for plan in listed(shop, "token")] == [32]
    assert problem(shop.buy(31)) == (404, "plan_not_found")
    assert problem(shop.buy(31, key="one")) == (404, "plan_not_found")


@pytest.mark.parametrize(
    ("catalogue", "told"),
    [(WITHOUT_POUNDS, [("gbp", 1)]), (WITHOUT_PACK, [("gbp", 1), ("usd", 2)])],
)
def test_what_was_opened_before_is_told_while_it_can_be_paid(
    shop: Shop, load: Load, catalogue: str, told: list[tuple[str, int]]
) -> None:
    """Nobody can take back a page that a buyer has open; whoever loads must know of it."""
    load(ALL)
    shop.bought(31, currency="gbp", user="user_1")
    shop.bought(31, currency="usd", user="user_2")
    paid = shop.bought(31, currency="usd", user="user_3")["session_id"]
    shop.bought(31, currency="usd", user="user_4")
    shop.bought(32, user="user_5")
    assert load(ALL).still_payable == []
    event = shop.told(paid, status="complete", payment_status="paid")
    shop.work(an_event("checkout.session.completed", event))
    found = load(catalogue).still_payable
    assert [(each.plan_id, each.currency, each.sessions) for each in found] == [
        (31, *each) for each in told
    ]
    shop.execute("UPDATE purchases SET expires_at = now() - interval '1 second'")
    assert load(catalogue).still_payable == []
