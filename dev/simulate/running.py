"""Stories of contracts that run oddly: paused collection, other intervals, other names."""

from collections.abc import Callable
from dataclasses import replace

from dev.simulate.cycles import cycle, pause_collection, resume_collection
from dev.simulate.deals import Deal, sign
from dev.simulate.discounted import a_mode, move
from dev.simulate.plans import Plan
from dev.simulate.scene import DAY, Scene, Story


def _paused(behavior: str) -> Callable[[Scene], None]:
    def play(scene: Scene) -> None:
        plans = [plan for plan in scene.shelf.known if plan.interval == "month"]
        plan = scene.chance.choice(plans or scene.shelf.known)
        subscription = sign(scene.account, scene.customer, Deal(plan))
        scene.days(2, 20)
        # It resumes by itself between the next two bills, or when somebody says so.
        resumes_at = subscription.period_end + 10 * DAY if scene.coin else None
        pause_collection(scene.account, subscription, behavior, resumes_at)
        if scene.chance.randint(0, 3):
            cycle(scene.account, subscription)
            scene.days(1, 5)
            resume_collection(scene.account, subscription)
            cycle(scene.account, subscription)

    return play


def _interval(interval: str, count: int, times: int) -> Callable[[Scene], None]:
    def play(scene: Scene) -> None:
        plan = scene.chance.choice(scene.shelf.steady)
        unit_minor = plan.prices[scene.customer.currency] * times // 12
        other = replace(plan, interval=interval, interval_count=count)
        deal = Deal(other, inline=True, unit_minor=unit_minor, mode=a_mode(scene))
        subscription = sign(scene.account, scene.customer, deal)
        for _ in range(2):
            cycle(scene.account, subscription)

    return play


def _as_in_catalogue(scene: Scene) -> None:
    plan: Plan = scene.chance.choice(scene.shelf.odd)
    subscription = sign(scene.account, scene.customer, Deal(plan, mode=a_mode(scene)))
    scene.account.wait((subscription.period_end - scene.account.now) // 3)
    move(scene, subscription, plan, 3)
    for _ in range(2):
        cycle(scene.account, subscription)


def _account_alone(scene: Scene) -> None:
    customer = scene.customer
    customer.account_id, customer.named_by = scene.account.new_id("acct", 16), "account"
    # Nothing but the session's reference says who the account is.
    customer.linked, customer.announced = False, True
    plan = scene.chance.choice(scene.shelf.known)
    cycle(scene.account, sign(scene.account, customer, Deal(plan, by_link=True)))
    # Later purchases name the customer as well, so that both are known to be one.
    customer.named_by = "both"


def _account_and_customer(scene: Scene) -> None:
    customer = scene.customer
    customer.account_id, customer.named_by = scene.account.new_id("acct", 16), "both"
    plan = scene.chance.choice(scene.shelf.known)
    subscription = sign(scene.account, customer, Deal(plan, by_link=True))
    customer.named_by = "account"
    cycle(scene.account, subscription)
    customer.named_by = "customer"
    scene.days(1, 20)
    move(scene, subscription, plan, 2)
    customer.named_by = "both"


RUNNING: dict[str, Story] = {
    "collection paused, void": Story(_paused("void"), 1, "known"),
    "collection paused, drafts": Story(_paused("keep_as_draft"), 1, "known"),
    "collection paused, given up": Story(_paused("mark_uncollectible"), 1, "known"),
    "quarterly, inline": Story(_interval("month", 3, 36), 1, "steady"),
    "weekly, inline": Story(_interval("week", 1, 3), 1, "steady"),
    "odd interval": Story(_as_in_catalogue, 1, "odd"),
    "customer account alone": Story(_account_alone, 1, "known"),
    "customer account too": Story(_account_and_customer, 1, "known"),
}
