"""Test mode and live mode: what is of the other one is kept, and never applied."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from tests.pipeline import a_delivery, balances, empty, work
from tests.stripe_objects import a_session, an_event
from workers.context import WorkerContext
from workers.pipeline.prepared_event import prepare

LIVE_IN_TEST = "livemode event in test mode"
TEST_IN_LIVE = "test mode event in live mode"


@pytest.mark.parametrize("test_mode", [True, False])
@pytest.mark.parametrize("livemode", [True, False])
def test_an_event_of_the_other_mode_is_ignored_with_the_reason(
    shop: WorkerContext, *, test_mode: bool, livemode: bool
) -> None:
    """A sale in the wrong mode grants nothing, and says why."""
    empty(shop.engine)
    sale = an_event("checkout.session.completed", a_session()) | {"livemode": livemode}
    done = work(replace(shop, test_mode=test_mode), [sale])
    with shop.engine.connect() as connection:
        row = connection.execute(text("SELECT status, note FROM webhook_events")).one()
    if livemode is test_mode:
        assert (row.status, row.note) == ("ignored", LIVE_IN_TEST if livemode else TEST_IN_LIVE)
        assert (done.ignored, balances(shop.engine)) == (1, {})
    else:
        assert row.status == "applied"
        assert balances(shop.engine)["user_1"] > 0


def test_a_stored_event_of_the_other_mode_is_not_applied_later(shop: WorkerContext) -> None:
    """What came by way of the inbox is looked at like what came by the stream."""
    from db.queue import inbox  # noqa: PLC0415 - only this test stores one itself.

    empty(shop.engine)
    sale = an_event("checkout.session.completed", a_session()) | {"livemode": True}
    with shop.engine.begin() as connection:
        inbox.store(connection, [a_delivery(sale)], source="webhook")
    assert work(replace(shop, test_mode=True), []).ignored == 1
    assert balances(shop.engine) == {}


@pytest.mark.parametrize("test_mode", [True, False, None])
def test_an_event_that_does_not_tell_its_mode_is_let_in(*, test_mode: bool | None) -> None:
    """Thin and hand-made events carry no `livemode`."""
    event = an_event("checkout.session.completed", a_session())
    del event["livemode"]
    assert prepare(a_delivery(event), test_mode=test_mode).facts
