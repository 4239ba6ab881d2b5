"""Stories of first invoices that cost nothing, or not the whole: trials, gifts, parts, no seats."""

from dev.simulate.cycles import cycle, extend_trial
from dev.simulate.deals import Deal, Extra, sign
from dev.simulate.discounted import a_coupon, a_mode, move
from dev.simulate.metered import an_overage
from dev.simulate.plans import Plan
from dev.simulate.scene import DAY, Scene, Story


def _by_link(scene: Scene, plan: Plan) -> None:
    # Our checkout made neither the customer nor the session: the reference alone says whose it is.
    scene.customer.linked = scene.customer.announced
    deal = Deal(plan, trial_days=scene.chance.randint(3, 14), by_link=True, mode=a_mode(scene))
    subscription = sign(scene.account, scene.customer, deal)
    if scene.coin:
        cycle(scene.account, subscription)


def _trial_by_link(scene: Scene) -> None:
    _by_link(scene, scene.chance.choice(scene.shelf.known_trials))


def _trial_by_link_without_tokens(scene: Scene) -> None:
    _by_link(scene, scene.chance.choice(scene.shelf.known))


def _two_trials(scene: Scene) -> None:
    first = scene.chance.choice(scene.shelf.known_trials)
    second = scene.chance.choice(scene.shelf.known)
    for plan in (first, second):
        subscription = sign(scene.account, scene.customer, Deal(plan, trial_days=7))
        cycle(scene.account, subscription)
        scene.account.end(subscription, "cancellation_requested")
        scene.days(1, 5)


def _trial_with_more(scene: Scene) -> None:
    plan = scene.chance.choice(scene.shelf.known_trials)
    extras = (an_overage(scene, first=scene.coin), Extra("Support", 700, 1))
    deal = Deal(plan, scene.chance.randint(1, 2), extras=extras, fee_minor=1500, trial_days=14)
    cycle(scene.account, sign(scene.account, scene.customer, deal), usage=58)


def _trial_extended(scene: Scene) -> None:
    plan = scene.chance.choice(scene.shelf.known_trials)
    subscription = sign(scene.account, scene.customer, Deal(plan, trial_days=7))
    scene.days(1, 3)
    extend_trial(scene.account, subscription, 7 * DAY)
    cycle(scene.account, subscription)


def _free_stretch(scene: Scene) -> None:
    plans = scene.shelf.known_trials or scene.shelf.known
    deal = Deal(scene.chance.choice(plans), anchor_days=scene.chance.randint(3, 20))
    cycle(scene.account, sign(scene.account, scene.customer, deal))


def _billed_stretch(scene: Scene) -> None:
    plan = scene.chance.choice(scene.shelf.known)
    coupons = (a_coupon(scene, plan),) if scene.coin else ()
    deal = Deal(
        plan,
        scene.chance.randint(1, 2),
        coupons=coupons,
        anchor_days=scene.chance.randint(3, 20),
        bills_part=True,
        mode=a_mode(scene),
    )
    cycle(scene.account, sign(scene.account, scene.customer, deal))


def _no_seats_yet(scene: Scene) -> None:
    plan = scene.chance.choice(scene.shelf.known_trials or scene.shelf.known)
    subscription = sign(scene.account, scene.customer, Deal(plan, 0, mode=a_mode(scene)))
    scene.days(2, 20)
    move(scene, subscription, plan, 3)
    cycle(scene.account, subscription)


STARTING: dict[str, Story] = {
    "trial by link": Story(_trial_by_link, 2, "known_trials"),
    "trial by link, no tokens": Story(_trial_by_link_without_tokens, 1, "known"),
    "two trials": Story(_two_trials, 1, "known_trials"),
    "trial with fee and usage": Story(_trial_with_more, 1, "known_trials"),
    "trial extended": Story(_trial_extended, 1, "known_trials"),
    "free stretch": Story(_free_stretch, 2, "known"),
    "billed stretch": Story(_billed_stretch, 2, "known"),
    "no seats yet": Story(_no_seats_yet, 1, "known"),
}
