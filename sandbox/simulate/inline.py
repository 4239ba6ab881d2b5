"""Stories of prices that the catalogue does not know, or no longer sells."""

from dataclasses import replace

from sandbox.simulate.contract_records import Subscription
from sandbox.simulate.cycles import Change, alter, cycle
from sandbox.simulate.deals import Deal, price_for, sign
from sandbox.simulate.discounted import a_mode, lapse
from sandbox.simulate.packages import contract_metadata
from sandbox.simulate.plans import Plan
from sandbox.simulate.scene import Scene, Story

# A currency that no catalogue here sells in, and how much more a price is in it.
FOREIGN, FOREIGN_TIMES = "sek", 10


def _inline(scene: Scene) -> None:
    plan = scene.chance.choice(scene.shelf.steady)
    deal = Deal(plan, scene.chance.randint(1, 3), inline=True, mode=a_mode(scene))
    cycle(scene.account, sign(scene.account, scene.customer, deal))


def _negotiated(scene: Scene) -> None:
    plan = scene.chance.choice(scene.shelf.steady)
    unit_minor = plan.prices[scene.customer.currency]
    agreed = scene.chance.choice((unit_minor * 2 // 3, unit_minor * 5 // 4))
    deal = Deal(plan, inline=True, unit_minor=agreed, mode=a_mode(scene))
    cycle(scene.account, sign(scene.account, scene.customer, deal))


def _inline_seats(scene: Scene) -> None:
    plan = scene.chance.choice(scene.shelf.steady)
    deal = Deal(plan, 2, inline=True, mode=a_mode(scene))
    subscription = sign(scene.account, scene.customer, deal)
    lapse(scene, subscription)
    quantity = scene.chance.choice((1, 3))
    alter(scene.account, subscription, Change(quantity=quantity, traced=scene.coin))
    cycle(scene.account, subscription)


def _renamed(scene: Scene, bills: str) -> Subscription:
    one, other = scene.chance.choice(scene.shelf.steady_pairs)
    deal = Deal(one, inline=True, mode=a_mode(scene))
    subscription = sign(scene.account, scene.customer, deal)
    lapse(scene, subscription)
    price = price_for(scene.account, Deal(other, inline=True), scene.customer.currency)
    metadata = contract_metadata(scene.customer, other)
    change = Change(price, 1, metadata, bills=bills, renames=True)
    alter(scene.account, subscription, change)
    return subscription


def _renamed_unbilled(scene: Scene) -> None:
    cycle(scene.account, _renamed(scene, "never"))


def _renamed_billed(scene: Scene) -> None:
    cycle(scene.account, _renamed(scene, "now"))


def _former(scene: Scene) -> tuple[Plan, Plan]:
    plan = scene.chance.choice(scene.shelf.rises)
    return plan, plan.former[0]


def _risen(scene: Scene) -> None:
    plan, former = _former(scene)
    subscription = sign(scene.account, scene.customer, Deal(former, mode=a_mode(scene)))
    cycle(scene.account, subscription)
    if scene.coin:
        lapse(scene, subscription)
        price = scene.account.price(plan, scene.customer.currency)
        alter(scene.account, subscription, Change(price, 1))
    cycle(scene.account, subscription)


def _risen_inline(scene: Scene) -> None:
    _, former = _former(scene)
    subscription = sign(scene.account, scene.customer, Deal(former, inline=True))
    for _ in range(2):
        cycle(scene.account, subscription)


def _foreign_deal(scene: Scene, *, inline: bool) -> Deal:
    plan = scene.chance.choice(scene.shelf.steady if inline else scene.shelf.known)
    unit_minor = plan.prices[scene.customer.currency] * FOREIGN_TIMES
    return Deal(
        plan,
        inline=inline,
        unit_minor=unit_minor,
        currency=FOREIGN,
        # Nothing is left over that a purchase in another currency could use up.
        mode="classic",
    )


def _foreign(scene: Scene) -> None:
    deal = _foreign_deal(scene, inline=scene.coin or not scene.shelf.known)
    subscription = sign(scene.account, scene.customer, deal)
    lapse(scene, subscription)
    alter(scene.account, subscription, Change(quantity=2, traced=scene.coin))
    cycle(scene.account, subscription)


def _foreign_decimal(scene: Scene) -> None:
    deal = _foreign_deal(scene, inline=True)
    decimal = "2.5" if scene.customer.version.decimal_quantities else None
    deal = replace(deal, quantity=2, quantity_decimal=decimal)
    cycle(scene.account, sign(scene.account, scene.customer, deal))


INLINE: dict[str, Story] = {
    "inline price": Story(_inline, 2, "steady"),
    "negotiated price": Story(_negotiated, 2, "steady"),
    "inline price, seats": Story(_inline_seats, 2, "steady"),
    "plan renamed in metadata": Story(_renamed_unbilled, 2, "steady_pairs"),
    "plan renamed and billed": Story(_renamed_billed, 1, "steady_pairs"),
    "price rise, old price": Story(_risen, 2, "rises"),
    "price rise, inline": Story(_risen_inline, 2, "rises"),
    "currency of no price": Story(_foreign, 2, "steady"),
    "quantity in decimals": Story(_foreign_decimal, 1, "steady"),
}
