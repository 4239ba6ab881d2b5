"""`load_plans` on real engines: versions, bound prices, and payments that waited for a plan."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from tests.pipeline import a_wiring, balances, empty, work
from tests.stripe_objects import a_line, a_session, an_event, an_invoice
from workers.commands.catalogue import load_file, load_plans
from workers.wiring import Wiring

Load = Callable[[str], list[int]]

PRO = """
[[plans]]
id = 2
type = "full"
name = "Pro"
tokens = {tokens}
interval = "month"
prices = {{ usd = 2900 }}
stripe_price_ids = {{ usd = "{price}" }}
"""
PACK = """
[[plans]]
id = 4
type = "token"
name = "Pack"
tokens = 1000
prices = { usd = 500 }
"""


@pytest.fixture(scope="module")
def shop(database_url: str, redis_url: str) -> Iterator[Wiring]:
    """A worker's ports."""
    wiring = a_wiring(database_url, redis_url)
    yield wiring
    wiring.engine.dispose()


@pytest.fixture
def wiring(shop: Wiring) -> Wiring:
    """The same, with nothing sold and nothing in the catalogue."""
    empty(shop.engine)
    with shop.engine.begin() as connection:
        connection.execute(text("TRUNCATE plans, plan_prices, stripe_prices"))
        connection.execute(text("UPDATE catalogue_revision SET revision = revision + 1"))
    return shop


@pytest.fixture
def load(database_url: str, tmp_path: Path) -> Load:
    """Loads a catalogue given as text; answers with the ids of the plans that changed."""

    def run(catalogue: str) -> list[int]:
        path = tmp_path / "plans.toml"
        path.write_text(catalogue)
        return [change.after.id for change in load_file(database_url, path)]

    return run


def an_invoice_of(user: str, price: str, **changes: Any) -> dict[str, Any]:
    """A paid invoice of one month of Pro."""
    invoice = an_invoice([a_line(2_900, price)], metadata={"user_id": user}, **changes)
    return an_event("invoice.paid", invoice)


def test_the_second_time_nothing_changes(wiring: Wiring, load: Load) -> None:
    """Idempotent, also after a change of terms."""
    del wiring
    assert load(PRO.format(tokens=100, price="price_a") + PACK) == [2, 4]
    assert load(PRO.format(tokens=100, price="price_a") + PACK) == []
    assert load(PRO.format(tokens=200, price="price_a") + PACK) == [2]
    assert load(PRO.format(tokens=200, price="price_a") + PACK) == []


def test_what_waited_for_its_plan_takes_effect_when_the_catalogue_is_loaded(
    wiring: Wiring,
    load: Load,
) -> None:
    """Sold before the catalogue knew of it."""
    session = an_event("checkout.session.completed", a_session(customer=None))
    work(wiring, [an_invoice_of("user_1", "price_a"), session])
    assert balances(wiring.engine) == {}
    load(PRO.format(tokens=100, price="price_a") + PACK)
    assert balances(wiring.engine) == {"user_1": 1_100}
    with wiring.engine.connect() as connection:
        causes = connection.execute(text("SELECT event_id FROM ledger_entries")).scalars().all()
    assert causes == [None, None]


def test_a_price_keeps_the_terms_it_was_sold_at(wiring: Wiring, load: Load) -> None:
    """More tokens for the plan need a new price; the old price goes on as it was sold."""
    load(PRO.format(tokens=100, price="price_a"))
    work(wiring, [an_invoice_of("user_1", "price_a", id="in_1")])
    load(PRO.format(tokens=200, price="price_b"))
    work(
        wiring,
        [
            an_invoice_of("user_1", "price_a", id="in_2"),
            an_invoice_of("user_1", "price_b", id="in_3"),
        ],
    )
    assert balances(wiring.engine) == {"user_1": 100 + 100 + 200}


def test_a_plan_that_is_no_longer_sold_is_still_honoured(wiring: Wiring, load: Load) -> None:
    """Deleted from the file: inactive, and its payments keep their worth."""
    load(PRO.format(tokens=100, price="price_a") + PACK)
    assert load(PACK) == [2]
    work(wiring, [an_invoice_of("user_1", "price_a")])
    assert balances(wiring.engine) == {"user_1": 100}


def test_a_price_bound_late_revalues_what_was_sold_by_it(wiring: Wiring, load: Load) -> None:
    """Valued by its metadata first; the price says another plan and stands."""
    load(PRO.format(tokens=100, price="price_a"))
    invoice = an_invoice([a_line(2_900, "price_c")], metadata={"user_id": "user_1", "plan_id": "2"})
    work(wiring, [an_event("invoice.paid", invoice)])
    assert balances(wiring.engine) == {"user_1": 100}
    other = PRO.replace("id = 2", "id = 7").format(tokens=300, price="price_c")
    load(PRO.format(tokens=100, price="price_a") + other)
    assert balances(wiring.engine) == {"user_1": 300}


def test_every_problem_of_a_file_is_named_at_once(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command says them all, and exits 1."""
    monkeypatch.setenv("DATABASE_URL", database_url.replace("+psycopg2", ""))
    path = tmp_path / "plans.toml"
    path.write_text('[[plans]]\nid = 1\ntype = "gift"\nname = ""\ntokens = -1\n')
    result = CliRunner().invoke(load_plans, [str(path)])
    assert result.exit_code == 1
    for word in ("type", "name", "tokens", "prices"):
        assert f"plan 1: {word} " in result.output
