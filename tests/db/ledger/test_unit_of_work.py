"""The one call into the ledger: what it locks, what it asks to be locked, what it writes once."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import Engine, text

from db.ledger import locks, unit_of_work
from db.ledger.catalogue import CatalogueCache
from db.ledger.locks import StaleLocks
from domain.decode import Fact, decode, parse
from domain.working_set import Derived
from tests.pipeline import a_worker_context, balances, empty, sell
from tests.play import CATALOGUE
from tests.stripe_objects import a_refund, a_session, an_event


@pytest.fixture
def engine(database_url: str, redis_url: str) -> Engine:
    """An empty database that sells the plans of the tests."""
    made = a_worker_context(database_url, redis_url).engine
    empty(made)
    sell(made, CATALOGUE)
    return made


def facts_of(*events: Mapping[str, Any]) -> list[tuple[str, Fact]]:
    """What these events say, each with its event's id."""
    return [(event["id"], fact) for event in events for fact in decode(parse(event)).facts]


def applied(engine: Engine, facts: Sequence[tuple[str, Fact]]) -> tuple[Derived, int]:
    """Apply in a transaction of its own; returns how many rounds of locks it took, too."""
    rounds = []

    def run(subjects: frozenset[str]) -> Derived:
        rounds.append(subjects)
        with engine.begin() as connection:
            return unit_of_work.apply(connection, facts, CatalogueCache(), subjects)

    return locks.with_locks(run), len(rounds)


SOLD = an_event("checkout.session.completed", a_session())
BACK = an_event("refund.created", a_refund())


def test_what_was_posted_is_not_posted_again(engine: Engine) -> None:
    """The ledger is told the difference, and the second time there is none."""
    first, _ = applied(engine, facts_of(SOLD))
    assert [posting.entry.kind for posting in first.postings] == ["grant"]
    before = balances(engine)
    second, _ = applied(engine, facts_of(SOLD))
    assert second.postings == []
    assert balances(engine) == before != {}


def test_no_fact_and_no_name_touches_nothing(engine: Engine) -> None:
    """It does not even wait for a change of the catalogue."""
    with engine.begin() as connection:
        assert unit_of_work.apply(connection, (), CatalogueCache()) == Derived()
        query = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = :pid")
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        assert connection.execute(query, {"pid": pid}).scalar_one() == 0


def test_the_customer_of_a_named_payment_is_locked_with_it(engine: Engine) -> None:
    """Whoever applies facts of the customer meanwhile waits."""
    applied(engine, facts_of(SOLD))
    session = SOLD["data"]["object"]
    with engine.begin() as connection:
        held = locks.acquire(connection, {session["id"]})
    assert held == {session["id"], session["customer"]}


def test_a_subject_found_while_loading_is_locked_in_a_second_round(engine: Engine) -> None:
    """A stored refund leads to a payment that the new report of it does not name."""
    applied(engine, facts_of(SOLD, BACK))
    failed = a_refund(status="failed", payment_intent="pi_other", charge=None)
    again = facts_of(an_event("refund.failed", failed))
    with engine.begin() as connection, pytest.raises(StaleLocks) as stale:
        unit_of_work.apply(connection, again, CatalogueCache())
    assert SOLD["data"]["object"]["customer"] in stale.value.subjects
    _, rounds = applied(engine, again)
    assert rounds == 2
