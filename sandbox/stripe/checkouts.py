"""Selling through hosted checkout, step by step, as its page acts.

Every step keeps the records and emits what field experience says Stripe emits. No I/O.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.simulate.contract_records import Customer, Price
from sandbox.simulate.coupons import Discount
from sandbox.simulate.invoice_objects import invoice_object
from sandbox.simulate.money_records import Charge, Intent
from sandbox.simulate.payment_objects import UNAUTHENTICATED, intent_object
from sandbox.simulate.records import Embedding, Pick, Session
from sandbox.stripe.cards import DEBIT, Card
from sandbox.stripe.offers import Code, spread
from sandbox.stripe.paying.holding import Holding
from sandbox.stripe.paying.methods import Method
from sandbox.stripe.views import Declined, NeedsAuthentication

LIFETIME_SECONDS = 24 * 3600
# What the bank takes to answer a debit.
DEBIT_SECONDS = 3 * 86400
REFUSED = Declined(
    "We are unable to authenticate your payment method. "
    "Please choose a different payment method and try again.",
    UNAUTHENTICATED,
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a checkout session is to sell, to whom, and where it leads afterwards."""

    lines: tuple[tuple[Price, int], ...]
    success_url: str
    customer: Customer | None = None
    cancel_url: str | None = None
    embedding: Embedding | None = None
    reference: str | None = None
    email: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    intent_metadata: dict[str, str] = field(default_factory=dict)
    intent_stated: dict[str, Any] = field(default_factory=dict)
    contract_metadata: dict[str, str] = field(default_factory=dict)
    trial_days: int = 0
    invoicing: bool = False
    promotion_codes: bool | None = None
    discounts: tuple[Discount, ...] = ()
    always_customer: bool = False
    # What the asker's clock says, and how far that is from now.
    expires_at: int = 0
    lives_seconds: int = LIFETIME_SECONDS
    stated: dict[str, Any] = field(default_factory=dict)

    @property
    def main(self) -> tuple[Price, int]:
        """What renews first, or is sold first where nothing renews; and how many."""
        return next((line for line in self.lines if line[0].plan.recurring), self.lines[0])


