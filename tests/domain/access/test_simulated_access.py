"""Access of simulated lives: the seller's own notes are the judge, at every moment and order."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import pytest

from domain.access.access import access
from domain.access.holdings import Holding, bought, subscribed
from domain.catalogue.features import Policies, Policy
from domain.catalogue.plans import Catalogue
from domain.subscriptions.states import state_of
from sandbox.simulate.access import WatchedAccount
from sandbox.simulate.engine import Event
from sandbox.simulate.entitlements import Note
from sandbox.simulate.plans import Patience
from sandbox.simulate.play import play as live
from sandbox.simulate.stories import ENABLED
from sandbox.simulate.versions import NEW, OLD
from tests.contracts_sold import a_catalogue
from tests.play import Player
from tests.simulated_catalogue import catalogue_of

LIVES = 300
DAY = 86_400
# Packages have features too: one that is counted, one that plans have as well.
FEATURES: dict[int, dict[str, bool | int]] = {
    4: {"exports": 10},
    5: {"exports": 200, "api": True},
    6: {"seats": 2, "refill": True},
    7: {"seats": 3},
    8: {"requests_per_day": 70},
}
PLANS = [
    replace(plan, features={**plan.features, **FEATURES.get(plan.id, {})}) for plan in a_catalogue()
]
PATIENCE: Patience = {"past_due": 7 * DAY, "unpaid": 2 * DAY, "paused": 3 * DAY}
POLICIES = Policies(
    past_due=Policy(allows=True, grace_seconds=7 * DAY),
    unpaid=Policy(allows=True, grace_seconds=2 * DAY),
    paused=Policy(allows=True, grace_seconds=3 * DAY),
)
CATALOGUE = catalogue_of(PLANS, policies=POLICIES)


def a_life(number: int) -> WatchedAccount:
    """One buyer's story; every story is told before one is told again."""
    name = sorted(ENABLED)[number % len(ENABLED)]
    account = WatchedAccount(seed=number, run="access", starts_at=1_750_000_000)
    stories = {name: ENABLED[name]}
    live(account, PLANS, OLD + NEW, customers=1, today=1_800_000_000, stories=stories)
    account.note()
    return account


def is_ours(event: Event) -> bool:
    """What names another account is ignored before anything is decoded."""
    return not {"account", "context"} & event.payload.keys()


def held_by(player: Player, user_id: str, catalogue: Catalogue) -> list[Holding]:
    """What a user holds by all that was heard."""
    known = player.working_set
    held: list[Holding] = []
    for subscription in known.subscriptions.values():
        version = subscription.newest()[0]
        if version is None:
            continue
        state, claim = state_of(version), subscription.claim_by(version)
        payer = known.customers.get(subscription.customer_id or "")
        if (state.user_id or (payer.user_id if payer else None)) != user_id:
            continue
        held += subscribed(
            subscription.id,
            state,
            catalogue,
            since=subscription.sold.status_since(state.status, version.created),
            paused_since=subscription.sold.paused_since(version.created),
            named=(claim.plan_id, claim.stamp.created) if claim else None,
        )
    for payment in known.payments.values():
        if payment.listed and payment.user_id == user_id:
            held += bought(payment.id, payment.packages, payment.status or "")
    return held


def compare(player: Player, note: Note, users: Iterable[str], name: object) -> None:
    """What is unlocked by all that was heard, against the note, now and at every later turn."""
    for user_id in users:
        held = held_by(player, user_id, CATALOGUE)
        turns = {note.at, note.at + 400 * DAY}
        for contract in note.contracts:
            turns |= {turn + step for turn in contract.turns(PATIENCE) for step in (-1, 0)}
        for holding in held:
            turns |= {turn + step for turn in holding.instants(POLICIES) for step in (-1, 0)}
        for at in sorted(turn for turn in turns if turn >= note.at):
            found = access(held, CATALOGUE, at)
            place = (name, user_id, note.at, at)
            assert found.limits == note.access(user_id, PLANS, PATIENCE, at), place
            assert found.until == note.until(user_id, PLANS, PATIENCE, at), place


def heard(events: Iterable[Event]) -> Player:
    """What is known after these events, one at a time."""
    player = Player(CATALOGUE)
    for event in events:
        player.apply(event.payload)
    return player


def shuffled(events: Sequence[Event], chance: random.Random) -> list[Event]:
    """In another order, some of them twice."""
    mixed = [*events, *chance.choices(events, k=3)]
    chance.shuffle(mixed)
    return mixed


@pytest.mark.parametrize("part", range(10))
def test_access_at_any_time_is_the_sellers_for_every_prefix_and_order(part: int) -> None:
    """As it happened, second by second; and whole and cut short, backwards and shuffled."""
    for number in range(part, LIVES, 10):
        account = a_life(number)
        chance = random.Random(number)  # noqa: S311 - an order, not a secret.
        events = sorted(filter(is_ours, account.events), key=lambda event: event.created)
        users = [user.user_id for user in account.expected.users()]
        name: Any = (number, sorted(ENABLED)[number % len(ENABLED)])
        player = Player(CATALOGUE)
        for created, group in groupby(events, key=lambda event: event.created):
            player.apply(*(event.payload for event in group))
            note = max((n for n in account.notes if n.at <= created), key=lambda n: n.at)
            compare(player, note, users, name)
        for note in (account.notes[-1], chance.choice(account.notes)):
            prefix = [event for event in events if event.created <= note.at]
            if prefix:
                compare(heard(reversed(prefix)), note, users, (name, "backwards"))
                compare(heard(shuffled(prefix, chance)), note, users, (name, "shuffled"))
