"""`sync_stripe_products` on a real database, the real client, and an account behind HTTP."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

import db.ledger.catalogue
from db.engine import make_engine
from domain.catalogue.plans import Catalogue, CatalogueChange
from tests.pipeline import sell
from tests.play import a_plan
from tests.stripe_catalogue import Account, Server, serve
from workers.commands.sync_stripe_products import sync_stripe_products

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One server for the module."""
    with serve() as found:
        yield found


@pytest.fixture
def stripe(server: Server) -> Server:
    """An empty account."""
    server.account, server.page = Account(), 100
    server.faults.clear()
    return server


@pytest.fixture(scope="module")
def database(database_url: str) -> Iterator[Engine]:
    """The database."""
    engine = make_engine(database_url, pool_size=1)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(database: Engine) -> Engine:
    """A catalogue of a monthly plan in two currencies and a package, nothing of it in Stripe."""
    with database.begin() as connection:
        connection.execute(text("TRUNCATE plans, plan_prices, stripe_prices"))
    pack = a_plan(2, 50, type="token", interval=None, prices={"usd": 500})
    sell(database, Catalogue.of([a_plan(1, 100, name="Pro"), pack]))
    return database


@pytest.fixture
def run(engine: Engine, stripe: Server, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command on the test database and the server above."""
    del engine
    monkeypatch.setenv("DATABASE_URL", database_url.replace("+psycopg2", ""))
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_of_the_tests")
    monkeypatch.setenv("STRIPE_API_BASE", stripe.url)
    monkeypatch.setenv("BILLING_DATA", "/nowhere")
    monkeypatch.setattr("retry.time.sleep", lambda _: None)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(sync_stripe_products, arguments)

    return invoke


def links(engine: Engine) -> dict[str, tuple[int, str, bool]]:
    """Every bound price id: its plan, its currency, and whether checkout sells at it."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM stripe_prices"))
        return {row.id: (row.plan_id, row.currency, row.is_current) for row in rows}


def active(stripe: Server) -> list[str]:
    """The ids of active prices."""
    return sorted(each["id"] for each in stripe.account.prices.values() if each["active"])


def test_the_second_run_has_nothing_to_do(run: Run, stripe: Server, engine: Engine) -> None:
    """The first makes and links everything; the second asks for no change at all."""
    first = run()
    assert first.exit_code == 0, first.output
    assert stripe.account.posts == 5
    assert sorted(links(engine).values()) == [
        (1, "eur", True),
        (1, "usd", True),
        (2, "usd", True),
    ]
    second = run()
    assert (second.exit_code, second.output) == (0, "Nothing to do.\n")
    assert stripe.account.posts == 5


def test_a_dry_run_shows_the_same_and_changes_nothing(
    run: Run, stripe: Server, engine: Engine
) -> None:
    """Neither there nor here."""
    result = run("--dry-run")
    assert result.exit_code == 0
    assert "29.00 usd a month" in result.output
    assert result.output.endswith("nothing was changed.\n")
    assert (stripe.account.posts, links(engine)) == (0, {})


def test_a_plan_of_three_months_is_made_and_found_again(
    run: Run, stripe: Server, engine: Engine
) -> None:
    """Also where the answer that told of its price was lost."""
    sell(engine, Catalogue.of([a_plan(3, 10, interval_count=3, prices={"usd": 100})]))
    assert "1.00 usd every 3 month" in run("--dry-run").output
    # Six things are made for the other two plans and its product; then its price.
    stripe.faults[:] = [*[None] * 6, "lost"]
    result = run()
    assert result.exit_code == 0, result.output
    price_ids = [key for key, link in links(engine).items() if link[0] == 3]
    (recurring,) = (stripe.account.prices[each]["recurring"] for each in price_ids)
    assert (recurring["interval"], recurring["interval_count"]) == ("month", 3)
    assert run().output == "Nothing to do.\n"


