"""Stories of buyers who buy, subscribe, renew, fail to pay and cancel."""

from sandbox.simulate.scene import Scene, Story


def _package(scene: Scene) -> None:
    for _ in range(scene.chance.randint(1, 3)):
        scene.package(invoicing=scene.coin)
        scene.days(1, 40)


def _package_inline(scene: Scene) -> None:
    scene.package(inline=True)


def _package_retried(scene: Scene) -> None:
    scene.package(declines=scene.chance.randint(1, 2))


def _package_free(scene: Scene) -> None:
    scene.package(percent_off=100)


def _package_discounted(scene: Scene) -> None:
    scene.package(percent_off=20, invoicing=scene.coin)


def _delayed(scene: Scene) -> None:
    plan = scene.chance.choice(scene.shelf.packages)
    session = scene.account.start_delayed(scene.customer, plan)
    scene.account.finish_delayed(session, succeeds=True)


def _delayed_failed(scene: Scene) -> None:
    plan = scene.chance.choice(scene.shelf.packages)
    session = scene.account.start_delayed(scene.customer, plan)
    scene.account.finish_delayed(session, succeeds=False)


def _delayed_pending(scene: Scene) -> None:
    scene.account.start_delayed(scene.customer, scene.chance.choice(scene.shelf.packages))


def _abandoned(scene: Scene) -> None:
    scene.account.abandon(scene.customer, scene.chance.choice(scene.shelf.packages))
    scene.package()


def _renewing(scene: Scene) -> None:
    subscription = scene.monthly()
    for _ in range(scene.chance.randint(1, 4)):
        scene.account.renew(subscription)


def _renewing_any(scene: Scene) -> None:
    scene.account.renew(scene.subscription(inline=scene.coin))


def _several_seats(scene: Scene) -> None:
    scene.account.renew(scene.subscription(quantity=2))


def _coupon(scene: Scene) -> None:
    scene.account.renew(scene.subscription(percent_off=scene.chance.choice((20, 100))))


def _setup_fee(scene: Scene) -> None:
    scene.subscription(setup_fee_minor=1500)


def _trial(scene: Scene) -> None:
    plan = scene.chance.choice(scene.shelf.trials)
    subscription = scene.account.subscribe(scene.customer, plan, trial=True)
    if scene.chance.randint(0, 3):
        scene.account.renew(subscription)


def _late_renewal(scene: Scene) -> None:
    subscription = scene.monthly()
    invoice = scene.account.begin_cycle(subscription)
    for _ in range(scene.chance.randint(1, 3)):
        scene.account.fall_behind(subscription, invoice, action=scene.coin)
    scene.account.catch_up(subscription, invoice)


def _past_due(scene: Scene) -> None:
    subscription = scene.monthly()
    scene.account.fall_behind(subscription, scene.account.begin_cycle(subscription))


def _dunned(scene: Scene) -> None:
    subscription = scene.monthly()
    invoice = scene.account.begin_cycle(subscription)
    for _ in range(3):
        scene.account.fall_behind(subscription, invoice)
    scene.account.give_up(subscription, invoice, to=scene.chance.choice(("canceled", "unpaid")))


def _cancel_at_end(scene: Scene) -> None:
    subscription = scene.monthly()
    scene.days(2, 20)
    scene.account.schedule_cancel(subscription)
    scene.account.until(subscription.period_end)
    scene.account.end(subscription, "cancellation_requested")


def _cancel_scheduled(scene: Scene) -> None:
    subscription = scene.subscription()
    scene.days(2, 20)
    scene.account.schedule_cancel(subscription)


def _cancel_undone(scene: Scene) -> None:
    subscription = scene.monthly()
    scene.days(2, 10)
    scene.account.schedule_cancel(subscription)
    scene.days(2, 10)
    scene.account.undo_cancel(subscription)
    scene.account.renew(subscription)


def _cancel_now(scene: Scene) -> None:
    subscription = scene.subscription()
    scene.days(2, 20)
    scene.account.end(subscription, "cancellation_requested")


def _change_plan(scene: Scene) -> None:
    one, other = scene.chance.choice(scene.shelf.changes)
    subscription = scene.account.subscribe(scene.customer, one)
    scene.days(2, 20)
    scene.account.change(subscription, other, 1)
    scene.account.renew(subscription)


def _change_seats(scene: Scene) -> None:
    one, _ = scene.chance.choice(scene.shelf.changes)
    subscription = scene.account.subscribe(scene.customer, one)
    scene.days(2, 20)
    scene.account.change(subscription, one, scene.chance.randint(2, 4))


def _first_failed(scene: Scene) -> None:
    scene.account.fail_first(scene.customer, scene.chance.choice(scene.shelf.recurring))


SELLING: dict[str, Story] = {
    "package": Story(_package, 10, "packages"),
    "package, guest": Story(_package_retried, 3, "packages", guests=True),
    "package, inline price": Story(_package_inline, 2, "packages"),
    "package, declined first": Story(_package_retried, 3, "packages"),
    "package, free": Story(_package_free, 1, "packages", guests=True),
    "package, discounted": Story(_package_discounted, 2, "packages"),
    "delayed payment": Story(_delayed, 3, "packages"),
    "delayed payment failed": Story(_delayed_failed, 2, "packages"),
    "delayed payment pending": Story(_delayed_pending, 1, "packages", guests=True),
    "abandoned checkout": Story(_abandoned, 1, "packages"),
    "subscription": Story(_renewing, 12, "recurring"),
    "subscription, any plan": Story(_renewing_any, 6, "recurring"),
    "subscription, two seats": Story(_several_seats, 2, "recurring"),
    "subscription, coupon": Story(_coupon, 3, "recurring"),
    "subscription, setup fee": Story(_setup_fee, 1, "recurring"),
    "trial": Story(_trial, 4, "trials"),
    "late renewal": Story(_late_renewal, 4, "recurring"),
    "past due": Story(_past_due, 1, "recurring"),
    "dunned to the end": Story(_dunned, 3, "recurring"),
    "canceled at period end": Story(_cancel_at_end, 3, "recurring"),
    "cancel scheduled": Story(_cancel_scheduled, 2, "recurring"),
    "cancel undone": Story(_cancel_undone, 2, "recurring"),
    "canceled at once": Story(_cancel_now, 2, "recurring"),
    "plan changed": Story(_change_plan, 4, "changes"),
    "seats changed": Story(_change_seats, 2, "changes"),
    "first payment failed": Story(_first_failed, 1, "recurring"),
}
