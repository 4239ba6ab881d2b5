"""What the bench does to stores of its own: the rival form works, and tables grow as they would."""

import orjson
import pytest
from sqlalchemy import create_engine, text

from bench import corpus
from bench.place import Place, StandError
from bench.prefill import grow
from bench.rivals import usual
from sandbox.simulate.plans import SAMPLE_PLANS
from workers.commands.catalogue import load_file

COUNT = 200


@pytest.fixture(scope="module")
def place(database_url: str, redis_url: str) -> Place:
    """A database into which the usual form has applied some events, each of them twice."""
    load_file(database_url, SAMPLE_PLANS)
    engine = create_engine(database_url)
    try:
        for event in corpus.events(COUNT, "usual") * 2:
            usual.apply(engine, orjson.loads(event.body), event.body)
    finally:
        engine.dispose()
    return Place(database_url, redis_url)


def count(place: Place, table: str, where: str = "true") -> int:
    """How many rows there are."""
    engine = create_engine(place.database_url)
    try:
        with engine.connect() as connection:
            query = text(f"SELECT count(*) FROM {table} WHERE {where}")  # noqa: S608 - names are this test's.
            return int(connection.execute(query).scalar_one())
    finally:
        engine.dispose()


def test_the_usual_form_really_does_the_work_once(place: Place) -> None:
    """A rival that did nothing would be no rival."""
    assert count(place, "webhook_events", "status = 'applied'") == COUNT
    assert count(place, "subscriptions", "status IS NOT NULL") > 5
    assert count(place, "payments", "listed AND status = 'paid'") > 20
    assert count(place, "ledger_entries", "kind = 'grant'") > 10
    balances = "balance = (SELECT sum(delta) FROM ledger_entries l WHERE l.user_id = a.user_id)"
    assert count(place, "token_accounts a", f"NOT {balances}") == 0


def test_grown_tables_keep_their_shape_links_and_indexes(place: Place) -> None:
    """Ten times the rows, every payment still with its own events and its own user."""
    tables = ("payments", "ledger_entries", "subscriptions", "customers")
    before = {table: count(place, table) for table in tables}
    indexes = count(place, "pg_indexes", "schemaname = 'public'")
    grow(place, COUNT * 10)
    assert count(place, "webhook_events") == COUNT * 10
    assert {table: count(place, table) for table in tables} == {
        table: number * 10 for table, number in before.items()
    }
    assert count(place, "pg_indexes", "schemaname = 'public'") == indexes
    assert count(place, "payments", "root_id NOT IN (SELECT id FROM payments)") == 0
    orphans = "payment_id NOT IN (SELECT id FROM payments)"
    assert count(place, "ledger_entries", orphans) == 0
    grow(place, COUNT * 10)
    assert count(place, "webhook_events") == COUNT * 10


def test_a_place_tells_what_came_of_events_and_forgets_them(place: Place) -> None:
    """All but the catalogue, by names that any checkout's tables may have."""
    chosen = corpus.events(COUNT, "usual")
    assert place.applied() == count(place, "webhook_events")
    with pytest.raises(StandError, match="the inbox has"):
        place.require_applied(chosen)
    plans = count(place, "plans")
    place.empty()
    assert place.applied() == 0
    assert count(place, "ledger_entries") == 0
    assert count(place, "plans") == plans > 0


def test_redis_has_its_file_rewritten_before_it_is_measured(place: Place) -> None:
    """Whatever was written and forgotten since is not in it any more, and nothing goes on."""
    with place.redis() as client:
        for number in range(2_000):
            client.set("forgotten", "x" * 100 + str(number))
        client.delete("forgotten")
        before = client.info("persistence")["aof_current_size"]
        place.compact()
        after = client.info("persistence")
    assert after["aof_current_size"] < before - 100_000
    assert not after["aof_rewrite_in_progress"]
