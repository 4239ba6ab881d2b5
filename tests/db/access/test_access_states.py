"""Who is to hear that their access changed: with the change, and when it ends by itself."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, text

import db.ledger.catalogue
from db.access import states
from db.access.held import held_by
from db.ledger import locks, unit_of_work
from db.ledger.catalogue import CatalogueCache
from db.together import Together
from domain.access.access import access
from domain.catalogue.features import Policies, Policy
from domain.catalogue.plans import Catalogue, CatalogueChange
from domain.decode import decode, parse
from domain.working_set import Derived
from tests.pipeline import a_worker_context, empty, sell
from tests.play import a_plan
from tests.stripe_objects import a_line, a_refund, a_session, a_subscription, an_event, an_invoice
from workers.context import WorkerContext
from workers.schedule.access import look_at_due

DAY = 86_400
UPDATED, CREATED = "customer.subscription.updated", "customer.subscription.created"
PRO = a_plan(
    2, 10_000, features={"api": True, "seats": 5}, stripe_price_ids={"price_pro_usd": "usd"}
)
PACK = a_plan(
    4,
    1_000,
    type="token",
    interval=None,
    prices={"usd": 500},
    stripe_price_ids={"price_pack_usd": "usd"},
    features={"export": True},
)


@pytest.fixture(scope="module")
def worker(database_url: str, redis_url: str) -> Iterator[WorkerContext]:
    """A worker's ports on a database that sells plans with features and gives a week of grace."""
    context = a_worker_context(database_url, redis_url)
    empty(context.engine)
    sell(context.engine, Catalogue.of([PRO, PACK]))
    with context.engine.begin() as connection:
        grace = Policies(past_due=Policy(allows=True, grace_seconds=7 * DAY))
        db.ledger.catalogue.save_policies(connection, grace)
    yield context
    context.engine.dispose()


@pytest.fixture
def engine(worker: WorkerContext) -> Engine:
    """The same, with no event and no user."""
    empty(worker.engine)
    return worker.engine


def applied(engine: Engine, *events: Mapping[str, Any]) -> None:
    """Apply events in one transaction, as a worker does."""
    facts = [(event["id"], fact) for event in events for fact in decode(parse(event)).facts]

    def run(subjects: frozenset[str]) -> Derived:
        with engine.begin() as connection:
            return unit_of_work.apply(connection, facts, CatalogueCache(), subjects)

    locks.with_locks(run)


def kept(engine: Engine) -> dict[str, tuple[dict[str, Any], datetime | None]]:
    """What was last seen of each user, and when that is to be looked at again."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT user_id, seen, changes_at FROM access_states"))
        return {
            row.user_id: (
                {name: limit for name, (limit, *_) in row.seen.items() if limit != 0},
                row.changes_at,
            )
            for row in rows
        }


def report(status: str, before: Any = None, *, ago: int = 0, **changes: Any) -> dict[str, Any]:
    """A report of the subscription, made so many seconds ago."""
    kind = UPDATED if before else CREATED
    at = int(time.time()) - ago
    return an_event(kind, a_subscription(status=status, **changes), created=at, previous=before)


def heard(engine: Engine) -> list[tuple[int, str, str | None]]:
    """What messages say of the seats, in their order: limit, code of the reason, until when."""
    query = text("SELECT data FROM outbox WHERE type = 'access.changed' ORDER BY user_id, version")
    with engine.connect() as connection:
        features = [data["features"]["seats"] for data in connection.execute(query).scalars()]
    return [(seats["limit"], seats["why"]["code"], seats["until"]) for seats in features]


ALL_OF_PRO = {"api": None, "seats": 5}


def test_a_subscription_is_seen_in_the_transaction_that_brings_it(engine: Engine) -> None:
    """And again when it ends; nothing of it changes by itself."""
    applied(engine, report("active", ago=10))
    assert kept(engine) == {"user_1": (ALL_OF_PRO, None)}
    ended = an_event(
        "customer.subscription.deleted",
        a_subscription(status="canceled"),
        created=int(time.time()),
    )
    applied(engine, ended)
    assert kept(engine) == {"user_1": ({}, None)}


def test_the_end_of_a_grace_is_kept_with_the_missing_payment(engine: Engine) -> None:
    """To the second, counted from the report that said past due, not from the last one."""
    first = report("past_due", {"status": "active"}, ago=2 * DAY)
    applied(engine, first)
    applied(engine, report("past_due", {"quantity": 2}, ago=DAY))
    assert len(heard(engine)) == 1
    end = datetime.fromtimestamp(first["created"] + 7 * DAY, UTC)
    assert kept(engine) == {"user_1": (ALL_OF_PRO, end)}
    assert heard(engine) == [(5, "past_due", end.isoformat())]


def test_a_reason_or_an_end_that_changes_is_told_too(engine: Engine) -> None:
    """An app that shows when access ends hears of it before it does; a repeat tells nothing."""
    applied(engine, report("active", ago=30))
    missed = report("past_due", {"status": "active"}, ago=20)
    applied(engine, missed)
    applied(engine, missed)
    applied(engine, report("active", {"status": "past_due"}, ago=10))
    end = datetime.fromtimestamp(missed["created"] + 7 * DAY, UTC).isoformat()
    assert heard(engine) == [(5, "active", None), (5, "past_due", end), (5, "active", None)]


@pytest.mark.parametrize("how", ["grace", "cancel_at", "period"])
def test_what_ends_by_itself_is_seen_at_that_instant_without_an_event(
    engine: Engine, worker: WorkerContext, how: str
) -> None:
    """A second before nothing is due, a second later somebody has changed, once."""
    now = int(time.time())
    if how == "grace":
        missed = report("past_due", {"status": "active"}, ago=7 * DAY - 2)
        applied(engine, missed)
        end = missed["created"] + 7 * DAY
    elif how == "cancel_at":
        applied(engine, report("active", cancel_at=now + 2))
        end = now + 2
    else:
        item = a_subscription()["items"]["data"][0] | {"current_period_end": now + 2}
        items = {"object": "list", "data": [item]}
        applied(engine, report("active", items=items, cancel_at_period_end=True))
        end = now + 2
    assert look_at_due(worker) == 0
    assert kept(engine) == {"user_1": (ALL_OF_PRO, datetime.fromtimestamp(end, UTC))}
    time.sleep(max(0.0, end + 0.05 - time.time()))
    told: list[str] = []
    assert look_at_due(replace(worker, hint=told.extend)) == 1
    assert told == ["user_1"]
    assert [limit for limit, *_ in heard(engine)] == [5, 0]
    assert kept(engine) == {"user_1": ({}, None)}
    assert look_at_due(worker) == 0


def test_a_package_is_held_while_its_money_is_here(engine: Engine) -> None:
    """It is taken back with a refund of the whole."""
    applied(engine, an_event("checkout.session.completed", a_session()))
    assert kept(engine) == {"user_1": ({"export": None}, None)}
    applied(engine, an_event("refund.created", a_refund()))
    assert kept(engine) == {"user_1": ({}, None)}


def test_an_invoice_alone_unlocks_nothing(engine: Engine) -> None:
    """Features follow the subscription's state, not its money."""
    applied(engine, an_event("invoice.paid", an_invoice([a_line(2_900, "price_pro_usd")])))
    assert [allowed for allowed, _ in kept(engine).values()] in ([], [{}])


