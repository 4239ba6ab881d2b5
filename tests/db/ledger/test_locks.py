"""Locks: one writer a subject, and a working set that names more of them while it is loaded."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from db.ledger import locks, unit_of_work
from db.ledger.catalogue import CatalogueCache
from db.ledger.catalogue import lock as lock_catalogue
from db.ledger.locks import StaleLocks
from domain.decode import Fact, decode, parse
from domain.errors import BillingError
from domain.events import Stamp
from domain.payments.claims import Customer
from domain.payments.objects import Kind, MoneyObject
from domain.payments.reversals import Refund
from domain.subscriptions.versions import Subscription
from domain.working_set import Derived
from tests.pipeline import sell
from tests.play import CATALOGUE
from tests.stripe_objects import a_session, an_event


@pytest.fixture
def shop(engine: Engine) -> Engine:
    """A database that sells the tests' plans."""
    with engine.begin() as connection:
        known = connection.execute(text("SELECT count(*) FROM plans")).scalar_one()
    if not known:
        sell(engine, CATALOGUE)
    return engine


def facts_of(*events: Mapping[str, Any]) -> list[tuple[str, Fact]]:
    """What these events say, each with its event's id."""
    return [(event["id"], fact) for event in events for fact in decode(parse(event)).facts]


def apply(connection: Connection, *facts: Fact, subjects: frozenset[str] = frozenset()) -> Derived:
    """Apply facts in an open transaction."""
    named = [("evt_1", fact) for fact in facts]
    return unit_of_work.apply(connection, named, CatalogueCache(), subjects)


def is_free(connection: Connection, name: str) -> bool:
    """Whether a subject could be locked at once by this transaction."""
    connection.execute(text("SAVEPOINT try"))
    connection.execute(text("SET LOCAL lock_timeout = '50ms'"))
    try:
        locks.acquire(connection, {name})
    except Exception:  # noqa: BLE001 - whatever the driver calls it.
        return False
    finally:
        connection.execute(text("ROLLBACK TO SAVEPOINT try"))
    return True


def test_facts_name_their_subjects() -> None:
    """Customers by all their names, objects with their parents, the others by their target."""
    facts: list[Fact] = [
        Customer("cus_1", alias_ids=frozenset({"acct_1"})),
        Subscription("sub_1", "cus_2"),
        Subscription("sub_2"),
        MoneyObject("pi_1", Kind.INTENT, frozenset({"in_1"}), "cus_3"),
        Refund("re_1", "ch_1", "succeeded", 5),
    ]
    expected = {"cus_1", "acct_1", "cus_2", "sub_2", "pi_1", "in_1", "cus_3", "ch_1"}
    assert locks.subjects_of(facts) == expected


def test_only_whom_the_facts_do_not_place_is_looked_up() -> None:
    """An object has its customer from any fact that names it; a refund names its target alone."""
    facts: list[Fact] = [
        MoneyObject("pi_1", Kind.INTENT, frozenset({"in_1"}), "cus_1"),
        MoneyObject("in_1", Kind.INVOICE),
        Refund("re_1", "pi_1", "succeeded", 5),
        Refund("re_2", "ch_2", "succeeded", 5),
        MoneyObject("pi_3", Kind.INTENT, frozenset({"cs_3"})),
    ]
    assert locks.unplaced(facts) == {"ch_2", "pi_3", "cs_3"}


def test_a_customer_that_the_tables_know_better_is_locked_all_the_same(shop: Engine) -> None:
    """The facts place the intent with one customer, what is stored with another one."""
    session = {**a_session(), "id": "cs_better", "payment_intent": "pi_better"}
    with shop.begin() as connection:
        for event_id, fact in facts_of(an_event("checkout.session.completed", session)):
            unit_of_work.apply(connection, [(event_id, fact)], CatalogueCache(), {"cus_1"})
    intent = MoneyObject("pi_better", Kind.INTENT, customer_id="cus_other")
    with shop.begin() as connection, pytest.raises(StaleLocks) as stale:
        apply(connection, intent)
    assert session["customer"] in stale.value.subjects


def test_a_subject_has_one_writer(shop: Engine) -> None:
    """Until the transaction ends; who locks another subject does not wait."""
    with shop.connect() as one, shop.connect() as other:
        locks.acquire(one, {"cus_1"})
        assert not is_free(other, "cus_1")
        assert is_free(other, "cus_2")
        one.rollback()
        assert is_free(other, "cus_1")


def test_the_catalogue_stays_as_it_is_under_the_locks(shop: Engine) -> None:
    """Batches run side by side; a change of terms waits for all of them, and they for it."""
    with shop.connect() as one, shop.connect() as other:
        locks.acquire(one, {"cus_1"})
        assert is_free(other, "cus_2")
        one.rollback()
        lock_catalogue(one)
        assert not is_free(other, "cus_2")


