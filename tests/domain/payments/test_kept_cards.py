"""A card that is kept for later is no sale: no payment, no tokens, nothing that waits."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.decode import decode, parse
from tests.offline_stripe import ASKS, BROKE, DAY, GOOD, SUCCESS, Offline, offline_stripe
from tests.play import Player

ORDERS = 20


@pytest.fixture
def offline(tmp_path: Path) -> Iterator[Offline]:
    """A Stripe whose shop keeps cards."""
    with offline_stripe(tmp_path / "stripe.sqlite") as served:
        yield served


def told(offline: Offline) -> list[dict[str, Any]]:
    """All that Stripe tells of cards: kept, declined, asked for in vain, for a user or nobody."""
    sessions = offline.client.v1.checkout.sessions
    guest: Any = {"mode": "setup", "currency": "usd", "success_url": SUCCESS}
    ann = guest | {"customer": offline.customer("ann"), "client_reference_id": "ann"}
    named = ann | {"metadata": {"user_id": "ann", "plan_id": "4"}}
    bob = guest | {"client_reference_id": "bob"}
    for params in (guest, ann, named, bob, bob | {"customer_creation": "always"}):
        session = sessions.create(params).id
        offline.world.pay(session, BROKE)
        offline.world.pay(session, ASKS)
        offline.world.refuse_authentication(session)
        offline.world.pay(session, GOOD)
        sessions.create(params)
    offline.world.advance(2 * DAY)
    payloads = [one.event.payload for one in offline.world.log.posted]
    kinds = {each["type"] for each in payloads}
    assert {"checkout.session.completed", "checkout.session.expired"} <= kinds
    assert {"setup_intent.succeeded", "setup_intent.setup_failed"} <= kinds
    return payloads


def test_a_kept_card_comes_to_nothing_in_any_order(offline: Offline) -> None:
    """No balance, no payment, and no loose end that somebody would have to look into."""
    payloads = told(offline)
    chance = random.Random(14)  # noqa: S311 - an order, not a secret.
    for _ in range(ORDERS):
        chance.shuffle(payloads)
        player = Player()
        player.apply(*payloads)
        tables = player.tables()
        assert (tables.payments, tables.balances, tables.subscriptions) == ({}, {}, {})
        assert player.entries == []
        for payment in player.working_set.payments.values():
            assert (payment.lacks_user, payment.lacks_plan) == (False, False)
            assert (payment.loose_ends, payment.question, payment.note) == ((), None, None)


def test_what_only_tells_of_a_card_is_ignored(offline: Offline) -> None:
    """Such types say nothing to us; the session itself may say whose a customer is."""
    for event in map(parse, told(offline)):
        decoded = decode(event)
        about_card = event.type.startswith(("setup_intent.", "payment_method."))
        assert decoded.is_handled is not about_card
        assert not (about_card and decoded.facts)
        assert not decoded.is_cut