class Checkouts(Holding):
    """Checkout sessions; with `swift` a whole sequence of events shares its second."""

    swift = False
    # Whether the bank refuses whatever it is asked for next.
    fails_next = False

    def tried(self, card: Card) -> Card:
        """A card as the bank takes it now: once in a while it refuses, because it was told to."""
        if not self.fails_next:
            return card
        self.fails_next = False
        return replace(card, decline_code="generic_decline", message="Your card was declined.")

    def step(self) -> None:
        """Let the moment pass that a payment takes."""
        if not self.swift:
            self.wait(1)

    def open_checkout(self, terms: Terms) -> Session:
        """Open a session; Stripe says nothing until it is completed or expires."""
        price, quantity = terms.main
        recurring = price.plan.recurring
        guest = not recurring and not terms.always_customer
        line_ids = [self.new_id("li") for _ in terms.lines]
        picks = tuple(
            Pick(sold, count, line_id)
            for (sold, count), line_id in zip(terms.lines, line_ids, strict=True)
        )
        session = Session(
            id=self.new_id("cs_test", 58),
            customer=terms.customer or self.add_customer(email=terms.email or "", guest=guest),
            mode="subscription" if recurring else "payment",
            price=price,
            quantity=quantity,
            created=self.now,
            metadata=dict(terms.metadata),
            amount_subtotal=0,
            amount_total=0,
            reference=terms.reference,
            intent_metadata=dict(terms.intent_metadata),
            intent_stated=dict(terms.intent_stated),
            contract_metadata=dict(terms.contract_metadata),
            trial_days=terms.trial_days,
            flexible=True,
            expires_at=terms.expires_at or self.now + terms.lives_seconds,
            deadline=self.now + terms.lives_seconds,
            success_url=terms.success_url,
            cancel_url=terms.cancel_url,
            embedding=terms.embedding,
            customer_given=terms.customer is not None,
            customer_email=terms.email,
            promotion_codes=terms.promotion_codes,
            line_id=line_ids[0],
            invoicing=terms.invoicing,
            basket=picks if len(picks) > 1 else (),
            discounts=terms.discounts,
            stated=dict(terms.stated),
        )
        reckon(session)
        self.keep(session)
        return session

    def apply_code(self, session: Session, word: str) -> Declined | None:
        """Take a promotion code off an open session, as its buyer types it; None when it is."""
        code = self.code_of(word)
        if not session.promotion_codes or session.discounts:
            return Declined("This page takes no promotion code.", "promotion_code_not_allowed")
        coupon = code.offer.coupon if code else None
        if code is None or coupon is None or coupon.currency not in ("", session.price.currency):
            return Declined("This promotion code is invalid.", "promotion_code_invalid")
        session.discounts = (self.redeem(code),)
        reckon(session)
        if session.intent:
            session.intent.amount = session.amount_total
        if session.amount_total == 0:
            session.intent = None
        return None

    def redeem(self, code: Code) -> Discount:
        """Put a promotion code to use."""
        code.redeemed += 1
        code.offer.redeemed += 1
        return Discount(self.new_id("di"), code.offer.coupon, self.now, None, code.id)

    def pay_checkout(
        self, session: Session, card: Card, *, authenticated: bool
    ) -> Declined | NeedsAuthentication | None:
        """Try a card on an open session; None when it is complete then."""
        card = self.tried(card)
        intent = self._intent_for(session)
        if card.decline_code is not None:
            self._turn_down(intent, card)
            return Declined(card.message, card.decline_code)
        if card.authenticates and not authenticated:
            if intent:
                intent.status = "requires_action"
                drawn = intent_object(intent)
                self.emit("payment_intent.requires_action", drawn, session.customer)
            return NeedsAuthentication()
        self._settle_in(session, card)
        charge = self.collect(intent) if intent else None
        self._keep_for_later(session)
        self.step()
        self._fulfil(session, charge)
        return None

    def refuse_checkout(self, session: Session) -> Declined:
        """Fail the buyer's authentication."""
        intent = session.intent
        if intent and intent.status == "requires_action":
            intent.status = "requires_payment_method"
            intent.decline_code, intent.decline_message = UNAUTHENTICATED, REFUSED.message
            self.emit("payment_intent.payment_failed", intent_object(intent), session.customer)
        return REFUSED

    def debit_checkout(self, session: Session, debit: Card) -> Declined | None:
        """Complete a session whose money the bank brings days later, or never."""
        session.method_type = DEBIT
        intent = self._intent_for(session)
        self._settle_in(session, debit)
        if intent is None:
            self._fulfil(session, None)
            return None
        intent.method_type = DEBIT
        self.process(intent)
        self._keep_for_later(session)
        session.deadline = self.now + DEBIT_SECONDS
        self.step()
        if session.mode == "subscription":
            self.contract(session)
        else:
            self.complete(session, "unpaid")
        return None

    def settle_debit(self, session: Session, *, succeeds: bool) -> None:
        """Bring the bank's answer to a completed session's debit."""
        if session.subscription is None and not session.invoicing:
            self.answer_debit(session, succeeds=succeeds)
            return
        intent = session.intent
        if intent is None or intent.status != "processing":
            raise ValueError(f"{session.id} waits for no bank")
        if succeeds:
            self.collect(intent)
            session.payment_status = "paid"
            if session.invoice:
                self.mark_paid(session.invoice)
            else:
                self._bill(session)
        else:
            self.decline(intent)
            self._give_up_debit(session)
        self.say_debit(session, succeeds=succeeds)

    def _give_up_debit(self, session: Session) -> None:
        # Stripe voids the invoice of a failed first debit and leaves the contract active.
        invoice = session.invoice
        if invoice:
            invoice.attempts += 1
            drawn = invoice_object(invoice)
            self.emit("invoice.payment_failed", drawn, invoice.customer, by_stripe=True)
            self.void(invoice)

    def try_method(self, intent: Intent, method: Method) -> None:
        """Let an intent be paid by a card, whoever has it."""
        intent.method_id = method.id
        intent.card_brand, intent.card_last4 = method.card.brand, method.card.last4

    def _intent_for(self, session: Session) -> Intent | None:
        if session.amount_total == 0:
            return None
        return session.intent or self.open_intent(session)

    def _turn_down(self, intent: Intent | None, card: Card) -> None:
        if intent:
            intent.decline_message = card.message
            self.decline(intent, card.decline_code or "")

    def _settle_in(self, session: Session, card: Card) -> None:
        customer = session.customer
        if session.mode == "payment" and not customer.guest and session.intent:
            # A one-time payment leaves the customer's card, and what it pays for, as they are.
            self.try_method(session.intent, self.add_method(card))
        else:
            self.set_card(customer, card)
        customer.currency = customer.currency or session.price.currency
        self.announce(customer)

    def _keep_for_later(self, session: Session) -> None:
        method = self.get(Method, session.intent.method_id) if session.intent else None
        if method and session.intent_stated.get("setup_future_usage"):
            self.attach(method, session.customer)

    def _fulfil(self, session: Session, charge: Charge | None) -> None:
        if session.mode == "subscription":
            self.contract(session)
        elif charge:
            self.deliver(session, charge)
        else:
            self.complete(session, "no_payment_required")


def due_now(session: Session) -> list[int]:
    """What each thing in a session costs today before discounts: a trial costs nothing."""
    free = session.trial_days > 0
    return [0 if free and pick.price.plan.recurring else pick.amount for pick in session.picks]


def off_each(session: Session) -> list[int]:
    """What discounts take off each thing in a session today."""
    parts = spread(due_now(session), session.discounts)
    return [sum(off for _, off in taken) for taken in parts]


def off_by(session: Session) -> list[tuple[Discount, int]]:
    """What each discount takes off a session today."""
    parts = spread(due_now(session), session.discounts)
    taken = {discount.id: 0 for discount in session.discounts}
    for discount_id, amount in (part for of_line in parts for part in of_line):
        taken[discount_id] += amount
    return [(discount, taken[discount.id]) for discount in session.discounts]


def reckon(session: Session) -> None:
    """Set what a session costs today."""
    session.amount_subtotal = sum(due_now(session))
    session.amount_total = session.amount_subtotal - sum(off_each(session))
