"""Stories of one-time sales that our own checkout never saw, or that say odd things."""

from sandbox.simulate.connected import connected
from sandbox.simulate.contract_records import Customer
from sandbox.simulate.plans import Plan
from sandbox.simulate.records import Session
from sandbox.simulate.scene import Scene, Story


def visitor(scene: Scene, *, guest: bool = False, user_id: str = "") -> Customer:
    """Meet the customer that a Payment Link makes: nothing on it says whose it is."""
    buyer = scene.customer
    return scene.account.customer(
        user_id or buyer.user_id,
        buyer.version,
        currency=buyer.currency,
        linked=False,
        guest=guest,
    )


def some_package(scene: Scene) -> Plan:
    """Choose a package."""
    return scene.chance.choice(scene.shelf.packages)


def some_basket(scene: Scene) -> list[tuple[Plan, int]]:
    """Choose several packages, or several of the only one."""
    sold = scene.shelf.packages
    chosen = scene.chance.sample(sold, min(2, len(sold)))
    return [(plan, scene.chance.randint(2, 4)) for plan in chosen]


def give_back_a_part(scene: Scene, session: Session) -> None:
    """Refund a third of what a session cost, or, by chance, nothing."""
    charge = session.intent.charge if session.intent else None
    if charge and scene.coin:
        scene.days(1, 9)
        scene.account.refund(charge, charge.intent.amount // 3)


def _link(scene: Scene, *, guest: bool) -> None:
    plan, quantity = some_package(scene), scene.chance.randint(1, 4)
    session = scene.account.link_session(
        visitor(scene, guest=guest),
        [(plan, quantity)],
        reference=scene.customer.user_id,
        names=plan,
        invoicing=not guest and scene.coin,
    )
    give_back_a_part(scene, scene.account.sell(session))


def _link_named(scene: Scene) -> None:
    _link(scene, guest=False)


def _link_guest(scene: Scene) -> None:
    _link(scene, guest=True)


def _link_reduced(scene: Scene) -> None:
    account, plan = scene.account, some_package(scene)
    session = account.link_session(
        visitor(scene),
        [(plan, scene.chance.randint(1, 3))],
        reference=scene.customer.user_id,
        names=plan,
        invoicing=scene.coin,
    )
    account.sell(account.reduce(session, percent=25, tax_percent=19))
    give_back_a_part(scene, session)


def _link_free(scene: Scene) -> None:
    account, plan = scene.account, some_package(scene)
    session = account.link_session(
        visitor(scene),
        [(plan, 2)],
        reference=scene.customer.user_id,
        names=plan,
        invoicing=scene.coin,
    )
    account.sell(account.reduce(session, percent=100))


def _link_billed(scene: Scene) -> None:
    account = scene.account
    session = account.link_session(
        visitor(scene), some_basket(scene), reference=scene.customer.user_id, invoicing=True
    )
    if scene.coin:
        account.reduce(session, percent=10, tax_percent=7)
    give_back_a_part(scene, account.sell(session))


def _link_nobody(scene: Scene) -> None:
    plan = some_package(scene)
    guest = scene.coin
    session = scene.account.link_session(visitor(scene, guest=guest), [(plan, 1)], names=plan)
    give_back_a_part(scene, scene.account.sell(session))


def _link_claimed(scene: Scene) -> None:
    plan, buyer = some_package(scene), visitor(scene)
    session = scene.account.link_session(buyer, [(plan, 2)], names=plan, invoicing=scene.coin)
    scene.account.sell(session)
    scene.days(1, 9)
    scene.account.claim(buyer)
    give_back_a_part(scene, session)


def _own_reduced(scene: Scene) -> None:
    account = scene.account
    session = account.open_session(scene.customer, some_package(scene))
    session.invoicing = scene.coin
    account.sell(account.reduce(session, percent=scene.chance.choice((0, 20)), tax_percent=19))
    give_back_a_part(scene, session)


def _fifty_cents(scene: Scene) -> None:
    dearest = max(scene.shelf.packages, key=lambda plan: plan.prices[scene.customer.currency])
    scene.account.sell(scene.account.odd_session(scene.customer, dearest, 50))


def _no_whole_package(scene: Scene) -> None:
    plan = some_package(scene)
    amount = plan.prices[scene.customer.currency] * 3 // 2 + 1
    session = scene.account.sell(scene.account.odd_session(scene.customer, plan, amount))
    give_back_a_part(scene, session)


def _three_in_one_price(scene: Scene) -> None:
    plan = some_package(scene)
    amount = plan.prices[scene.customer.currency] * 3
    session = scene.account.sell(scene.account.odd_session(scene.customer, plan, amount))
    give_back_a_part(scene, session)


def _currency_unlisted(scene: Scene) -> None:
    plan = some_package(scene)
    amount = plan.prices[scene.customer.currency]
    scene.account.sell(scene.account.odd_session(scene.customer, plan, amount, currency="chf"))


def _two_customers(scene: Scene) -> None:
    account, mine = scene.account, scene.customer
    first = account.buy_package(mine, some_package(scene), invoicing=scene.coin)
    scene.days(1, 20)
    other = account.customer(mine.user_id, mine.version, currency=mine.currency, linked=False)
    second = account.buy_package(other, some_package(scene), invoicing=scene.coin)
    if scene.shelf.recurring:
        account.renew(account.subscribe(other, scene.chance.choice(scene.shelf.recurring)))
    give_back_a_part(scene, first)
    give_back_a_part(scene, second)


def _stranger(scene: Scene) -> None:
    # The victim buys as always; the stranger's own customer is new, or known as the stranger's.
    account, victim = scene.account, scene.customer
    account.buy_package(victim, some_package(scene), invoicing=scene.coin)
    scene.days(1, 20)
    stranger = visitor(scene, user_id=f"{victim.user_id}-stranger")
    if scene.coin:
        account.buy_package(stranger, some_package(scene))
        scene.days(1, 20)
    plan = some_package(scene)
    session = account.link_session(stranger, [(plan, 1)], reference=victim.user_id, names=plan)
    account.sell(session)
    scene.days(1, 20)
    account.buy_package(victim, some_package(scene))


def _connected(scene: Scene) -> None:
    account, mine = scene.account, scene.customer
    scene.package(invoicing=scene.coin)
    scene.days(1, 9)
    with connected(account, key=scene.chance.choice(("account", "account", "context"))):
        other = account.customer(mine.user_id, mine.version, currency=mine.currency)
        session = account.buy_package(other, some_package(scene), invoicing=scene.coin)
        account.sell(account.odd_session(other, some_package(scene), 50))
        if scene.shelf.recurring:
            account.renew(account.subscribe(other, scene.chance.choice(scene.shelf.recurring)))
        give_back_a_part(scene, session)


LINKING: dict[str, Story] = {
    "link, plan named": Story(_link_named, 3, "packages"),
    "link, guest": Story(_link_guest, 2, "packages"),
    "link, promotion and tax": Story(_link_reduced, 2, "packages"),
    "link, free": Story(_link_free, 1, "packages"),
    "link, billed": Story(_link_billed, 2, "packages"),
    "link, nobody's": Story(_link_nobody, 1, "packages"),
    "link, claimed later": Story(_link_claimed, 1, "packages"),
    "package, promotion and tax": Story(_own_reduced, 2, "packages"),
    "session of fifty cents": Story(_fifty_cents, 1, "packages"),
    "session of no whole package": Story(_no_whole_package, 1, "packages"),
    "session of three in one price": Story(_three_in_one_price, 1, "packages"),
    "session, currency unlisted": Story(_currency_unlisted, 1, "packages"),
    "two customers, one user": Story(_two_customers, 2, "packages"),
    "stranger names a victim": Story(_stranger, 1, "packages"),
    "connected account": Story(_connected, 2, "packages"),
}
