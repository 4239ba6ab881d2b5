"""The offline Stripe as its pages and tests act on it: checkout, portal, refunds, dashboard.

Knows nothing of HTTP. All methods may be called from any thread. Ids that never existed raise
`KeyError`; the pages look with `checkout` and `portal` first.
"""

from pathlib import Path
from typing import TypeVar

from sandbox.simulate.contract_records import Subscription
from sandbox.simulate.money_records import Charge, Dispute, Intent, Refund
from sandbox.simulate.records import Invoice, Session
from sandbox.stripe import showing
from sandbox.stripe.agenda import Shop
from sandbox.stripe.billing.changing import Change
from sandbox.stripe.cards import DEBIT, Card, card_of
from sandbox.stripe.goods import Kept, Visit
from sandbox.stripe.keeper import Keeper
from sandbox.stripe.paying.setup_sessions import AnySession, SetupSession
from sandbox.stripe.paying.setups import Setup
from sandbox.stripe.state.store import Store
from sandbox.stripe.views import Checkout, Dashboard, Declined, NeedsAuthentication, Paid, Portal

_INVALID = Declined("Your card number is invalid.", "incorrect_number")
_OVER = Declined("This checkout session is no longer open.", "session_not_open")
_NOT_TAKEN = Declined("This page does not take that.", "payment_method_not_available")
_NOT_PAYABLE = Declined("This invoice cannot be paid now.", "invoice_not_payable")
_BANK_DEBIT = Card(DEBIT)
Outcome = Paid | Declined | NeedsAuthentication
K = TypeVar("K", bound=Kept)
S = TypeVar("S", Subscription, Invoice)