def test_who_had_it_is_looked_at_as_well_as_who_has_it(engine: Engine) -> None:
    """An earlier claim of the customer comes late: the subscription changes hands."""
    nameless: dict[str, Any] = {"metadata": {}}
    customer = {"id": "cus_1", "object": "customer"}
    late = customer | {"metadata": {"user_id": "late"}}
    early = customer | {"metadata": {"user_id": "early"}}
    applied(
        engine,
        report("active", **nameless, ago=50),
        an_event("customer.updated", late, created=200),
    )
    found = kept(engine)
    assert found.keys() == {"late"}
    applied(engine, an_event("customer.created", early, created=100))
    assert {user: bool(allowed) for user, (allowed, _) in kept(engine).items()} == {
        "late": False,
        "early": found["late"][0] != {},
    }


def test_two_customers_of_one_user_at_once_leave_what_both_bring(engine: Engine) -> None:
    """The later transaction waits for the earlier one and then reads what it wrote."""
    applied(engine, report("active", ago=10))
    with engine.connect() as one, engine.connect() as other:
        states.look_at(Together(one), ["user_1"], Catalogue.of([PRO, PACK]))
        other.execute(text("SET lock_timeout = '200ms'"))
        with pytest.raises(Exception, match="lock timeout"):
            states.look_at(Together(other), ["user_1"], Catalogue.of([PRO, PACK]))
        other.rollback()
        one.rollback()


def test_a_change_of_features_or_policies_makes_everybody_due(
    engine: Engine, worker: WorkerContext
) -> None:
    """Today's subscribers have the new feature at once, in parts where they are many."""
    for number in range(5):
        metadata = {"user_id": f"user_{number}"}
        event = report("active", id=f"sub_{number}", customer=f"cus_{number}", metadata=metadata)
        applied(engine, event | {"id": f"evt_{number}"})
    assert look_at_due(worker) == 0
    more = replace(PRO, features={**PRO.features, "sso": True})
    for after, expected in ((more, ALL_OF_PRO | {"sso": None}), (PRO, ALL_OF_PRO)):
        change = CatalogueChange(more if after is PRO else PRO, after, ())
        with engine.begin() as connection:
            db.ledger.catalogue.save(connection, [change])
        assert look_at_due(worker, at_a_time=2) == 5
        assert [allowed for allowed, _ in kept(engine).values()] == [expected] * 5


def test_other_changes_of_the_catalogue_make_nobody_due(
    engine: Engine, worker: WorkerContext
) -> None:
    """A new name concerns nobody's access."""
    applied(engine, report("active"))
    with engine.begin() as connection:
        renamed = replace(PRO, name="Renamed")
        db.ledger.catalogue.save(connection, [CatalogueChange(PRO, renamed, ())])
        assert (
            connection.execute(
                text("SELECT count(*) FROM access_states WHERE changes_at IS NOT NULL")
            ).scalar_one()
            == 0
        )
    assert look_at_due(worker) == 0


def test_what_the_tables_hold_is_what_was_applied(engine: Engine) -> None:
    """Each thing that decides is read back: who, which plans, how many, since when."""
    applied(
        engine,
        report("past_due", {"status": "active"}, ago=DAY),
        an_event("checkout.session.completed", a_session()),
    )
    with engine.connect() as connection:
        catalogue = db.ledger.catalogue.load(connection)
        held = held_by(connection, ["user_1", "nobody"], catalogue)
    assert held["nobody"] == []
    found = access(held["user_1"], catalogue, int(time.time()))
    assert found.limits == ALL_OF_PRO | {"export": None}
    assert {feature.name: feature.why.code for feature in found.features} == {
        "api": "past_due",
        "export": "bought",
        "seats": "past_due",
    }
