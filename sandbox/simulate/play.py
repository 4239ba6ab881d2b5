"""Plays the stories: many buyers, each with their own time, on one account.

The choice of stories follows the seed alone, so a run can be told again with other ids.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from sandbox.simulate.account import Account
from sandbox.simulate.contract_records import Customer
from sandbox.simulate.plans import CatalogueError, Plan
from sandbox.simulate.scene import DAY, Scene, Shelf, Story, shelf
from sandbox.simulate.stories import ENABLED
from sandbox.simulate.versions import ApiVersion

# Long enough for a yearly renewal and its dunning to end before today.
_PAST_DAYS = (430, 480)

# Most buyers pay in the first currency; the others keep zero-decimal and foreign prices honest.
_CURRENCIES = {"usd": 7, "eur": 2, "jpy": 1}


def play(
    account: Account,
    plans: Sequence[Plan],
    versions: Sequence[ApiVersion],
    *,
    customers: int,
    today: int,
    stories: Mapping[str, Story] = ENABLED,
) -> Counter[str]:
    """Play one story per customer, each story once before any is repeated; returns the cast.

    `today` is Unix time: nothing happens after it. CatalogueError when no story can be played.
    """
    shelves = {code: shelf(plans, code) for code in _currencies(plans)}
    names = [n for n, s in stories.items() if any(map(s.playable, shelves.values()))]
    if not names:
        raise CatalogueError("the catalogue has nothing that any story could sell")
    chance = account.chance
    weights = [stories[name].weight for name in names]
    bill = chance.sample(names, len(names))[:customers]
    bill += chance.choices(names, weights, k=customers - len(bill))
    for number, name in enumerate(bill):
        account.start_over(today - chance.randint(_PAST_DAYS[0] * DAY, _PAST_DAYS[1] * DAY))
        _perform(account, stories[name], shelves, versions, number)
    return Counter(bill)


def _currencies(plans: Sequence[Plan]) -> list[str]:
    sold = {code for plan in plans for code in plan.prices}
    return sorted(sold & _CURRENCIES.keys()) or sorted(sold)[:1]


def _perform(
    account: Account,
    story: Story,
    shelves: Mapping[str, Shelf],
    versions: Sequence[ApiVersion],
    number: int,
) -> None:
    chance = account.chance
    codes = [code for code, on in shelves.items() if story.playable(on)]
    currency = chance.choices(codes, [_CURRENCIES.get(code, 1) for code in codes])[0]
    customer = account.customer(
        f"sim-{account.run}-{number:05d}",
        chance.choice(versions),
        currency=currency,
        linked=chance.choices((True, False), (7, 3))[0],
        guest=story.guests,
    )
    story.play(Scene(account, customer, shelves[currency], chance))
    if shelves[currency].packages and chance.randint(1, 5) == 1:
        _come_back(account, customer, shelves[currency])


def _come_back(account: Account, customer: Customer, on: Shelf) -> None:
    # Some buyers return, a few of them as another Stripe customer of the same user.
    chance = account.chance
    again = customer
    if customer.deleted or chance.randint(1, 3) == 1:
        again = account.customer(customer.user_id, customer.version, currency=customer.currency)
    account.wait(chance.randint(1, 20) * DAY)
    account.buy_package(again, chance.choice(on.packages))
