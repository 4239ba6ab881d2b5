"""The simulator's lives through the pure core: the account's own books are the judge."""

import random
from collections.abc import Sequence

import pytest

from dev.simulate.account import Account
from dev.simulate.engine import Event
from dev.simulate.expected import Expectation
from dev.simulate.money import MONEY
from dev.simulate.plans import SAMPLE_PLANS, read_file
from dev.simulate.play import play as live
from dev.simulate.versions import NEW, OLD
from domain.catalogue import Catalogue, Plan
from tests.play import Tables, play

SEEDS = range(6)
PLANS = read_file(SAMPLE_PLANS)
CATALOGUE = Catalogue.of(
    [
        Plan(
            id=plan.id,
            version=1,
            type="full" if plan.type == "full" else "token",
            name=plan.name,
            description="",
            tokens=plan.tokens,
            interval=plan.interval,
            trial_days=plan.trial_days,
            trial_tokens=plan.trial_tokens,
            active=plan.active,
            prices=dict(plan.prices),
            stripe_price_ids={price: code for code, price in plan.price_ids.items()},
        )
        for plan in PLANS
    ]
)

# Lives that the core does not tell right yet.
NOT_YET = frozenset(
    {
        "link, plan named",
        "link, guest",
        "link, promotion and tax",
        "link, free",
        "link, claimed later",
        "session of fifty cents",
        "session of no whole package",
        "session of three in one price",
        "session, currency unlisted",
        "debit bounced, invoice paid by card",
        "debit bounced, invoice paid outside",
        "debit, invoice tells first",
        "held, then captured",
        "written off",
        "written off in two",
        "credited before it was paid",
        "credited to the balance",
        "credited in hand",
        "credited in three ways",
        "credited, its refund failed",
        "dispute, other currency",
    }
)


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
    """What the books say of a user's payments."""
    return {
        sale.id: (sale.status, sale.amount, sale.refunded, sale.disputed, sale.tokens)
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
        )
        for key, payment in tables.payments.items()
        if payment.user_id == user_id
    }


@pytest.mark.parametrize("name", [name for name in MONEY if name not in NOT_YET])
def test_a_life_ends_in_any_order_as_the_books_say(name: str) -> None:
    """Status, amounts and tokens of every payment, and every balance."""
    for seed in SEEDS:
        account = a_life(name, seed)
        for order in orders(account.events, seed):
            payloads = [event.payload for event in order]
            # What names another account is ignored before anything is decoded.
            ours = [each for each in payloads if not {"account", "context"} & each.keys()]
            tables = play(ours, CATALOGUE)
            for user in account.books.close():
                assert found(tables, user.user_id) == wanted(user), (name, seed)
                assert tables.balances.get(user.user_id, 0) == user.balance, (name, seed)
