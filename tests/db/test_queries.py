"""What the read endpoints show, asked of a real PostgreSQL."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from sqlalchemy import Connection, insert, text

from db import queries, tables
from db.engine import make_engine

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, tzinfo=UTC)
MAY = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    """A transaction that is undone after the test."""
    engine = make_engine(database_url, pool_size=1)
    with engine.connect() as connection:
        yield connection
        connection.rollback()
    engine.dispose()


def a_plan(connection: Connection, plan_id: int, version: int = 1, **changes: Any) -> None:
    """A plan, sold in the currencies of `prices`, known to Stripe as price_<id>_<version>."""
    row = {
        "id": plan_id,
        "version": version,
        "type": "full",
        "name": f"Plan {plan_id}",
        "tokens": 1000,
        "interval": "month",
    }
    prices = changes.pop("prices", {"usd": 500})
    connection.execute(insert(tables.plans).values(row | changes))
    for currency, amount in prices.items():
        key = {"plan_id": plan_id, "version": version, "currency": currency}
        connection.execute(insert(tables.plan_prices).values(**key, amount_minor=amount))
        price_id = f"price_{plan_id}_{version}_{currency}"
        connection.execute(insert(tables.stripe_prices).values(**key, id=price_id))


def a_customer(connection: Connection, customer_id: str, user_id: str | None) -> None:
    """A customer, claimed for a user or not."""
    claim = {"claimed_created": 1, "claimed_event_id": "evt_1"} if user_id else {}
    connection.execute(insert(tables.customers).values(id=customer_id, user_id=user_id, **claim))


def a_subscription(connection: Connection, subscription_id: str, **changes: Any) -> None:
    """An active subscription of user_1 to one item of plan 1."""
    row = {
        "id": subscription_id,
        "user_id": "user_1",
        "status": "active",
        "started_at": MARCH,
        "items": [an_item("price_1_1_usd")],
    }
    connection.execute(insert(tables.subscriptions).values(row | changes))


def an_item(price_id: str, quantity: int = 1, start: datetime | None = MARCH) -> dict[str, Any]:
    """A subscription item as the worker keeps it."""
    seconds = int(start.timestamp()) if start else None
    return {
        "id": f"si_{price_id}",
        "price_id": price_id,
        "quantity": quantity,
        "period_start": seconds,
        "period_end": seconds + 86_400 if seconds else None,
    }


def a_payment(connection: Connection, payment_id: str, **changes: Any) -> None:
    """A paid invoice of user_1."""
    row = {
        "id": payment_id,
        "kind": "invoice",
        "root_id": payment_id,
        "facts": {},
        "listed": True,
        "user_id": "user_1",
        "status": "paid",
        "currency": "usd",
        "amount_minor": 500,
        "created_at": MARCH,
    }
    connection.execute(insert(tables.payments).values(row | changes))


def test_plans_are_listed_by_id_while_they_are_sold(connection: Connection) -> None:
    """Of one type, active, in their current version, with the prices of that version."""
    a_plan(connection, 2)
    a_plan(connection, 1, version=1, is_current=False, prices={"usd": 1})
    a_plan(
        connection,
        1,
        version=2,
        prices={"usd": 500, "eur": 450},
        description="Good",
        interval_count=3,
    )
    a_plan(connection, 3, active=False)
    a_plan(connection, 4, type="token", interval=None)
    found = queries.plans(connection, "full", ("usd",), limit=10)
    assert [plan.id for plan in found] == [1, 2]
    assert found[0] == queries.Plan(
        id=1,
        plan_type="full",
        name="Plan 1",
        description="Good",
        tokens=1000,
        interval="month",
        interval_count=3,
        currency="usd",
        amount=500,
        prices={"eur": 450, "usd": 500},
    )
    [package] = queries.plans(connection, "token", ("usd",), limit=10)
    assert (package.id, package.interval, package.interval_count) == (4, None, None)


def test_a_plan_is_priced_in_the_first_currency_it_has(connection: Connection) -> None:
    """The wished one, else the configured one, else its own first by name."""
    a_plan(connection, 1, prices={"usd": 500, "eur": 450})
    a_plan(connection, 2, prices={"usd": 900})
    a_plan(connection, 3, prices={"jpy": 70, "gbp": 60})
    a_plan(connection, 4, prices={})
    found = queries.plans(connection, "full", ("eur", "usd"), limit=10)
    assert [(plan.currency, plan.amount) for plan in found] == [
        ("eur", 450),
        ("usd", 900),
        ("gbp", 60),
        (None, None),
    ]


def test_plans_go_on_after_a_number(connection: Connection) -> None:
    """Keyset: what was shown is not shown again."""
    for plan_id in (1, 2, 3):
        a_plan(connection, plan_id)
    found = queries.plans(connection, "full", ("usd",), limit=1, after=1)
    assert [plan.id for plan in found] == [2]


def test_a_subscription_shows_its_first_item_that_has_a_plan(connection: Connection) -> None:
    """An item of unknown price stays visible and does not stand for the whole."""
    a_plan(connection, 1)
    a_plan(connection, 2)
    items = [
        an_item("price_unknown", 9, APRIL),
        an_item("price_2_1_usd", 3, MAY),
        an_item("price_1_1_usd", 1),
    ]
    a_subscription(connection, "sub_1", items=items, cancel_at=MAY, cancel_at_period_end=True)
    [found] = queries.subscriptions(connection, "user_1", limit=10)
    assert (found.id, found.plan_id, found.plan_type, found.quantity) == ("sub_1", 2, "full", 3)
    assert (found.current_period_start, found.cancel_at) == (MAY, MAY)
    assert (found.cancel_at_period_end, found.canceled_at, found.trial_end) == (True, None, None)
    assert [(item.plan_id, item.quantity) for item in found.items] == [(None, 9), (2, 3), (1, 1)]


def test_a_subscription_without_a_plan_shows_its_first_item(connection: Connection) -> None:
    """Unlinked, and still a subscription."""
    a_subscription(connection, "sub_1", items=[an_item("price_x", 4, APRIL), an_item("price_y")])
    a_subscription(connection, "sub_2", items=[], started_at=APRIL)
    second, first = queries.subscriptions(connection, "user_1", limit=10)
    assert (first.plan_id, first.plan_type, first.quantity) == (None, None, 4)
    assert first.current_period_start == APRIL
    assert (second.plan_id, second.quantity, second.current_period_end) == (None, None, None)
    assert second.items == ()


def test_an_item_of_unknown_price_has_the_claimed_plan(connection: Connection) -> None:
    """A claim counts for one item, where no price is known, and only for a plan that exists."""
    a_plan(connection, 1)
    a_plan(connection, 2)
    items = [an_item("price_inline"), an_item("price_2_1_usd")]
    a_subscription(connection, "sub_1", items=items, claimed_plan_id=1)
    a_subscription(connection, "sub_2", items=items[:1], claimed_plan_id=99, started_at=APRIL)
    a_subscription(connection, "sub_3", items=items[:1], claimed_plan_id=1, started_at=MAY)
    claimed, unknown, known = queries.subscriptions(connection, "user_1", limit=10)
    assert [item.plan_id for item in known.items] == [None, 2]
    assert (known.plan_id, unknown.plan_id, claimed.plan_id) == (2, None, 1)


def test_a_claim_stands_for_the_licensed_item_that_costs_what_the_plan_does(
    connection: Connection,
) -> None:
    """Metered items never; of several the one at the plan's price; none where none has it."""
    a_plan(connection, 1)
    amount = connection.execute(text("SELECT amount_minor FROM plan_prices")).scalar_one()
    costs = {"unit_amount": amount, "currency": "usd"}
    metered = an_item("price_m") | {"id": "si_0", "metered": True} | costs
    other = an_item("price_o") | {"id": "si_1"} | costs | {"unit_amount": amount + 1}
    plan = an_item("price_p", 3) | {"id": "si_2"} | costs
    items = [metered, other, plan]
    a_subscription(connection, "sub_1", items=items, named_plan_id=1)
    a_subscription(connection, "sub_2", items=items[:2], named_plan_id=1, started_at=APRIL)
    several = [other, other | {"id": "si_3"}]
    a_subscription(connection, "sub_3", items=several, named_plan_id=1, started_at=MAY)
    none, only, at_price = queries.subscriptions(connection, "user_1", limit=10)
    assert [item.plan_id for item in at_price.items] == [None, None, 1]
    assert (at_price.plan_id, at_price.quantity) == (1, 3)
    assert [item.plan_id for item in only.items] == [None, 1]
    assert (none.plan_id, [item.plan_id for item in none.items]) == (None, [None, None])


