"""The simulator's lives through the pure core: the expected account is the judge."""

import random
from collections.abc import Sequence

import pytest

from sandbox.simulate.account import Account
from sandbox.simulate.engine import Event
from sandbox.simulate.expected import Expectation
from sandbox.simulate.money import MONEY
from sandbox.simulate.plans import SAMPLE_PLANS, read_file
from sandbox.simulate.play import play as live
from sandbox.simulate.versions import NEW, OLD
from tests.play import Tables, play
from tests.simulated_catalogue import catalogue_of

SEEDS = range(6)
PLANS = read_file(SAMPLE_PLANS)
CATALOGUE = catalogue_of(PLANS)


def a_life(name: str, seed: int) -> Account:
    """An account with one buyer."""
    account = Account(seed=seed, run="core", starts_at=1_750_000_000)
    live(
        account,
        PLANS,
        OLD + NEW,
        customers=1,
        today=1_800_000_000,
        stories={name: MONEY[name]},
    )
    return account


def orders(events: Sequence[Event], seed: int) -> list[list[Event]]:
    """As they happened, backwards, and shuffled with some of them twice."""
    happened = sorted(events, key=lambda event: event.created)
    chance = random.Random(seed)  # noqa: S311 - an order, not a secret.
    mixed = [*happened, *chance.choices(happened, k=3)]
    chance.shuffle(mixed)
    return [happened, happened[::-1], mixed]


def wanted(user: Expectation) -> dict[str, tuple[object, ...]]:
    """What is expected of a user's payments."""
    return {
        sale.id: (
            sale.status,
            sale.amount,
            sale.refunded,
            sale.disputed,
            sale.tokens,
            sale.has_note,
        )
        for sale in user.sales
    }


def found(tables: Tables, user_id: str) -> dict[str, tuple[object, ...]]:
    """What the core says of them."""
    return {
        key: (
            payment.status,
            payment.amount_minor,
            payment.refunded_minor,
            payment.disputed_minor,
            payment.tokens,
            payment.note is not None,
        )
        for key, payment in tables.payments.items()
        if payment.user_id == user_id
    }


@pytest.mark.parametrize("name", sorted(MONEY))
def test_a_life_ends_in_any_order_as_the_books_say(name: str) -> None:
    """Status, amounts and tokens of every payment, and every balance."""
    for seed in SEEDS:
        account = a_life(name, seed)
        for order in orders(account.events, seed):
            payloads = [event.payload for event in order]
            # What names another account is ignored before anything is decoded.
            ours = [each for each in payloads if not {"account", "context"} & each.keys()]
            tables = play(ours, CATALOGUE)
            for user in account.expected.users():
                assert found(tables, user.user_id) == wanted(user), (name, seed)
                assert tables.balances.get(user.user_id, 0) == user.balance, (name, seed)
