"""Subscription schedules of the offline Stripe, through the real SDK."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.offline_stripe import DAY, Offline, offline_stripe
from tests.stripe_types import problems_of


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """An account of its own."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


def payer(offline: Offline) -> str:
    """A customer who has a card that is charged without a page."""
    customer = offline.customer()
    settings: Any = {"invoice_settings": {"default_payment_method": "pm_card_visa"}}
    offline.client.v1.customers.update(customer, settings)
    return customer


def planned(offline: Offline, start: Any, **more: Any) -> stripe.SubscriptionSchedule:
    """One cheap month, then two dear ones."""
    phases = [
        {"items": [{"price": offline.price(1000)}]},
        {
            "items": [{"price": offline.price(3000), "quantity": 2}],
            "duration": {"interval": "month", "interval_count": 2},
        },
    ]
    params: Any = {"customer": payer(offline), "start_date": start, "phases": phases, **more}
    return offline.client.v1.subscription_schedules.create(params)


def totals(offline: Offline) -> list[int]:
    """What was paid, oldest first."""
    query: Any = {"status": "paid", "limit": 100}
    return [one.total for one in reversed(offline.client.v1.invoices.list(query).data)]


def test_phases_follow_each_other_and_the_contract_goes_on(offline: Offline) -> None:
    """The renewal has the next phase's price; after the last the contract is released."""
    schedule = planned(offline, "now")
    assert not problems_of(schedule.to_dict(for_json=True))
    assert schedule.status == "active"
    contract = str(schedule.subscription)
    assert offline.client.v1.subscriptions.retrieve(contract).schedule == schedule.id
    offline.world.advance(32 * DAY)
    assert totals(offline) == [1000, 6000]
    offline.world.advance(62 * DAY)
    told = offline.client.v1.subscription_schedules.retrieve(schedule.id)
    assert (told.status, told.released_subscription) == ("released", contract)
    assert totals(offline) == [1000, 6000, 6000, 6000]
    assert offline.client.v1.subscriptions.retrieve(contract).schedule is None


def test_a_contract_begins_and_ends_by_its_schedule(offline: Offline) -> None:
    """Not started before its time; with `cancel` the contract ends with the last phase."""
    schedule = planned(offline, offline.world.now + 10 * DAY, end_behavior="cancel")
    assert (schedule.status, schedule.subscription) == ("not_started", None)
    offline.world.advance(11 * DAY)
    told = offline.client.v1.subscription_schedules.retrieve(schedule.id)
    assert told.status == "active"
    offline.world.advance(95 * DAY)
    told = offline.client.v1.subscription_schedules.retrieve(schedule.id)
    assert told.status == "completed"
    contract = offline.client.v1.subscriptions.retrieve(str(told.subscription))
    assert contract.status == "canceled"
    assert totals(offline) == [1000, 6000, 6000]


def test_a_running_contract_gets_a_schedule(offline: Offline) -> None:
    """From its subscription, with what comes after its period added; only one at a time."""
    client = offline.client.v1
    contract = offline.subscription(offline.price(1000), offline.customer())
    schedule = client.subscription_schedules.create({"from_subscription": contract})
    (now,) = schedule.phases
    phases = [
        {
            "start_date": now.start_date,
            "end_date": now.end_date,
            "items": [{"price": str(one.price), "quantity": 1} for one in now.items],
        },
        {"items": [{"price": offline.price(2500)}]},
    ]
    params: Any = {"phases": phases}
    client.subscription_schedules.update(schedule.id, params)
    with pytest.raises(stripe.InvalidRequestError, match="already attached"):
        client.subscription_schedules.create({"from_subscription": contract})
    offline.world.advance(32 * DAY)
    assert totals(offline) == [1000, 2500]
    client.subscription_schedules.release(schedule.id)
    with pytest.raises(stripe.InvalidRequestError, match="can no longer be changed"):
        client.subscription_schedules.cancel(schedule.id)


def test_a_canceled_schedule_ends_its_contract(offline: Offline) -> None:
    """At once."""
    schedule = planned(offline, "now")
    client = offline.client.v1
    assert client.subscription_schedules.cancel(schedule.id).status == "canceled"
    contract = client.subscriptions.retrieve(str(schedule.subscription))
    assert contract.status == "canceled"
    listed: Any = {"customer": str(schedule.customer)}
    assert [one.id for one in client.subscription_schedules.list(listed).data] == [schedule.id]