def test_a_stored_object_is_locked_with_its_customer_or_its_root(shop: Engine) -> None:
    """A refund names a charge; the payment it takes from is somebody's."""
    session = a_session()
    with shop.begin() as connection:
        unit_of_work.apply(
            connection,
            facts_of(an_event("checkout.session.completed", session)),
            CatalogueCache(),
        )
        invoice = MoneyObject("in_alone", Kind.INVOICE)
        apply(connection, invoice, MoneyObject("pi_alone", Kind.INTENT, frozenset({"in_alone"})))
    with shop.begin() as connection:
        named = {session["id"], "pi_alone", "pi_unknown"}
        assert locks.acquire(connection, named) == named | {session["customer"], "in_alone"}


def test_only_free_subjects_are_taken_and_nobody_is_waited_for(shop: Engine) -> None:
    """Who else has one is left out with all that belongs to it; the others are locked."""
    session = {**a_session(), "id": "cs_busy", "payment_intent": "pi_busy", "customer": "cus_busy"}
    with shop.begin() as connection:
        unit_of_work.apply(
            connection, facts_of(an_event("checkout.session.completed", session)), CatalogueCache()
        )
    # The refund says no customer: the tables know whose the payment is.
    groups: list[list[Fact]] = [
        [Customer("cus_free")],
        [Refund("re_busy", "pi_busy", "succeeded", 5)],
        [],
        [Subscription("sub_free", "cus_other")],
        [Customer("cus_busy", alias_ids=frozenset({"acct_free"}))],
    ]
    with shop.connect() as one, shop.connect() as other:
        locks.acquire(other, {"cus_busy"})
        held, left = locks.acquire_free(one, groups)
        assert left == {1, 4}
        assert held == {"cus_free", "cus_other", "pi_busy", "acct_free"}
        assert not is_free(other, "cus_free")


def test_where_most_is_taken_it_is_better_to_wait(shop: Engine) -> None:
    """What is to be locked in a second round says who is waited for."""
    groups: list[list[Fact]] = [[Customer("cus_1")], [Customer("cus_2")], [Customer("cus_3")]]
    with shop.connect() as one, shop.connect() as other:
        locks.acquire(other, {"cus_1", "cus_3"})
        with pytest.raises(StaleLocks) as stale:
            locks.acquire_free(one, groups)
        assert stale.value.subjects == {"cus_1", "cus_3"}


def test_what_names_nobody_locks_nothing(shop: Engine) -> None:
    """Events without any effect do not even wait for a change of the catalogue."""
    with shop.connect() as one, shop.connect() as other:
        lock_catalogue(other)
        assert locks.acquire_free(one, [[], []]) == (set(), set())


def test_another_name_of_a_payer_is_found_under_the_lock_and_locked_too(shop: Engine) -> None:
    """What is claimed by one name holds for the others, so their payments may change hands."""
    with shop.begin() as connection:
        apply(connection, Customer("cus_1", alias_ids=frozenset({"acct_1"})))
    claim = Customer("cus_1", "user_1", Stamp(5, "evt_1"))
    with shop.begin() as connection, pytest.raises(StaleLocks) as stale:
        apply(connection, claim)
    assert stale.value.subjects == {"acct_1"}
    rounds: list[frozenset[str]] = []

    def run(subjects: frozenset[str]) -> None:
        rounds.append(subjects)
        with shop.connect() as connection, shop.connect() as other:
            apply(connection, claim, subjects=subjects)
            assert not is_free(other, "acct_1")
            assert not is_free(other, "cus_1")
            connection.commit()

    locks.with_locks(run)
    assert rounds == [frozenset(), {"acct_1"}]


def test_what_was_learnt_in_one_round_is_kept_for_the_next() -> None:
    """A payer with three names takes three rounds, and each knows all that came before."""
    missing = [frozenset({"a"}), frozenset({"b", "c"})]
    rounds: list[frozenset[str]] = []

    def run(subjects: frozenset[str]) -> str:
        rounds.append(subjects)
        if missing:
            raise StaleLocks(missing.pop(0))
        return "done"

    assert locks.with_locks(run, frozenset({"first"})) == "done"
    assert rounds == [{"first"}, {"first", "a"}, {"first", "a", "b", "c"}]


def test_subjects_that_grow_for_ever_are_a_bug() -> None:
    """It ends with an error and not in an endless loop."""
    rounds: list[int] = []

    def run(subjects: frozenset[str]) -> None:
        rounds.append(len(subjects))
        raise StaleLocks(frozenset({f"cus_{len(subjects)}"}))

    with pytest.raises(BillingError, match="still grow"):
        locks.with_locks(run)
    assert rounds == list(range(len(rounds)))