def test_a_price_of_an_old_version_still_names_its_plan(connection: Connection) -> None:
    """What was sold stays what it was."""
    a_plan(connection, 1, version=1, is_current=False)
    a_plan(connection, 1, version=2)
    a_subscription(connection, "sub_1")
    [found] = queries.subscriptions(connection, "user_1", limit=10)
    assert (found.plan_id, found.plan_type) == (1, "full")


@pytest.mark.parametrize(
    ("status", "is_active"),
    [
        ("active", True),
        ("trialing", True),
        ("past_due", True),
        ("incomplete", False),
        ("incomplete_expired", False),
        ("canceled", False),
        ("unpaid", False),
        ("paused", False),
    ],
)
def test_a_subscription_is_active_while_it_gives_access(
    connection: Connection, status: str, *, is_active: bool
) -> None:
    """Contract §5."""
    a_subscription(connection, "sub_1", status=status)
    [found] = queries.subscriptions(connection, "user_1", limit=10)
    assert found.is_active is is_active


def test_a_subscription_is_its_users_or_its_customers(connection: Connection) -> None:
    """Its own user counts first; nobody sees another's, and stubs are seen by nobody."""
    a_customer(connection, "cus_1", "user_1")
    a_customer(connection, "cus_2", "user_2")
    a_customer(connection, "cus_3", None)
    a_subscription(connection, "sub_own", customer_id="cus_2")
    a_subscription(connection, "sub_linked", user_id=None, customer_id="cus_1")
    a_subscription(connection, "sub_other", user_id="user_2", customer_id="cus_1")
    a_subscription(connection, "sub_unlinked", user_id=None, customer_id="cus_3")
    a_subscription(connection, "sub_stub", status=None)
    found = queries.subscriptions(connection, "user_1", limit=10)
    assert [each.id for each in found] == ["sub_own", "sub_linked"]
    assert [each.id for each in queries.subscriptions(connection, "user_2", limit=10)] == [
        "sub_other"
    ]


