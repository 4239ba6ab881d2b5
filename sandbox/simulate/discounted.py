"""Stories of coupons and promotion codes: at checkout, later on, and when something changes."""

from sandbox.simulate.contract_records import Subscription
from sandbox.simulate.coupons import Coupon
from sandbox.simulate.cycles import Change, alter, cycle, grant_coupon
from sandbox.simulate.deals import Deal, sign
from sandbox.simulate.packages import contract_metadata
from sandbox.simulate.plans import Plan
from sandbox.simulate.scene import DAY, Scene, Story

MODES = ("classic", "included", "itemized")


def a_mode(scene: Scene) -> str:
    """Choose how parts of a period are billed, of what the buyer's version can say."""
    return scene.chance.choice(MODES if scene.customer.version.discount_source else MODES[:2])


def a_coupon(
    scene: Scene, plan: Plan, *, duration: str = "forever", months: int | None = None
) -> Coupon:
    """Make a coupon of a share or an amount; now and then it takes everything."""
    currency, kind = scene.customer.currency, scene.chance.randint(0, 5)
    share, unit_minor = scene.chance.choice((10, 20, 50, 75)), plan.prices[currency]
    coupon_id = scene.account.new_id("co", 8)
    if kind == 0:
        return Coupon(coupon_id, percent_off=100, duration=duration, months=months)
    if kind == 1:
        amount = scene.chance.choice((unit_minor // 3, 2 * unit_minor))
        return Coupon(
            coupon_id, amount_off=amount, currency=currency, duration=duration, months=months
        )
    return Coupon(coupon_id, percent_off=share, duration=duration, months=months)


def lapse(scene: Scene, subscription: Subscription) -> None:
    """Let part of what is left of the period pass, however short it is; three weeks at most."""
    left = min(subscription.period_end - scene.account.now, 42 * DAY)
    scene.account.wait(scene.chance.randint(left // 10, left // 2))


def move(
    scene: Scene, subscription: Subscription, plan: Plan, quantity: int, *, bills: str = "now"
) -> None:
    """Change plan and quantity within the period, as the portal does."""
    price = scene.account.price(plan, subscription.price.currency)
    metadata = contract_metadata(subscription.customer, plan)
    change = Change(price, quantity, metadata, bills=bills, traced=scene.chance.randint(0, 3) > 0)
    alter(scene.account, subscription, change)


def _monthly(scene: Scene) -> Plan:
    plans = [plan for plan in scene.shelf.known if plan.interval == "month"]
    return scene.chance.choice(plans or scene.shelf.known)


def _forever(scene: Scene) -> None:
    plan = scene.chance.choice(scene.shelf.known)
    coupons = (a_coupon(scene, plan),)
    quantity = scene.chance.randint(1, 3)
    deal = Deal(plan, quantity, coupons=coupons, mode=a_mode(scene), promoted=scene.coin)
    cycle(scene.account, sign(scene.account, scene.customer, deal))


def _once(scene: Scene) -> None:
    plan = _monthly(scene)
    coupons = (a_coupon(scene, plan, duration="once"),)
    deal = Deal(plan, coupons=coupons, mode=a_mode(scene), promoted=scene.coin)
    subscription = sign(scene.account, scene.customer, deal)
    lapse(scene, subscription)
    if scene.coin:
        move(scene, subscription, plan, 2)
    cycle(scene.account, subscription)


def _repeating(scene: Scene) -> None:
    plan = _monthly(scene)
    coupons = (a_coupon(scene, plan, duration="repeating", months=2),)
    deal = Deal(plan, coupons=coupons, mode=a_mode(scene), promoted=scene.coin)
    subscription = sign(scene.account, scene.customer, deal)
    for _ in range(3):
        cycle(scene.account, subscription)


def _two_coupons(scene: Scene) -> None:
    plan = _monthly(scene)
    currency = scene.customer.currency
    percent = Coupon(scene.account.new_id("co", 8), percent_off=25)
    amount = Coupon(
        scene.account.new_id("co", 8), amount_off=plan.prices[currency] // 5, currency=currency
    )
    deal = Deal(plan, coupons=(percent, amount), mode=a_mode(scene))
    subscription = sign(scene.account, scene.customer, deal)
    lapse(scene, subscription)
    move(scene, subscription, plan, 3)
    cycle(scene.account, subscription)


def _later(scene: Scene) -> None:
    plan = _monthly(scene)
    subscription = sign(scene.account, scene.customer, Deal(plan, mode=a_mode(scene)))
    lapse(scene, subscription)
    grant_coupon(scene.account, subscription, a_coupon(scene, plan), promoted=scene.coin)
    lapse(scene, subscription)
    move(scene, subscription, plan, 2)
    cycle(scene.account, subscription)


def _changed(scene: Scene, *, up: bool) -> None:
    one, other = sorted(
        scene.chance.choice(scene.shelf.changes), key=lambda p: p.prices[scene.customer.currency]
    )
    first, second = (one, other) if up else (other, one)
    deal = Deal(first, coupons=(a_coupon(scene, first),), mode=a_mode(scene))
    subscription = sign(scene.account, scene.customer, deal)
    lapse(scene, subscription)
    move(scene, subscription, second, 1)
    cycle(scene.account, subscription)


def _upgrade(scene: Scene) -> None:
    _changed(scene, up=True)


def _downgrade(scene: Scene) -> None:
    _changed(scene, up=False)


def _seats(scene: Scene) -> None:
    plan = _monthly(scene)
    deal = Deal(plan, 2, coupons=(a_coupon(scene, plan),), mode=a_mode(scene))
    subscription = sign(scene.account, scene.customer, deal)
    for quantity in (scene.chance.randint(3, 5), 1):
        lapse(scene, subscription)
        move(scene, subscription, plan, quantity)


def _free_month(scene: Scene) -> None:
    plan = _monthly(scene)
    coupon = Coupon(scene.account.new_id("co", 8), 100, duration="repeating", months=1)
    deal = Deal(plan, coupons=(coupon,), mode=a_mode(scene))
    subscription = sign(scene.account, scene.customer, deal)
    lapse(scene, subscription)
    move(scene, subscription, plan, 2)
    cycle(scene.account, subscription)


def _billed_later(scene: Scene) -> None:
    plan = _monthly(scene)
    coupons = (a_coupon(scene, plan),) if scene.coin else ()
    deal = Deal(plan, coupons=coupons, mode=a_mode(scene))
    subscription = sign(scene.account, scene.customer, deal)
    lapse(scene, subscription)
    move(scene, subscription, plan, 3, bills="later")
    lapse(scene, subscription)
    move(scene, subscription, plan, 2, bills="later")
    cycle(scene.account, subscription)


DISCOUNTED: dict[str, Story] = {
    "coupon for ever": Story(_forever, 2, "known"),
    "coupon for once": Story(_once, 2, "known"),
    "coupon for some months": Story(_repeating, 2, "known"),
    "two coupons": Story(_two_coupons, 1, "known"),
    "coupon given later": Story(_later, 2, "known"),
    "coupon, plan up": Story(_upgrade, 2, "changes"),
    "coupon, plan down": Story(_downgrade, 1, "changes"),
    "coupon, seats": Story(_seats, 2, "known"),
    "free month, seats": Story(_free_month, 1, "known"),
    "change billed later": Story(_billed_later, 2, "known"),
}