def test_a_pipe_gets_an_aligned_table_without_colours(run: Run) -> None:
    """Every row has its columns in the same places."""
    lines = run("--dry-run").output.splitlines()
    head, *rows = lines[:6]
    assert "\x1b" not in "".join(lines)
    assert len({line.index("create") for line in rows}) == 1
    assert rows[0].index("create") == head.index("what")
    assert rows[1].index("new (eur)") == head.index("which")


def test_json_tells_everything_in_one_object(run: Run) -> None:
    """For programs; with the ids of what was made."""
    told = json.loads(run("--json").output)
    assert [action["do"] for action in told["actions"]][:2] == ["create product", "create price"]
    assert all(action["id"] for action in told["actions"])
    assert (told["failed"], told["dry_run"]) == (0, False)
    assert json.loads(run("--json", "--dry-run").output)["actions"] == []


def test_only_one_type_of_plan(run: Run, engine: Engine) -> None:
    """`--plan-type token` leaves the full plan out."""
    assert run("--plan-type", "token").exit_code == 0
    assert list(links(engine).values()) == [(2, "usd", True)]


def test_every_page_of_the_account_is_read(run: Run, stripe: Server) -> None:
    """Otherwise the second run would make again what it did not see."""
    run()
    stripe.page = 1
    assert run().output == "Nothing to do.\n"


def test_a_new_version_is_linked_and_its_old_price_archived(
    run: Run, stripe: Server, engine: Engine
) -> None:
    """What was sold keeps its price id, and its terms."""
    run()
    before = {price for price, link in links(engine).items() if link[0] == 2}
    with engine.begin() as connection:
        db.ledger.catalogue.lock(connection)
        pack = db.ledger.catalogue.load(connection).current(2)
        assert pack is not None
    raised = a_plan(2, 80, version=2, type="token", interval=None, prices={"usd": 500})
    sell(engine, Catalogue.of([raised]))
    assert run().exit_code == 0
    with engine.connect() as connection:
        catalogue = db.ledger.catalogue.load(connection)
    new = {price for price in active(stripe) if (catalogue.by_price(price) or pack).id == 2}
    assert not new & before
    assert {(catalogue.by_price(price) or pack).tokens for price in before} == {50}
    assert {(catalogue.by_price(price) or pack).tokens for price in new} == {80}
    assert run().output == "Nothing to do.\n"


def test_another_account_and_back(run: Run, stripe: Server, engine: Engine) -> None:
    """Ids of the first stay bound; coming back makes nothing new."""
    run()
    first, there = links(engine), stripe.account
    stripe.account = Account(prefix="other_")
    assert run().exit_code == 0
    both = links(engine)
    assert len(both) == 6
    assert {both[price][2] for price in first} == {False}
    stripe.account = there
    assert run().exit_code == 0
    assert stripe.account.posts == 5
    assert {price for price, link in links(engine).items() if link[2]} == set(first)


def test_an_answer_that_was_lost_is_looked_up(run: Run, stripe: Server, engine: Engine) -> None:
    """The object exists, although Stripe said 500: nothing is made twice."""
    stripe.faults[:] = ["lost", None, "lost"]
    result = run()
    assert result.exit_code == 0, result.output
    assert (len(stripe.account.products), len(active(stripe))) == (2, 3)
    assert len(links(engine)) == 3


def test_an_error_that_stripe_keeps_for_the_key_is_got_round(run: Run, stripe: Server) -> None:
    """Nothing was made: it is asked for again with another key."""
    stripe.faults[:] = [500]
    assert run().exit_code == 0
    assert len(stripe.account.products) == 2


def test_a_refusal_in_the_middle_is_told_and_the_next_run_does_the_rest(
    run: Run, stripe: Server, engine: Engine
) -> None:
    """What was done is linked; the plan's other currency and the other plan are done."""
    stripe.faults[:] = [None, 400]
    result = run()
    assert result.exit_code == 1
    assert "InvalidRequestError, HTTP 400, told_to; request req_of_the_tests" in result.output
    assert "4 of 5 done; run again for the rest." in result.output
    assert sorted(links(engine).values()) == [(1, "usd", True), (2, "usd", True)]
    assert run().exit_code == 0
    assert (stripe.account.posts, len(links(engine))) == (5, 3)


