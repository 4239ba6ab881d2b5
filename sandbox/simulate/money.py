"""The lives of one-time sales and of money given back, as tables of stories.

`MONEY` is right by what events say; the right end of `ASKING` needs an answer of Stripe as well
(`sandbox.simulate.asked`), and `ExpectedAccount.users(asking=True)` has it.
"""

from dataclasses import replace

from sandbox.simulate.crediting import CREDITING
from sandbox.simulate.debiting import DEBITING
from sandbox.simulate.linking import LINKING, some_basket, some_package, visitor
from sandbox.simulate.money_records import Charge
from sandbox.simulate.scene import Scene, Story
from sandbox.simulate.versions import ApiVersion

# Between basil and 2025-05-28 nothing in an event links an intent to its invoice.
_UNLINKED = ApiVersion("2025-03-31.basil")
# The bank's own currency and what a hundred of the payment's minor units are in it, about.
_BANKS = {"usd": ("gbp", 79), "eur": ("chf", 96), "jpy": ("usd", 66)}


def _dispute_foreign(scene: Scene) -> None:
    charge = scene.paid_charge()
    if scene.chance.randint(1, 4) == 1:
        scene.account.refund(charge, charge.intent.amount // 3)
        scene.days(1, 3)
    currency, share = _BANKS.get(charge.intent.currency, ("jpy", 15000))
    amount = max(1, charge.intent.amount * share // 100)
    dispute = scene.account.dispute(charge, amount, foreign=currency)
    scene.days(10, 40)
    scene.account.close_dispute(dispute, won=scene.coin)


def _inquiry_foreign(scene: Scene) -> None:
    # More of the bank's minor units than were paid, and still no money moves.
    charge = scene.paid_charge()
    amount = charge.intent.amount * 150
    dispute = scene.account.dispute(charge, amount, inquiry=True, foreign="krw")
    scene.account.review(dispute)
    scene.days(10, 40)
    scene.account.close_dispute(dispute, won=True)


def _inquiry_escalated(scene: Scene) -> None:
    charge = scene.paid_charge()
    dispute = scene.account.dispute(charge, charge.intent.amount // 2, inquiry=True)
    scene.days(1, 9)
    scene.account.escalate(dispute)
    scene.days(10, 40)
    scene.account.close_dispute(dispute, won=scene.coin)


def _bought_this_second(scene: Scene) -> Charge:
    if scene.shelf.packages and (not scene.shelf.recurring or scene.coin):
        intent = scene.package(invoicing=scene.coin).intent
    else:
        intent = scene.account.invoices[scene.monthly().latest_invoice or ""].intent
    if intent is None or intent.charge is None:
        raise ValueError("a purchase by card at a price above 0 has a charge")
    return intent.charge


def _refund_first(scene: Scene) -> None:
    account, start = scene.account, len(scene.account.events)
    charge = _bought_this_second(scene)
    bought = len(account.events)
    account.refund(charge, charge.intent.amount // 2)
    account.tell_before(start, bought)


def _dispute_first(scene: Scene) -> None:
    account, start = scene.account, len(scene.account.events)
    charge = _bought_this_second(scene)
    bought = len(account.events)
    account.dispute(charge, charge.intent.amount)
    account.tell_before(start, bought)


def _refund_pending_then_failed(scene: Scene) -> None:
    charge = scene.paid_charge()
    refund = scene.account.refund(charge, charge.intent.amount, status="pending")
    scene.days(1, 9)
    scene.account.finish_refund(refund, succeeds=True)
    scene.days(1, 20)
    scene.account.finish_refund(refund, succeeds=False)


_GOING_BACK: dict[str, Story] = {
    "dispute, other currency": Story(_dispute_foreign, 2, "any"),
    "inquiry, other currency": Story(_inquiry_foreign, 1, "any"),
    "inquiry, escalated": Story(_inquiry_escalated, 1, "any"),
    "refund before all else": Story(_refund_first, 2, "any"),
    "dispute before all else": Story(_dispute_first, 1, "any"),
    "refund, pending, then failed": Story(_refund_pending_then_failed, 1, "any"),
}


def _link_unnamed(scene: Scene) -> None:
    basket = [(some_package(scene), scene.chance.randint(1, 3))]
    session = scene.account.link_session(
        visitor(scene, guest=scene.coin), basket, reference=scene.customer.user_id
    )
    scene.account.sell(session)


def _basket(scene: Scene) -> None:
    session = scene.account.link_session(
        visitor(scene), some_basket(scene), reference=scene.customer.user_id
    )
    scene.account.sell(scene.account.reduce(session, percent=10, tax_percent=19))


def _basket_one_named(scene: Scene) -> None:
    basket = some_basket(scene)
    session = scene.account.link_session(
        visitor(scene),
        basket,
        reference=scene.customer.user_id,
        names=basket[-1][0],
        invoicing=scene.coin,
    )
    scene.account.sell(session)


def _wrong_name(scene: Scene) -> None:
    # The link was copied from another one, and its metadata with it.
    cheap, *_, dear = sorted(
        [*scene.shelf.packages] * 2, key=lambda plan: plan.prices[scene.customer.currency]
    )
    session = scene.account.link_session(
        visitor(scene), [(cheap, 1)], reference=scene.customer.user_id, names=dear
    )
    scene.account.sell(session)


def _unlinked_charge(scene: Scene) -> Charge:
    account, mine = scene.account, scene.customer
    buyer = account.customer(mine.user_id, _UNLINKED, currency=mine.currency)
    subscription = replace(scene, customer=buyer).monthly()
    scene.days(1, 9)
    intent = account.invoices[subscription.latest_invoice or ""].intent
    if intent is None or intent.charge is None:
        raise ValueError("a purchase by card at a price above 0 has a charge")
    return intent.charge


def _refund_unlinked(scene: Scene) -> None:
    charge = _unlinked_charge(scene)
    scene.account.refund(charge, charge.intent.amount // 2)


def _dispute_unlinked(scene: Scene) -> None:
    charge = _unlinked_charge(scene)
    scene.account.dispute(charge, charge.intent.amount)


MONEY: dict[str, Story] = {**LINKING, **DEBITING, **CREDITING, **_GOING_BACK}

ASKING: dict[str, Story] = {
    "link, nothing named": Story(_link_unnamed, 2, "packages"),
    "basket": Story(_basket, 2, "packages"),
    "basket, one plan named": Story(_basket_one_named, 1, "packages"),
    "link, another plan named": Story(_wrong_name, 1, "packages"),
    "refund, nothing links it": Story(_refund_unlinked, 1, "recurring"),
    "dispute, nothing links it": Story(_dispute_unlinked, 1, "recurring"),
}
