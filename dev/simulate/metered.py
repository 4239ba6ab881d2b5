"""Stories of contracts that bill more than a plan: usage, fees, other plans, other licenses."""

from dev.simulate.cycles import cycle
from dev.simulate.deals import Deal, Extra, sign
from dev.simulate.discounted import a_coupon, a_mode, move
from dev.simulate.plans import Plan
from dev.simulate.scene import Scene, Story


def an_overage(scene: Scene, *, first: bool = False) -> Extra:
    """Usage that is billed afterwards, at a steady price id or at one of its own."""
    steady = f"price_sample_overage_{scene.customer.currency}" if scene.coin else ""
    return Extra("Overage", 1, price_id=steady, first=first)


def _usage(scene: Scene) -> int:
    return scene.chance.choice((0, 58, 5800))


def _overage(scene: Scene) -> None:
    plan = scene.chance.choice(scene.shelf.known)
    deal = Deal(plan, extras=(an_overage(scene, first=scene.coin),), mode=a_mode(scene))
    subscription = sign(scene.account, scene.customer, deal)
    cycle(scene.account, subscription, usage=_usage(scene))


def _everything(scene: Scene) -> None:
    plan = scene.chance.choice(scene.shelf.known)
    currency = scene.customer.currency
    steady = f"price_sample_setup_{currency}" if scene.coin else ""
    deal = Deal(
        plan,
        quantity=2,
        coupons=(a_coupon(scene, plan),) if scene.coin else (),
        fee_minor=1500,
        fee_price_id=steady,
        extras=(an_overage(scene), Extra("Support", 700, 1)),
        mode=a_mode(scene),
    )
    subscription = sign(scene.account, scene.customer, deal)
    scene.days(2, 20)
    move(scene, subscription, plan, 3)
    cycle(scene.account, subscription, usage=_usage(scene))


def _two_plans(scene: Scene) -> None:
    one, other = scene.chance.choice(scene.shelf.pairs)
    extra = Extra(other.name, other.prices[scene.customer.currency], 2, plan=other)
    subscription = sign(scene.account, scene.customer, Deal(one, extras=(extra,)))
    cycle(scene.account, subscription)


def _inline_overage(scene: Scene) -> None:
    plan = scene.chance.choice(scene.shelf.steady)
    overage = an_overage(scene, first=scene.coin)
    deal = Deal(plan, inline=True, extras=(overage,))
    cycle(scene.account, sign(scene.account, scene.customer, deal), usage=_usage(scene))


def _inline_among_others(scene: Scene) -> None:
    plan: Plan = scene.chance.choice(scene.shelf.steady)
    unit_minor = plan.prices[scene.customer.currency]
    # Equal in price, and listed first: the claim is still for the first by its id.
    twin = Extra("Another team", unit_minor, 3, first=True)
    extras = (twin, Extra("Support", unit_minor + 100, 1), an_overage(scene))
    deal = Deal(plan, inline=True, extras=extras)
    cycle(scene.account, sign(scene.account, scene.customer, deal), usage=58)


def _inline_unclear(scene: Scene) -> None:
    plan = scene.chance.choice(scene.shelf.steady)
    unit_minor = plan.prices[scene.customer.currency]
    extras = (Extra("Support", unit_minor + 100, 1),)
    deal = Deal(plan, inline=True, unit_minor=unit_minor - 1, extras=extras, sold=False)
    cycle(scene.account, sign(scene.account, scene.customer, deal))


METERED: dict[str, Story] = {
    "metered beside a plan": Story(_overage, 3, "known"),
    "fee, usage and support": Story(_everything, 2, "known"),
    "two plans in one": Story(_two_plans, 2, "pairs"),
    "inline plan with usage": Story(_inline_overage, 2, "steady"),
    "inline plan among others": Story(_inline_among_others, 1, "steady"),
    "inline plan nobody finds": Story(_inline_unclear, 1, "steady"),
}
