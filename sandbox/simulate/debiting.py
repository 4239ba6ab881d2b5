"""Stories of one-time sales whose money comes after the session, told by something else."""

from sandbox.simulate.linking import give_back_a_part, some_package
from sandbox.simulate.records import Invoice, Session
from sandbox.simulate.scene import Scene, Story


def open_debit(scene: Scene) -> tuple[Session, Invoice]:
    """Buy a package by bank debit, with an invoice that stays open."""
    session = scene.account.open_session(scene.customer, some_package(scene), method="sepa_debit")
    session.invoicing = True
    invoice = scene.account.begin_debit(session)
    if invoice is None:
        raise ValueError("a session with invoicing makes an invoice")
    return session, invoice


def bounced_debit(scene: Scene) -> tuple[Session, Invoice]:
    """Let the bank refuse such a debit."""
    session, invoice = open_debit(scene)
    scene.account.bounce(session)
    scene.days(1, 9)
    return session, invoice


def _paid_by_card(scene: Scene) -> None:
    session, invoice = bounced_debit(scene)
    scene.account.pay_hosted(invoice)
    give_back_a_part(scene, session)


def _paid_outside(scene: Scene) -> None:
    _, invoice = bounced_debit(scene)
    # Before basil Stripe counted such money as no payment at all, so what is shown was open.
    if scene.customer.version.basil:
        scene.account.pay_outside(invoice)
    else:
        scene.account.pay_hosted(invoice)


def _never_paid(scene: Scene) -> None:
    _, invoice = bounced_debit(scene)
    if scene.coin:
        scene.account.void(invoice)


def _invoice_first(scene: Scene) -> None:
    session, _ = open_debit(scene)
    scene.account.arrive_by_invoice(session, says_so=scene.coin)
    give_back_a_part(scene, session)


def _captured(scene: Scene) -> None:
    session = scene.account.open_session(scene.customer, some_package(scene))
    scene.account.authorize_card(session)
    scene.account.capture(session)
    give_back_a_part(scene, session)


def _held(scene: Scene) -> None:
    scene.account.authorize_card(scene.account.open_session(scene.customer, some_package(scene)))


DEBITING: dict[str, Story] = {
    "debit bounced, invoice paid by card": Story(_paid_by_card, 2, "packages"),
    "debit bounced, invoice paid outside": Story(_paid_outside, 1, "packages"),
    "debit bounced, never paid": Story(_never_paid, 1, "packages"),
    "debit, invoice tells first": Story(_invoice_first, 2, "packages"),
    "held, then captured": Story(_captured, 2, "packages"),
    "held, not captured": Story(_held, 1, "packages"),
}
