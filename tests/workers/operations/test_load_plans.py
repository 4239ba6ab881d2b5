"""`load_plans` on real engines: versions, bound prices, and payments that waited for a plan."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text

import db.ledger.catalogue
from db.ledger.rederiving import derive_after
from domain.catalogue.features import ALLOW, Policies, Policy
from tests.pipeline import a_worker_context, balances, empty, work
from tests.stripe_objects import a_line, a_session, an_event, an_invoice
from workers.commands.catalogue import load_file, load_plans
from workers.context import WorkerContext

Load = Callable[[str], list[int]]
Run = Callable[[str], str]

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
A_PURCHASE = """
INSERT INTO purchases (id, user_id, plan_id, plan_version, currency, amount_minor, mode,
                       fingerprint, params, state, session_id, url, expires_at)
VALUES (repeat('0', 32), 'user_1', 4, 1, 'usd', 500, 'payment', repeat('0', 64), '{}', 'open',
        'cs_1', 'u', '2999-01-01Z')
"""


@pytest.fixture(scope="module")
def shop(database_url: str, redis_url: str) -> Iterator[WorkerContext]:
    """A worker's ports."""
    context = a_worker_context(database_url, redis_url)
    yield context
    context.engine.dispose()


@pytest.fixture
def context(shop: WorkerContext) -> WorkerContext:
    """The same, with nothing sold and nothing in the catalogue."""
    empty(shop.engine)
    with shop.engine.begin() as connection:
        connection.execute(
            text(
                "TRUNCATE plans, plan_prices, stripe_prices, prices_without_tokens,"
                " access_policies, purchases, checkout_keys"
            )
        )
        connection.execute(text("UPDATE catalogue_revision SET revision = revision + 1"))
    return shop


@pytest.fixture
def load(database_url: str, tmp_path: Path) -> Load:
    """Loads a catalogue given as text; answers with the ids of the plans that changed."""

    def run(catalogue: str) -> list[int]:
        path = tmp_path / "plans.toml"
        path.write_text(catalogue)
        return [change.after.id for change in load_file(database_url, path).plans]

    return run


