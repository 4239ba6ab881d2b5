"""Signing and sending: real signatures, honest order, bounded copies."""

import random
import time
from itertools import pairwise

import pytest
import stripe

from sandbox.simulate.account import Account
from sandbox.simulate.delivery import Pace, plan_lanes, signature_header
from sandbox.simulate.engine import Event
from sandbox.simulate.plans import Plan
from sandbox.simulate.play import play
from sandbox.simulate.versions import NEW, OLD

PLANS = (
    Plan(1, "full", "Pro", 10_000, "month", {"usd": 2900}, {"usd": "price_pro"}),
    Plan(4, "token", "Pack", 1000, None, {"usd": 500}),
)


def chance() -> random.Random:
    """The same chance each time; it orders events, it keeps no secret."""
    return random.Random(1)  # noqa: S311 - as the docstring says.


def some_events() -> list[Event]:
    """The events of thirty customers."""
    account = Account(seed=5, run="test", starts_at=0)
    play(account, PLANS, OLD + NEW, customers=30, today=1_800_000_000)
    return account.events


def test_stripe_itself_accepts_our_signatures() -> None:
    """Any body the account makes, names in any script included, verifies against the secret."""
    for event in some_events():
        header = signature_header(event.body, "whsec_test", int(time.time()))
        assert stripe.WebhookSignature.verify_header(event.body, header, "whsec_test", 300)
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.WebhookSignature.verify_header(event.body, header, "whsec_other", 300)


def test_in_order_a_user_keeps_to_one_lane_in_order_of_time() -> None:
    """Without --shuffle what happened to one user arrives as it happened."""
    events = some_events()
    queues = plan_lanes(events, lanes=4, duplicates=0, shuffle=False, chance=chance())
    assert sorted(e.id for queue in queues for e in queue) == sorted(e.id for e in events)
    lanes = {e.user_id: {n for n, q in enumerate(queues) if e in q} for e in events[::7]}
    assert all(len(where) == 1 for where in lanes.values())
    for queue in queues:
        assert all(one.created <= other.created for one, other in pairwise(queue))


def test_shuffled_events_are_all_sent_and_out_of_order() -> None:
    """Shuffling changes the order of everything and loses nothing."""
    events = some_events()
    queues = plan_lanes(events, lanes=3, duplicates=0, shuffle=True, chance=chance())
    flat = [event for queue in queues for event in queue]
    assert sorted(e.id for e in flat) == sorted(e.id for e in events)
    assert any(one.created > other.created for one, other in pairwise(queues[0]))


def test_copies_come_at_the_chance_asked_for_and_never_more_than_three() -> None:
    """A chance of 1 sends every event four times; 0.5 nearly doubles the stream."""
    events = some_events()
    always = plan_lanes(events, lanes=8, duplicates=1, shuffle=True, chance=chance())
    assert sum(map(len, always)) == 4 * len(events)
    half = plan_lanes(events, lanes=8, duplicates=0.5, shuffle=True, chance=chance())
    assert 1.6 < sum(map(len, half)) / len(events) < 2.1


def test_a_rate_spreads_deliveries_over_time() -> None:
    """Twenty turns at 200 a second take about a tenth of a second."""
    pace = Pace()
    began = time.monotonic()
    for _ in range(21):
        pace.wait(200)
    assert 0.09 < time.monotonic() - began < 1
