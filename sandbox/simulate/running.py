"""Stories of contracts that run oddly: paused collection, other intervals, other names."""

from collections.abc import Callable
from dataclasses import replace

from sandbox.simulate.cycles import cycle, pause_collection, resume_collection
from sandbox.simulate.deals import Deal, sign
from sandbox.simulate.discounted import a_mode, lapse, move
from sandbox.simulate.objects import subscription_object
from sandbox.simulate.plans import Plan
from sandbox.simulate.scene import DAY, Scene, Story


def _paused(behavior: str) -> Callable[[Scene], None]:
    def play(scene: Scene) -> None:
        plans = [plan for plan in scene.shelf.known if plan.interval == "month"]
        plan = scene.chance.choice(plans or scene.shelf.known)
        subscription = sign(scene.account, scene.customer, Deal(plan))
        lapse(scene, subscription)
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
    lapse(scene, subscription)
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
    lapse(scene, subscription)
    move(scene, subscription, plan, 2)
    customer.named_by = "both"


def _told_while_past_due(scene: Scene) -> None:
    account, subscription = scene.account, scene.monthly()
    for _ in range(2):
        invoice = account.begin_cycle(subscription)
        account.fall_behind(subscription, invoice)
        # A new card is tried before it is charged: the contract is reported, and still past due.
        before = subscription_object(subscription)
        subscription.method_id = account.new_id("pm")
        account.report(subscription, before, by_stripe=False)
        scene.days(1, 3)
        account.catch_up(subscription, invoice)
    if scene.coin:
        invoice = account.begin_cycle(subscription)
        account.fall_behind(subscription, invoice)
        account.give_up(subscription, invoice, to=scene.chance.choice(("unpaid", "canceled")))


RUNNING: dict[str, Story] = {
    "collection paused, void": Story(_paused("void"), 1, "known"),
    "collection paused, drafts": Story(_paused("keep_as_draft"), 1, "known"),
    "collection paused, given up": Story(_paused("mark_uncollectible"), 1, "known"),
    "quarterly, inline": Story(_interval("month", 3, 36), 1, "steady"),
    "weekly, inline": Story(_interval("week", 1, 3), 1, "steady"),
    "odd interval": Story(_as_in_catalogue, 1, "odd"),
    "told while past due": Story(_told_while_past_due, 1, "recurring"),
    "customer account alone": Story(_account_alone, 1, "known"),
    "customer account too": Story(_account_and_customer, 1, "known"),
}