@pytest.fixture
def run(
    context: WorkerContext, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Runs the command on a catalogue given as text; answers with what it says."""
    del context
    monkeypatch.setenv("DATABASE_URL", database_url.replace("+psycopg2", ""))
    path = tmp_path / "plans.toml"

    def invoke(catalogue: str) -> str:
        path.write_text(catalogue)
        result = CliRunner().invoke(load_plans, [str(path)])
        assert result.exit_code == 0, result.output
        return result.output

    return invoke


def an_invoice_of(user: str, price: str, **changes: Any) -> dict[str, Any]:
    """A paid invoice of one month of Pro."""
    invoice = an_invoice([a_line(2_900, price)], metadata={"user_id": user}, **changes)
    return an_event("invoice.paid", invoice)


def current(context: WorkerContext) -> set[str]:
    """The price ids at which checkout sells."""
    with context.engine.connect() as connection:
        return db.ledger.catalogue.current_price_ids(connection)


def test_the_second_time_nothing_changes(context: WorkerContext, load: Load) -> None:
    """Idempotent, also after a change of terms."""
    del context
    assert load(PRO.format(tokens=100, price="price_a") + PACK) == [2, 4]
    assert load(PRO.format(tokens=100, price="price_a") + PACK) == []
    assert load(PRO.format(tokens=200, price="price_a") + PACK) == [2]
    assert load(PRO.format(tokens=200, price="price_a") + PACK) == []


def test_what_waited_for_its_plan_takes_effect_when_the_catalogue_is_loaded(
    context: WorkerContext,
    load: Load,
) -> None:
    """Sold before the catalogue knew of it."""
    session = an_event("checkout.session.completed", a_session(customer=None))
    work(context, [an_invoice_of("user_1", "price_a"), session])
    assert balances(context.engine) == {}
    load(PRO.format(tokens=100, price="price_a") + PACK)
    assert balances(context.engine) == {"user_1": 1_100}
    with context.engine.connect() as connection:
        causes = connection.execute(text("SELECT event_id FROM ledger_entries")).scalars().all()
    assert causes == [None, None]


def test_a_price_keeps_the_terms_it_was_sold_at(context: WorkerContext, load: Load) -> None:
    """More tokens for the plan need a new price; the old price goes on as it was sold."""
    load(PRO.format(tokens=100, price="price_a"))
    work(context, [an_invoice_of("user_1", "price_a", id="in_1")])
    load(PRO.format(tokens=200, price="price_b"))
    work(
        context,
        [
            an_invoice_of("user_1", "price_a", id="in_2"),
            an_invoice_of("user_1", "price_b", id="in_3"),
        ],
    )
    assert balances(context.engine) == {"user_1": 100 + 100 + 200}


def test_a_plan_that_is_no_longer_sold_is_still_honoured(
    context: WorkerContext, load: Load
) -> None:
    """Deleted from the file: inactive, and its payments keep their worth."""
    load(PRO.format(tokens=100, price="price_a") + PACK)
    assert load(PACK) == [2]
    work(context, [an_invoice_of("user_1", "price_a")])
    assert balances(context.engine) == {"user_1": 100}


def test_a_currency_that_is_no_longer_sold_is_still_honoured(
    context: WorkerContext, load: Load
) -> None:
    """Who subscribed in pounds goes on in pounds."""
    pounds = PRO.replace("usd = 2900", "usd = 2900, gbp = 2500")
    bound = 'gbp = "price_pounds", usd ='
    load(pounds.format(tokens=100, price="price_a").replace('{ usd = "', f'{{ {bound} "'))
    assert current(context) == {"price_a", "price_pounds"}
    assert load(PRO.format(tokens=100, price="price_a")) == [2]
    assert load(PRO.format(tokens=100, price="price_a")) == []
    assert current(context) == {"price_a"}
    invoice = an_invoice(
        [a_line(5_000, "price_pounds")], metadata={"user_id": "user_1"}, currency="gbp"
    )
    work(context, [an_event("invoice.paid", invoice)])
    assert balances(context.engine) == {"user_1": 200}


def test_what_goes_off_sale_is_told(context: WorkerContext, run: Run) -> None:
    """Line by line; the second time there is nothing to tell but pages that are open yet."""
    pro = PRO.format(tokens=100, price="price_a")
    run(pro.replace("usd = 2900", "usd = 2900, gbp = 2500") + PACK)
    with context.engine.begin() as connection:
        connection.execute(text(A_PURCHASE))
    told = run(pro)
    assert "~ plan 2 version 1  Pro\n    price gbp: 2500 -> off sale\n" in told
    assert "~ plan 4 version 1  Pack\n    off sale: no longer in the file\n" in told
    still_open = (
        "! plan 4 is off sale in usd, and 1 checkout session opened before can be paid until"
        " 2999-01-01 00:00 UTC: expire them at Stripe if they must not be\n"
    )
    assert still_open in told
    assert run(pro) == f"{still_open}Nothing to change.\n"


def test_a_price_bound_late_revalues_what_was_sold_by_it(
    context: WorkerContext, load: Load
) -> None:
    """Valued by its metadata first; the price says another plan and stands."""
    load(PRO.format(tokens=100, price="price_a"))
    invoice = an_invoice([a_line(2_900, "price_c")], metadata={"user_id": "user_1", "plan_id": "2"})
    work(context, [an_event("invoice.paid", invoice)])
    assert balances(context.engine) == {"user_1": 100}
    other = PRO.replace("id = 2", "id = 7").format(tokens=300, price="price_c")
    load(PRO.format(tokens=100, price="price_a") + other)
    assert balances(context.engine) == {"user_1": 300}


def test_what_is_low_after_a_load_is_what_the_setting_says(
    context: WorkerContext, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever moves a balance judges it alike."""
    monkeypatch.setenv("LOW_BALANCE", "0.5")
    run(PRO.format(tokens=300, price="price_a"))
    invoice = an_invoice([a_line(2_900, "price_c")], metadata={"user_id": "user_1", "plan_id": "2"})
    work(context, [an_event("invoice.paid", invoice)])
    other = PRO.replace("id = 2", "id = 7").format(tokens=100, price="price_c")
    run(PRO.format(tokens=300, price="price_a") + other)
    assert balances(context.engine) == {"user_1": 100}
    with context.engine.connect() as connection:
        lowest = text("SELECT data ->> 'balance' FROM outbox WHERE type = 'tokens.low'")
        assert connection.execute(lowest).scalars().all() == ["100"]


def test_prices_without_tokens_reach_a_worker_that_runs_already(
    context: WorkerContext, load: Load
) -> None:
    """Also where nothing else in the file has changed; and they leave with the file."""

    def sells_none() -> bool:
        with context.engine.connect() as connection:
            return context.catalogue.get(connection).sells_no_tokens("price_fee")

    load(PACK)
    assert not sells_none()
    assert load(f'prices_without_tokens = ["price_fee"]{PACK}') == []
    assert sells_none()
    load(PACK)
    assert not sells_none()


def test_what_was_sold_by_a_price_without_tokens_is_settled_again(
    context: WorkerContext, load: Load
) -> None:
    """When it gets among them and when it leaves them."""
    load(PRO.format(tokens=100, price="price_a"))
    work(context, [an_invoice_of("user_1", "price_a")])
    assert derive_after(context.engine, [], context.catalogue) == 0
    assert derive_after(context.engine, [], context.catalogue, price_ids={"price_other"}) == 0
    assert derive_after(context.engine, [], context.catalogue, price_ids={"price_a"}) == 1


def test_a_load_settles_what_its_prices_without_tokens_concern(
    context: WorkerContext, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same price once when it comes and once when it goes, and not in between."""
    del context
    derived: list[set[str]] = []
    monkeypatch.setattr(
        "workers.commands.catalogue.derive_after",
        lambda *_, price_ids: derived.append(set(price_ids)),
    )
    load(PACK)
    with_fee = f'prices_without_tokens = ["price_fee"]{PACK}'
    for catalogue in (with_fee, with_fee, PACK, PACK):
        load(catalogue)
    assert derived == [set(), {"price_fee"}, {"price_fee"}]


def test_changes_of_prices_without_tokens_are_told(run: Run) -> None:
    """And counted beside the plans."""
    with_fee = f'prices_without_tokens = ["price_fee"]{PACK}'
    run(PACK)
    told = "~ price_fee: sells no tokens\n1 prices without tokens changed.\n"
    assert run(with_fee) == told
    assert run(with_fee) == "Nothing to change.\n"
    assert "~ price_fee: no longer among the prices without tokens\n" in run(PACK)
    assert run(with_fee + PACK.replace("id = 4", "id = 5")).endswith(
        "1 plans changed. 1 prices without tokens changed.\n"
    )


def test_features_and_policies_are_told_and_make_no_new_version(
    context: WorkerContext, run: Run
) -> None:
    """They hold for everybody who has the plan, so what was sold needs no version of its own."""
    plain = PRO.format(tokens=10_000, price="price_1")
    run(plain)
    catalogue = f"""
    [policies]
    past_due = {{ grace = "7d" }}
    unpaid = "allow"
    {plain}features = {{ api = true, seats = 5 }}
    """
    assert run(catalogue) == (
        "~ plan 2 version 1  Pro\n"
        "    feature api: none -> yes\n"
        "    feature seats: none -> 5\n"
        "~ policy past_due: allow -> grace of 7d\n"
        "~ policy unpaid: refuse -> allow\n"
        "1 plans changed. 2 policies changed.\n"
    )
    assert run(catalogue) == "Nothing to change.\n"
    with context.engine.connect() as connection:
        kept = db.ledger.catalogue.load(connection)
    assert [(plan.version, plan.features) for plan in kept.plans] == [
        (1, {"api": True, "seats": 5})
    ]
    assert kept.policies == Policies(past_due=Policy(True, 604_800), unpaid=ALLOW)  # noqa: FBT003 - a row.
    assert "    feature seats: 5 -> none\n" in run(catalogue.replace(", seats = 5", ""))
    assert "~ policy unpaid: allow -> refuse\n" in run(plain)


def test_a_dry_run_shows_everything_and_writes_nothing(
    context: WorkerContext, run: Run, tmp_path: Path
) -> None:
    """The same lines as the load that follows, and what can still be paid."""
    run(PACK)
    with context.engine.begin() as connection:
        connection.execute(text(A_PURCHASE))
    path = tmp_path / "next.toml"
    path.write_text(PRO.format(tokens=100, price="price_a"))
    dry = CliRunner().invoke(load_plans, [str(path), "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert current(context) == set()
    again = CliRunner().invoke(load_plans, [str(path), "--dry-run"])
    assert again.output == dry.output
    assert dry.output.endswith("2 plans would change.\n")
    assert "1 checkout session opened before can be paid" in dry.output
    loaded = run(path.read_text())
    assert loaded == dry.output.replace("would change", "changed")
    assert current(context) == {"price_a"}


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
