"""Stories of credit notes: invoices written off or down, and money given back through them."""

from sandbox.simulate.contract_records import Subscription
from sandbox.simulate.debiting import bounced_debit
from sandbox.simulate.objects import subscription_object
from sandbox.simulate.records import Invoice
from sandbox.simulate.scene import Scene, Story


def _open_renewal(scene: Scene) -> tuple[Subscription, Invoice]:
    # Open before any attempt, or after one that failed.
    subscription = scene.monthly()
    invoice = scene.account.begin_cycle(subscription)
    if scene.coin:
        scene.account.fall_behind(subscription, invoice)
    return subscription, invoice


def _recover(scene: Scene, subscription: Subscription) -> None:
    if subscription.status == "past_due":
        before = subscription_object(subscription)
        subscription.status = "active"
        scene.account.report(subscription, before)


def _paid_invoice(scene: Scene) -> Invoice:
    if scene.shelf.packages and (not scene.shelf.recurring or scene.coin):
        invoice = scene.package(invoicing=True).invoice
    else:
        invoice = scene.account.invoices[scene.monthly().latest_invoice or ""]
    if invoice is None:
        raise ValueError("a package with invoicing has an invoice")
    scene.days(1, 10)
    return invoice


def _written_off(scene: Scene) -> None:
    subscription, invoice = _open_renewal(scene)
    scene.account.credit_open(invoice, invoice.amount_due)
    _recover(scene, subscription)


def _written_off_in_two(scene: Scene) -> None:
    subscription, invoice = _open_renewal(scene)
    scene.account.credit_open(invoice, invoice.amount_due // 3)
    scene.days(1, 2)
    scene.account.credit_open(invoice, invoice.amount_due)
    _recover(scene, subscription)


def _debit_written_off(scene: Scene) -> None:
    _, invoice = bounced_debit(scene)
    scene.account.credit_open(invoice, invoice.amount_due)


def _reduced(scene: Scene) -> None:
    account = scene.account
    subscription, invoice = _open_renewal(scene)
    note = account.credit_open(invoice, invoice.amount_due // 3)
    account.pay(invoice)
    _recover(scene, subscription)
    if scene.coin:
        account.explain(note, "An outage of two days.")
    if scene.coin and invoice.intent and invoice.intent.charge:
        scene.days(1, 9)
        account.refund(invoice.intent.charge, invoice.amount_paid)


def _voided(scene: Scene) -> None:
    account = scene.account
    subscription, invoice = _open_renewal(scene)
    note = account.credit_open(invoice, invoice.amount_due // 2)
    account.wait(3600)
    account.void_note(note)
    account.pay(invoice)
    _recover(scene, subscription)


def _not_heard(scene: Scene) -> None:
    subscription, invoice = _open_renewal(scene)
    scene.account.credit_open(invoice, invoice.amount_due, heard=False)
    _recover(scene, subscription)


def _to_the_card(scene: Scene) -> None:
    invoice = _paid_invoice(scene)
    whole = scene.coin
    refund = invoice.amount_paid if whole else invoice.amount_paid // 4
    scene.account.credit_paid(invoice, refund=refund)
    if not whole:
        scene.days(1, 9)
        scene.account.credit_paid(invoice, refund=invoice.amount_paid // 4)


def _to_the_balance(scene: Scene) -> None:
    subscription = scene.monthly()
    invoice = scene.account.invoices[subscription.latest_invoice or ""]
    scene.days(1, 10)
    scene.account.credit_paid(invoice, balance=invoice.amount_paid // 2)
    scene.account.renew(subscription)


def _in_hand(scene: Scene) -> None:
    invoice = _paid_invoice(scene)
    scene.account.credit_paid(invoice, outside=invoice.amount_paid // 2)


def _all_three_ways(scene: Scene) -> None:
    # Older endpoints tell only sums: which part of a note was the refund, nobody could say.
    invoice = _paid_invoice(scene)
    part = invoice.amount_paid // 5
    if scene.customer.version.refund_events:
        scene.account.credit_paid(invoice, refund=part, balance=part, outside=part)
    else:
        scene.account.credit_paid(invoice, balance=part, outside=part)


def _refund_of_it_failed(scene: Scene) -> None:
    # The note still holds: what the buyer is owed is on its way by another road.
    invoice = _paid_invoice(scene)
    note = scene.account.credit_paid(invoice, refund=invoice.amount_paid // 2)
    scene.days(1, 9)
    if note.refund and scene.customer.version.refund_events:
        scene.account.finish_refund(note.refund, succeeds=False)


CREDITING: dict[str, Story] = {
    "written off": Story(_written_off, 2, "recurring"),
    "written off in two": Story(_written_off_in_two, 1, "recurring"),
    "debit bounced, written off": Story(_debit_written_off, 1, "packages"),
    "credited before it was paid": Story(_reduced, 2, "recurring"),
    "credit note voided": Story(_voided, 1, "recurring"),
    "credit note not heard of": Story(_not_heard, 1, "recurring"),
    "credited to the card": Story(_to_the_card, 2, "any"),
    "credited to the balance": Story(_to_the_balance, 1, "recurring"),
    "credited in hand": Story(_in_hand, 1, "any"),
    "credited in three ways": Story(_all_three_ways, 1, "any"),
    "credited, its refund failed": Story(_refund_of_it_failed, 1, "any"),
}