class World(Keeper):
    """One account."""

    @classmethod
    def open(cls, path: Path) -> "World":
        """The account kept in a file, new where there is none.

        `set_aside` tells where a file went that another version of this program has written.
        """
        return cls(Store(path))

    # The checkout page.

    def checkout(self, session_id: str) -> Checkout | None:
        """A checkout session as its page shows it."""
        self.tick()
        with self.reading() as shop:
            session = shop.get(SetupSession, session_id) or shop.get(Session, session_id)
            return showing.checkout(shop, session) if session else None

    def pay(self, session_id: str, card_number: str, *, authenticated: bool = False) -> Outcome:
        """Try a card on an open session, or let it be kept where that is all it is for.

        Raises `KeyError` where there is no such session.
        """
        card = card_of(card_number)
        with self.acting() as act:
            session = _session(act.shop, session_id)
            if session.status != "open":
                return _already(session)
            if card is None:
                return _INVALID
            if "card" not in session.method_types:
                return _NOT_TAKEN
            said = act.shop.pay_checkout(session, card, authenticated=authenticated)
            return said or Paid(showing.after_payment(session))

    def apply_code(self, session_id: str, word: str) -> Declined | None:
        """Take a promotion code off an open session; None when it is taken."""
        with self.acting() as act:
            session = _the(act.shop, Session, session_id)
            return act.shop.apply_code(session, word) if session.status == "open" else _OVER

    def refuse_authentication(self, session_id: str) -> Declined:
        """Fail the bank's question to the buyer."""
        with self.acting() as act:
            return act.shop.refuse_checkout(_session(act.shop, session_id))

    def pay_delayed(self, session_id: str) -> Paid | Declined:
        """Pay by a bank debit, which is answered days later."""
        with self.acting() as act:
            session = _session(act.shop, session_id)
            if session.status != "open":
                return _already(session)
            if DEBIT not in session.method_types:
                return _NOT_TAKEN
            said = act.shop.debit_checkout(session, _BANK_DEBIT)
            return said or Paid(showing.after_payment(session))

    def finish_delayed(self, session_id: str, succeeds: bool) -> None:  # noqa: FBT001 - the pages call it so.
        """Bring the bank's answer to a debit; `ValueError` where none is waited for."""
        with self.acting() as act:
            act.shop.settle_debit(_the(act.shop, Session, session_id), succeeds=succeeds)

    # The portal.

    def portal(self, portal_id: str) -> Portal | None:
        """A visit to the portal as its pages show it."""
        self.tick()
        with self.reading() as shop:
            visit = shop.get(Visit, portal_id)
            return showing.portal(shop, visit) if visit else None

    def cancel(self, portal_id: str, subscription_id: str, *, now: bool = False) -> None:
        """Cancel at the period's end, or now."""
        with self.acting() as act:
            subscription = _owned(act.shop, portal_id, Subscription, subscription_id)
            if subscription.ended_at is not None:
                return
            if now:
                act.shop.close(subscription)
            else:
                act.shop.schedule_cancel(subscription)

    def undo_cancel(self, portal_id: str, subscription_id: str) -> None:
        """Take a scheduled cancellation back."""
        with self.acting() as act:
            subscription = _owned(act.shop, portal_id, Subscription, subscription_id)
            if subscription.ended_at is None:
                act.shop.undo_cancel(subscription)

    def switch_plan(self, portal_id: str, subscription_id: str, price_id: str) -> Paid | Declined:
        """Switch to another price now and pay the difference; see `Portal` for the options."""
        with self.acting() as act:
            shop = act.shop
            subscription = _owned(shop, portal_id, Subscription, subscription_id)
            offered = showing.offer_of(shop, _the(shop, Visit, portal_id))
            prices = {price.id: price for price in showing.options(shop, subscription, offered)}
            behavior = offered.features["subscription_update"]["proration_behavior"]
            if behavior == "always_invoice":
                said = shop.move_to(subscription, prices[price_id], subscription.quantity)
                return said or Paid(_the(shop, Visit, portal_id).return_url or "")
            place = subscription.items[subscription.place]
            change = Change(place.id, prices[price_id], place.quantity)
            shop.change_items(subscription, [change], behavior)
            return Paid(_the(shop, Visit, portal_id).return_url or "")

    def pay_invoice(
        self, portal_id: str, invoice_id: str, card_number: str, *, authenticated: bool = False
    ) -> Outcome:
        """Try a card on an open invoice; one that pays becomes the customer's card."""
        card = card_of(card_number)
        with self.acting() as act:
            invoice = _owned(act.shop, portal_id, Invoice, invoice_id)
            if not showing.payable(invoice):
                return _NOT_PAYABLE
            if card is None:
                return _INVALID
            said = act.shop.pay_now(invoice, card, authenticated=authenticated)
            return said or Paid(_the(act.shop, Visit, portal_id).return_url or "")

    def set_card(self, portal_id: str, card_number: str) -> Declined | None:
        """Replace the customer's card; the next renewal is tried with it."""
        card = card_of(card_number)
        if card is None:
            return _INVALID
        if card.decline_code is not None:
            return Declined(card.message, card.decline_code)
        with self.acting() as act:
            act.shop.replace_card(_the(act.shop, Visit, portal_id).customer, card)
        return None

    # A bank's question to a buyer who pays by a request.

    def asked_by_bank(self, intent_id: str) -> tuple[str, str | None] | None:
        """The card's last digits of an intent that waits for its buyer, and where that leads."""
        with self.reading() as shop:
            waiting = shop.get(Intent, intent_id) or shop.get(Setup, intent_id)
            if waiting is None or waiting.status != "requires_action":
                return None
            action = waiting.stated["next_action"]["redirect_to_url"]
            last4 = waiting.card_last4 if isinstance(waiting, Intent) else _last4(waiting)
            return last4, action["return_url"]

    def answer_bank(self, intent_id: str, *, succeeds: bool) -> None:
        """Bring the buyer's answer to the bank's question."""
        with self.acting() as act:
            setup = act.shop.get(Setup, intent_id)
            if setup and setup.method:
                act.shop.answer_setup(setup, setup.method, succeeds=succeeds)
            else:
                act.shop.answer_bank(_the(act.shop, Intent, intent_id), succeeds=succeeds)

    # The seller's side.

    def fail_next(self) -> None:
        """Let the bank refuse whatever it is asked for next."""
        with self.acting() as act:
            act.shop.fails_next = True

    def refund(self, charge_or_intent: str, amount_minor: int | None = None) -> str:
        """Refund some of a payment, or all that is left; returns the refund's id.

        Raises `ValueError` where so much is not left.
        """
        with self.acting() as act:
            charge = _charge(act.shop, charge_or_intent)
            left = charge.intent.amount - charge.amount_refunded
            amount = left if amount_minor is None else amount_minor
            if charge.status != "succeeded" or not 0 < amount <= left:
                raise ValueError(f"{charge.id} has {left} left to refund, not {amount}")
            return act.shop.refund(charge, amount).id

    def finish_refund(self, refund_id: str, *, succeeds: bool) -> None:
        """Bring the bank's answer to a refund; a failed one's money is ours again."""
        with self.acting() as act:
            act.shop.finish_refund(_the(act.shop, Refund, refund_id), succeeds=succeeds)

    def dispute(self, charge_or_intent: str, *, inquiry: bool = False) -> str:
        """Dispute what is left of a payment; returns the dispute's id."""
        with self.acting() as act:
            charge = _charge(act.shop, charge_or_intent)
            left = charge.intent.amount - charge.amount_refunded
            return act.shop.dispute(charge, left, inquiry=inquiry).id

    def close_dispute(self, dispute_id: str, *, won: bool) -> None:
        """Bring the bank's verdict on a dispute."""
        with self.acting() as act:
            act.shop.close_dispute(_the(act.shop, Dispute, dispute_id), won=won)

    def dashboard(self) -> Dashboard:
        """What the dashboard shows."""
        self.tick()
        with self.reading() as shop:
            return Dashboard(
                now=self.now,
                clock_ahead_seconds=self.ahead_seconds,
                webhook_url=self.webhook_url,
                customers=showing.customers(shop),
                payments=showing.payments(shop),
                debits=showing.debits(shop),
                subscriptions=showing.subscriptions(shop),
                fails_next=shop.fails_next,
                events=showing.events(reversed(self.log.posted[-showing.SHOWN :])),
                switches=self.switches,
                answering=self.answering,
            )


def _the(shop: Shop, kind: type[K], record_id: str) -> K:
    record = shop.get(kind, record_id)
    if record is None:
        raise KeyError(record_id)
    return record


def _session(shop: Shop, session_id: str) -> AnySession:
    return shop.get(SetupSession, session_id) or _the(shop, Session, session_id)


def _owned(shop: Shop, portal_id: str, kind: type[S], record_id: str) -> S:
    """A record of the visitor's own: the portal shows nobody else's."""
    record = _the(shop, kind, record_id)
    if record.customer is not _the(shop, Visit, portal_id).customer:
        raise KeyError(record_id)
    return record


def _last4(setup: Setup) -> str:
    return setup.method.card.last4 if setup.method else ""


def _charge(shop: Shop, charge_or_intent: str) -> Charge:
    intent = shop.get(Intent, charge_or_intent)
    charge = intent.charge if intent else shop.get(Charge, charge_or_intent)
    if charge is None:
        raise KeyError(charge_or_intent)
    return charge


def _already(session: AnySession) -> Paid | Declined:
    # A second click on the button finds what the first one did.
    return Paid(showing.after_payment(session)) if session.status == "complete" else _OVER