def test_without_the_product_its_prices_are_not_tried(run: Run, stripe: Server) -> None:
    """The other plan is done all the same."""
    stripe.faults[:] = [403]
    result = run()
    assert result.exit_code == 1
    assert result.output.count("not tried, because what it needs was not done") == 2
    assert len(active(stripe)) == 1


def test_an_old_price_stays_until_the_new_one_is_there(
    run: Run, stripe: Server, engine: Engine
) -> None:
    """Otherwise nothing could be sold meanwhile."""
    run()
    before = active(stripe)
    sell(engine, Catalogue.of([a_plan(2, 80, version=2, type="token", interval=None)]))
    stripe.faults[:] = [None, 400, 400]
    assert run().exit_code == 1
    assert active(stripe) == before
    assert run().exit_code == 0


def test_stripe_busy_is_asked_again(run: Run, stripe: Server) -> None:
    """A 429 is no failure."""
    stripe.faults[:] = [429, 429]
    assert run().exit_code == 0
    assert stripe.account.posts == 5


def test_objects_of_the_other_mode_are_refused_before_anything_is_written(
    run: Run, stripe: Server, engine: Engine
) -> None:
    """One line says what to change."""
    stripe.account = Account(livemode=True)
    stripe.account.create("products", {"name": "Live"})
    result = run()
    assert result.exit_code == 1
    assert "is a live object and STRIPE_TEST_MODE is True" in result.output
    assert (stripe.account.posts, links(engine)) == (1, {})


def test_an_empty_account_of_the_other_mode_is_noticed_at_its_first_object(
    run: Run, stripe: Server, engine: Engine
) -> None:
    """An empty list does not tell; nothing of it is linked."""
    stripe.account = Account(livemode=True)
    assert run().exit_code == 1
    assert (stripe.account.posts, links(engine)) == (1, {})


@pytest.mark.parametrize(
    "off_sale", [{"active": False}, {"off_sale_currencies": frozenset({"eur", "usd"})}]
)
def test_what_goes_off_sale_meanwhile_is_not_sold_at(
    run: Run, stripe: Server, engine: Engine, off_sale: dict[str, Any]
) -> None:
    """The next run archives what this one made."""
    create = stripe.account.create

    def meanwhile(kind: str, params: dict[str, object], key: str | None = None) -> object:
        if kind == "prices" and not stripe.account.prices:
            with engine.begin() as connection:
                now = db.ledger.catalogue.load(connection).plans[0]
                change = CatalogueChange(now, replace(now, **off_sale), ())
                db.ledger.catalogue.save(connection, [change])
        return create(kind, params, key)

    stripe.account.create = meanwhile  # type: ignore[method-assign, assignment] # A test's trick.
    result = run()
    assert result.exit_code == 1
    assert "it was taken off sale meanwhile; run again" in result.output
    assert [link[:2] for link in links(engine).values()] == [(2, "usd")]
    assert run().exit_code == 0
    assert active(stripe) == list(links(engine))


def test_without_an_answer_the_rest_is_not_tried(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, no trace."""
    monkeypatch.setenv("STRIPE_API_BASE", "http://127.0.0.1:9")
    result = run()
    assert result.exit_code == 1
    assert result.output.startswith("Error: Stripe could not be asked: APIConnectionError")


def test_a_catalogue_that_changes_meanwhile_is_not_overwritten(
    run: Run, stripe: Server, engine: Engine
) -> None:
    """The price that was made for the older terms is not sold at."""
    create = stripe.account.create

    def meanwhile(kind: str, params: dict[str, object], key: str | None = None) -> object:
        if kind == "prices" and not stripe.account.prices:
            sell(engine, Catalogue.of([a_plan(1, 900, version=2, name="Pro")]))
        return create(kind, params, key)

    stripe.account.create = meanwhile  # type: ignore[method-assign, assignment] # A test's trick.
    result = run()
    assert result.exit_code == 1
    assert "the catalogue was changed meanwhile; run again" in result.output
    assert run().exit_code == 0
    assert run().output == "Nothing to do.\n"
