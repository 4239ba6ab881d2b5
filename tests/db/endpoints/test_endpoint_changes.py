"""How far a change of our endpoint is, and where a shadow delivery belongs at each step."""

import threading

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from db.bodies import compress
from db.endpoints import changes, own, shadow
from db.endpoints.changes import Change, Purpose, State
from db.endpoints.own import OwnEndpoint, hash_of
from db.endpoints.shadow import Place
from domain.events import Delivery

HASH = hash_of("whsec_1")
DELIVERY = Delivery("evt_1", "invoice.paid", 1_700_000_000, 0, compress(b"{}"))


def begin(engine: Engine, purpose: Purpose = Purpose.UPGRADE) -> Change:
    """A change that begins now; what was before is gone."""
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM endpoint_changes"))
        return another(connection, purpose)


def another(connection: object, purpose: Purpose) -> Change:
    """One more change."""
    return changes.begin(
        connection,  # type: ignore[arg-type]  # A connection of either kind.
        purpose,
        kind="classic",
        url="https://shop.example/billing/stripe/webhook/",
        old_id="we_old",
        from_version="2025-02-24.acacia",
        to_version="2026-10-28.endive",
        asked_by="tester",
    )


def keep(engine: Engine) -> Place:
    """Where a delivery of the shadow endpoint goes now."""
    with engine.begin() as connection:
        return shadow.keep(connection, DELIVERY)


def kept(engine: Engine) -> int:
    """How many shadow events there are."""
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM shadow_events")).scalar_one())


def test_a_change_goes_step_by_step_and_its_end_forgets_the_events(engine: Engine) -> None:
    """And at each step the receivers know what to do with a shadow delivery."""
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM endpoint_changes"))
    assert keep(engine) is Place.NOWHERE
    change = begin(engine)
    assert change.state is State.BEGUN
    with engine.begin() as connection:
        changes.made(connection, change, "we_new", HASH)
    assert keep(engine) is Place.SHADOW
    assert keep(engine) is Place.SHADOW
    assert kept(engine) == 1
    with engine.begin() as connection:
        changes.enabled(connection, change)
        current = changes.under_way(connection)
        assert current is not None
        assert (current.state, current.new_id, current.secret_hash) == (
            State.ENABLED,
            "we_new",
            HASH,
        )
        assert current.enabled_at == current.quiet_from
    with engine.begin() as connection:
        changes.switched(connection, change)
    assert keep(engine) is Place.ORDINARY
    with engine.begin() as connection:
        changes.end(connection, change, State.DONE)
        assert changes.under_way(connection) is None
    assert keep(engine) is Place.ORDINARY
    assert kept(engine) == 0


def test_what_was_given_up_or_is_a_rotation_takes_no_shadow(engine: Engine) -> None:
    """A rotation's second endpoint is an ordinary one."""
    change = begin(engine)
    with engine.begin() as connection:
        changes.end(connection, change, State.GIVEN_UP)
    assert keep(engine) is Place.NOWHERE
    begin(engine, Purpose.ROTATE)
    assert keep(engine) is Place.NOWHERE


def test_two_changes_at_a_time_are_refused_by_the_database(engine: Engine) -> None:
    """Two people may begin in the same second."""
    begin(engine)
    with pytest.raises(IntegrityError), engine.begin() as connection:
        another(connection, Purpose.ROTATE)


def test_nothing_is_kept_as_a_shadow_once_it_has_switched(engine: Engine) -> None:
    """A delivery that is being kept makes the switch wait, so the switch finds it."""
    change = begin(engine)
    with engine.begin() as connection:
        changes.made(connection, change, "we_new", HASH)
        changes.enabled(connection, change)
    done = threading.Event()

    def switch() -> None:
        with engine.begin() as connection:
            changes.switched(connection, change)
        done.set()

    with engine.begin() as connection:
        assert shadow.keep(connection, DELIVERY) is Place.SHADOW
        thread = threading.Thread(target=switch)
        thread.start()
        assert not done.wait(0.3)
    thread.join(5)
    assert done.is_set()
    assert kept(engine) == 1


def test_our_endpoint_is_one_row_and_its_secret_a_hash(engine: Engine) -> None:
    """A hash that is known stays when the same endpoint is noted without one."""
    noted = OwnEndpoint("we_1", "classic", "https://shop.example/", "snapshot", HASH)
    with engine.begin() as connection:
        own.note(connection, noted)
        own.note(connection, OwnEndpoint("we_1", "classic", noted.url, "snapshot", None))
        assert own.noted(connection) == noted
        own.note(connection, OwnEndpoint("we_2", "classic", noted.url, "snapshot", None))
        found = own.noted(connection)
        assert found is not None
        assert (found.id, found.secret_hash) == ("we_2", None)