def test_subscriptions_and_payments_are_read_page_by_page(connection: Connection) -> None:
    """Newest first, ties by id, undated last; nothing twice and nothing left out."""
    times = {"1": MARCH, "2": MAY, "3": APRIL, "4": APRIL, "5": None}
    for name, time in times.items():
        a_subscription(connection, f"sub_{name}", started_at=time)
        a_payment(connection, f"in_{name}", created_at=time)
    for read, prefix in ((queries.subscriptions, "sub"), (queries.payments, "in")):
        seen, position = [], None
        for _ in range(5):
            [row] = read(connection, "user_1", limit=1, after=position)
            seen.append(row.id)
            position = row.position
        assert seen == [f"{prefix}_{name}" for name in "24315"]
        assert read(connection, "user_1", limit=1, after=position) == []


def test_a_payment_shows_what_was_paid_and_what_was_taken_back(connection: Connection) -> None:
    """With the type of its plan."""
    a_plan(connection, 4, type="token", interval=None)
    a_payment(
        connection,
        "cs_1",
        kind="session",
        refunded_minor=100,
        disputed_minor=50,
        status="disputed",
        plan_id=4,
        plan_version=1,
        subscription_id="sub_1",
        tokens=700,
        receipt_url="https://pay.example.com/r",
    )
    [found] = queries.payments(connection, "user_1", limit=10)
    assert found == queries.Payment(
        id="cs_1",
        amount=500,
        amount_refunded=100,
        amount_disputed=50,
        currency="usd",
        status="disputed",
        plan_id=4,
        plan_type="token",
        subscription_id="sub_1",
        tokens=700,
        receipt_url="https://pay.example.com/r",
        note=None,
        created_at=MARCH,
        position=(MARCH, "cs_1"),
    )


def test_only_listed_payments_of_the_user_are_shown(connection: Connection) -> None:
    """Parts, unlinked payments and other users' are not."""
    a_payment(connection, "in_1")
    a_payment(connection, "pi_1", kind="intent", listed=False)
    a_payment(connection, "in_2", user_id="user_2")
    a_payment(connection, "in_3", user_id=None)
    assert [each.id for each in queries.payments(connection, "user_1", limit=10)] == ["in_1"]


def test_a_balance_is_what_the_account_says_or_nothing(connection: Connection) -> None:
    """Someone unknown has 0 tokens, and that never changed."""
    connection.execute(
        insert(tables.token_accounts).values(user_id="user_1", balance=-3, updated_at=MAY)
    )
    assert queries.balance(connection, "user_1") == queries.Balance(-3, MAY)
    assert queries.balance(connection, "user_2") == queries.Balance(0, None)


def an_entry(connection: Connection, delta: int, **changes: Any) -> None:
    """A ledger entry of user_1."""
    row = {
        "user_id": "user_1",
        "delta": delta,
        "kind": "grant",
        "balance_after": delta,
        "payment_id": "cs_1",
        "event_id": "evt_1",
        "reason": "purchase",
    }
    connection.execute(insert(tables.ledger_entries).values(row | changes))


def test_the_ledger_names_payments_as_they_stand_now(connection: Connection) -> None:
    """A session that turned out to be part of an invoice is that invoice."""
    a_payment(connection, "cs_1", kind="session", listed=False, root_id="in_1")
    an_entry(connection, 10)
    an_entry(connection, 5, payment_id="in_gone")
    an_entry(connection, 7, kind="adjustment", payment_id=None, event_id=None)
    found = queries.ledger(connection, "user_1", limit=10)
    assert [(entry.delta, entry.payment_id) for entry in found] == [
        (7, None),
        (5, "in_gone"),
        (10, "in_1"),
    ]
    assert (found[2].kind, found[2].event_id, found[2].reason) == ("grant", "evt_1", "purchase")


def test_an_old_entry_with_an_empty_event_names_none(connection: Connection) -> None:
    """Such entries were posted once, and the ledger keeps them as they are."""
    check = "ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_event_is_named"
    connection.execute(text(check))
    an_entry(connection, 10, event_id="")
    assert [each.event_id for each in queries.ledger(connection, "user_1", limit=10)] == [None]


def test_the_ledger_is_read_backwards_and_only_ones_own(connection: Connection) -> None:
    """Newest first, from a number on."""
    for delta in (1, 2, 3):
        an_entry(connection, delta)
    an_entry(connection, 4, user_id="user_2")
    first = queries.ledger(connection, "user_1", limit=2)
    assert [entry.delta for entry in first] == [3, 2]
    rest = queries.ledger(connection, "user_1", limit=2, before=first[-1].id)
    assert [entry.delta for entry in rest] == [1]
    assert orjson.dumps(first[0].created_at).endswith(b'+00:00"')
