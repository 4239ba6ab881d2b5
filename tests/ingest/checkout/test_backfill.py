"""What Stripe answers about a session is backfilled where its events are late."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from ingest.app import create_app
from ingest.checkout import status
from ingest.intake.intake import NotStoredError
from tests.ingest.shop import PACKAGE, PRO, Shop
from tests.ingest.success_page import a_contract, seen
from tests.pipeline import balances, statuses
from tests.stripe_objects import (
    an_event,
)

PAID = {"status": "complete", "payment_status": "paid"}
UNPAID = {"status": "complete", "payment_status": "unpaid"}


pytestmark = pytest.mark.usefixtures("nobody_waits")


def test_a_late_webhook_is_made_up_for_by_asking_once(shop: Shop) -> None:
    """Stripe's answer enters as events; the webhook that comes later changes nothing."""
    session_id = shop.bought(PACKAGE)["session_id"]
    session = shop.told(session_id, **PAID)
    question = f"GET checkout/sessions/{session_id}"
    assert seen(shop, session_id) == ("processing", 0, None)
    assert seen(shop, session_id) == ("processing", 0, None)
    assert shop.stripe.count(question) == 1
    shop.work()
    assert seen(shop, session_id) == ("complete", 1_000, None)
    shop.work(an_event("checkout.session.completed", session))
    assert balances(shop.context.engine) == {"user_1": 1_000}
    assert f"fetched_{session_id}_complete_paid" in statuses(shop.context.engine)


def test_a_late_subscription_is_made_up_for_whole(shop: Shop) -> None:
    """Session, subscription and invoice come with one answer."""
    session_id = shop.bought(PRO)["session_id"]
    a_contract(shop, session_id)
    shop.stripe.sessions[session_id] |= PAID
    assert seen(shop, session_id)[0] == "processing"
    shop.work()
    assert seen(shop, session_id) == ("complete", 10_000, "sub_1")
    assert balances(shop.context.engine) == {"user_1": 10_000}


def test_asking_again_and_again_adds_no_event(shop: Shop) -> None:
    """The events' ids come from the state, and Stripe is asked only every few seconds."""
    session_id = shop.bought(PACKAGE)["session_id"]
    shop.told(session_id, **UNPAID)
    for _ in range(3):
        seen(shop, session_id)
        shop.age()
        shop.work()
    assert len(statuses(shop.context.engine)) == 1
    assert shop.stripe.count(f"GET checkout/sessions/{session_id}") == 3


def test_many_pages_at_once_ask_stripe_once(shop: Shop) -> None:
    """Each of them is told the same."""
    session_id = shop.bought(PACKAGE)["session_id"]
    shop.stripe.delay_seconds = 0.05
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: seen(shop, session_id), range(16)))
    assert found == {("open", 0, None)}
    assert shop.stripe.count(f"GET checkout/sessions/{session_id}") == 1


def test_the_page_waits_for_a_worker_that_is_quick(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks after paying is told `complete` at once."""
    monkeypatch.setattr(status, "APPLY_SECONDS", 5.0)
    accept = shop.receiver.intake.__class__.accept

    def applied(intake: Any, delivery: Any) -> Any:
        stored = accept(intake, delivery)
        shop.work()
        return stored

    monkeypatch.setattr(shop.receiver.intake.__class__, "accept", applied)
    session_id = shop.bought(PACKAGE)["session_id"]
    shop.told(session_id, **PAID)
    assert seen(shop, session_id) == ("complete", 1_000, None)


def test_a_page_does_not_wait_for_a_bank(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A debit takes days: what Stripe tells of it is kept, and the answer given at once."""
    monkeypatch.setattr(status, "APPLY_SECONDS", 20.0)
    session_id = shop.bought(PACKAGE)["session_id"]
    shop.told(session_id, **UNPAID)
    began = time.monotonic()
    assert seen(shop, session_id) == ("processing", 0, None)
    assert time.monotonic() - began < status.APPLY_SECONDS
    shop.work()
    assert list(statuses(shop.context.engine)) == [f"fetched_{session_id}_complete_unpaid"]


def test_a_page_never_fails_because_of_stripe(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither when it fails, nor without a key, nor when no store takes its answer."""
    session_id = shop.bought(PACKAGE)["session_id"]
    shop.told(session_id, **PAID)
    shop.stripe.faults[f"GET checkout/sessions/{session_id}"] = [500]
    assert seen(shop, session_id) == ("open", 0, None)
    keyless = create_app(shop.receiver.settings, opened=replace(shop.receiver, gateway=None))
    assert seen(replace(shop, app=keyless), session_id) == ("open", 0, None)
    shop.age()

    def refuse(*_: object) -> None:
        raise NotStoredError

    monkeypatch.setattr(shop.receiver.intake.__class__, "accept", refuse)
    assert seen(shop, session_id) == ("processing", 0, None)
