"""What users may see, over real engines: the contract's schemas, page by page, each user's own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from db.engine import make_engine
from db.queue.stream import STREAM
from ingest.app import create_app
from ingest.context import open_context
from settings import Settings
from tests.ingest.builders import a_body, a_signature, as_user

SEED = """
    INSERT INTO plans (id, version, type, name, description, tokens, interval) VALUES
        (1, 1, 'full', 'Pro monthly', 'Good', 10000, 'month'),
        (2, 1, 'token', 'Small package', '', 500, NULL);
    INSERT INTO plan_prices (plan_id, version, currency, amount_minor) VALUES
        (1, 1, 'usd', 2900), (1, 1, 'eur', 2700), (2, 1, 'usd', 300);
    INSERT INTO stripe_prices (id, plan_id, version, currency) VALUES ('price_1', 1, 1, 'usd');
    INSERT INTO subscriptions (id, user_id, status, started_at, items) VALUES
        ('sub_1', 'user_1', 'active', '2026-03-01Z',
         '[{"id": "si_1", "price_id": "price_1", "quantity": 2,
            "period_start": 1772323200, "period_end": 1775001600}]');
    INSERT INTO payments (id, kind, root_id, facts, listed, user_id, status, currency,
                          amount_minor, plan_id, plan_version, subscription_id, tokens,
                          created_at)
    SELECT 'in_' || n, 'invoice', 'in_' || n, '{}', true, 'user_1', 'paid', 'usd', 5800, 1, 1,
           'sub_1', 20000, '2026-03-01Z'::timestamptz + n * interval '1 day'
    FROM generate_series(1, 3) AS n;
    INSERT INTO token_accounts (user_id, balance, updated_at)
        VALUES ('user_1', 60000, '2026-03-04Z');
    INSERT INTO ledger_entries (user_id, delta, kind, balance_after, payment_id, event_id, reason)
    SELECT 'user_1', 20000, 'grant', 20000 * n, 'in_' || n, 'evt_' || n, 'invoice paid'
    FROM generate_series(1, 3) AS n;
"""


@pytest.fixture(scope="module")
def seeded(database_url: str) -> Iterator[Engine]:
    """A database with one busy user."""
    engine = make_engine(database_url, pool_size=1)
    with engine.begin() as connection:
        connection.execute(text(SEED.replace(":", r"\:")))
    yield engine
    engine.dispose()


def get(client: FlaskClient, path: str, user: str = "user_1") -> Any:
    """The answer to a user, which must be a 200."""
    answer = client.get(path, headers=as_user(user))
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def test_plans_have_the_shape_of_the_contract(reader: FlaskClient) -> None:
    """Both lists, in the configured currency or in the wished one."""
    plan = {
        "id": 1,
        "plan_type": "full",
        "name": "Pro monthly",
        "description": "Good",
        "tokens": 10000,
        "interval": "month",
        "interval_count": 1,
        "currency": "usd",
        "amount": 2900,
        "prices": {"eur": 2700, "usd": 2900},
        "trial_days": 0,
        "trial_tokens": 0,
    }
    assert get(reader, "/billing/plans/full/") == {"items": [plan], "next_cursor": None}
    [wished] = get(reader, "/billing/plans/full?currency=EUR")["items"]
    assert (wished["currency"], wished["amount"]) == ("eur", 2700)
    [package] = get(reader, "/billing/plans/token/")["items"]
    assert (package["plan_type"], package["interval"]) == ("token", None)


def test_subscriptions_have_the_shape_of_the_contract(reader: FlaskClient) -> None:
    """Every field, times in ISO 8601 UTC."""
    assert get(reader, "/billing/subscriptions/") == {
        "items": [
            {
                "id": "sub_1",
                "plan_id": 1,
                "plan_type": "full",
                "status": "active",
                "is_active": True,
                "quantity": 2,
                "items": [{"plan_id": 1, "quantity": 2}],
                "current_period_start": "2026-03-01T00:00:00+00:00",
                "current_period_end": "2026-04-01T00:00:00+00:00",
                "cancel_at_period_end": False,
                "cancel_at": None,
                "canceled_at": None,
                "trial_end": None,
                "pause_collection": None,
            }
        ],
        "next_cursor": None,
    }


def test_payments_have_the_shape_of_the_contract(reader: FlaskClient) -> None:
    """Newest first, every field."""
    items = get(reader, "/billing/payments/")["items"]
    assert [item["id"] for item in items] == ["in_3", "in_2", "in_1"]
    assert items[0] == {
        "id": "in_3",
        "amount": 5800,
        "amount_refunded": 0,
        "amount_disputed": 0,
        "currency": "usd",
        "status": "paid",
        "plan_id": 1,
        "plan_type": "full",
        "subscription_id": "sub_1",
        "tokens": 20000,
        "receipt_url": None,
        "note": None,
        "created_at": "2026-03-04T00:00:00+00:00",
    }


def test_tokens_and_ledger_have_the_shape_of_the_contract(reader: FlaskClient) -> None:
    """The balance, and the entries that make it."""
    assert get(reader, "/billing/tokens") == {
        "balance": 60000,
        "updated_at": "2026-03-04T00:00:00+00:00",
    }
    items = get(reader, "/billing/tokens/ledger/")["items"]
    assert sum(item["delta"] for item in items) == 60000
    assert set(items[0]) == {
        "id",
        "delta",
        "kind",
        "balance_after",
        "payment_id",
        "event_id",
        "reason",
        "created_at",
    }
    assert (items[0]["kind"], items[0]["payment_id"], items[0]["balance_after"]) == (
        "grant",
        "in_3",
        60000,
    )


@pytest.mark.parametrize("path", ["/billing/payments/", "/billing/tokens/ledger/"])
def test_a_list_is_read_page_by_page(reader: FlaskClient, path: str) -> None:
    """Following the cursor ends, and shows each item once, in the order of the whole list."""
    whole = [item["id"] for item in get(reader, path)["items"]]
    seen, cursor = [], ""
    while cursor is not None:
        found = get(reader, f"{path}?limit=1{cursor and '&cursor=' + cursor}")
        seen += [item["id"] for item in found["items"]]
        cursor = found["next_cursor"]
    assert seen == whole
    assert len(seen) == 3


def test_another_user_sees_nothing_even_with_a_borrowed_cursor(reader: FlaskClient) -> None:
    """A cursor is a place in a list, not a key to it."""
    cursor = get(reader, "/billing/payments/?limit=1")["next_cursor"]
    empty: dict[str, Any] = {"items": [], "next_cursor": None}
    for path in ("subscriptions/", "payments/", f"payments/?cursor={cursor}", "tokens/ledger/"):
        assert get(reader, f"/billing/{path}", "user_2") == empty
    assert get(reader, "/billing/tokens/", "user_2") == {"balance": 0, "updated_at": None}


def test_a_cursor_of_another_list_is_refused(reader: FlaskClient) -> None:
    """422, for it would say nothing sensible here."""
    cursor = get(reader, "/billing/payments/?limit=1")["next_cursor"]
    answer = reader.get(f"/billing/tokens/ledger/?cursor={cursor}", headers=as_user())
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (422, "invalid_cursor")


def test_an_edge_with_its_engines_is_ready(reader: FlaskClient) -> None:
    """Each dependency is named, and well."""
    answer = reader.get("/readyz")
    assert (answer.status_code, answer.get_json()["status"]) == (200, "ready")
    dependencies = answer.get_json()["dependencies"]
    assert set(dependencies) == {"database", "redis", "stream", "stripe", "authentication"}
    assert all(check["ok"] for check in dependencies.values()), dependencies


def test_an_event_goes_to_the_real_stream_and_wakes_a_real_worker(
    reader: FlaskClient, redis_url: str
) -> None:
    """Redis of these tests is durable, so INTAKE=auto uses it; Celery's queue holds one drain."""
    import redis  # noqa: PLC0415 - only this test talks to it.

    for event_id in ("evt_a", "evt_b"):
        body = a_body(id=event_id)
        path = "/billing/stripe/webhook/"
        assert reader.post(path, data=body, headers=a_signature(body)).status_code == 200
    with redis.Redis.from_url(redis_url) as client:
        assert client.xlen(STREAM) == 2
        # The wake-up is sent by a thread of its own.
        _, message = client.brpop(["billing"], timeout=10)
        assert b"workers.tasks.drain" in message
        assert client.llen("billing") == 0


def test_the_inbox_takes_what_a_missing_redis_cannot(
    seeded: Engine, database_url: str, configured: Callable[..., Settings]
) -> None:
    """In the real table, once, however often it is sent."""
    found = configured(DATABASE_URL=database_url, INTAKE="auto")
    opened = open_context(found)
    client = create_app(found, opened=opened).test_client()
    body = a_body(id="evt_fallback")
    for _ in range(2):
        answer = client.post("/billing/stripe/webhook/", data=body, headers=a_signature(body))
        assert answer.status_code == 200
    opened.engine.dispose()
    with seeded.connect() as connection:
        statement = text("SELECT status, source FROM webhook_events WHERE id = 'evt_fallback'")
        assert connection.execute(statement).all() == [("received", "webhook")]
