"""Selling through hosted checkout, step by step, as its page acts.

Every step keeps the records and emits what field experience says Stripe emits. No I/O.
"""

from dataclasses import dataclass, field

from sandbox.simulate.invoice_objects import invoice_object
from sandbox.simulate.payment_objects import UNAUTHENTICATED, intent_object
from sandbox.simulate.records import Charge, Customer, Intent, Price, Session
from sandbox.stripe.cards import DEBIT, Card
from sandbox.stripe.goods import Goods
from sandbox.stripe.views import Declined, NeedsAuthentication

LIFETIME_SECONDS = 24 * 3600
# What the bank takes to answer a debit.
DEBIT_SECONDS = 3 * 86400
_REFUSED = Declined(
    "We are unable to authenticate your payment method. "
    "Please choose a different payment method and try again.",
    UNAUTHENTICATED,
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a checkout session is to sell, to whom, and where it leads afterwards."""

    price: Price
    success_url: str
    customer: Customer | None = None
    quantity: int = 1
    cancel_url: str | None = None
    reference: str | None = None
    email: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    intent_metadata: dict[str, str] = field(default_factory=dict)
    contract_metadata: dict[str, str] = field(default_factory=dict)
    trial_days: int = 0
    invoicing: bool = False
    promotion_codes: bool | None = None
    always_customer: bool = False
    # What the asker's clock says, and how far that is from now.
    expires_at: int = 0
    lives_seconds: int = LIFETIME_SECONDS


class Checkouts(Goods):
    """Checkout sessions; with `swift` a whole sequence of events shares its second."""

    swift = False

    def step(self) -> None:
        """Let the moment pass that a payment takes."""
        if not self.swift:
            self.wait(1)

    def open_checkout(self, terms: Terms) -> Session:
        """Open a session; Stripe says nothing until it is completed or expires."""
        price = terms.price
        recurring = price.plan.recurring
        guest = not recurring and not terms.always_customer
        amount = 0 if terms.trial_days else price.unit_minor * terms.quantity
        session = Session(
            id=self.new_id("cs_test", 58),
            customer=terms.customer or self.add_customer(email=terms.email or "", guest=guest),
            mode="subscription" if recurring else "payment",
            price=price,
            quantity=terms.quantity,
            created=self.now,
            metadata=dict(terms.metadata),
            amount_subtotal=amount,
            amount_total=amount,
            reference=terms.reference,
            intent_metadata=dict(terms.intent_metadata),
            contract_metadata=dict(terms.contract_metadata),
            trial_days=terms.trial_days,
            flexible=True,
            expires_at=terms.expires_at or self.now + terms.lives_seconds,
            deadline=self.now + terms.lives_seconds,
            success_url=terms.success_url,
            cancel_url=terms.cancel_url,
            customer_given=terms.customer is not None,
            customer_email=terms.email,
            promotion_codes=terms.promotion_codes,
            line_id=self.new_id("li"),
            invoicing=terms.invoicing,
        )
        self.keep(session)
        return session

    def pay_checkout(
        self, session: Session, card: Card, *, authenticated: bool
    ) -> Declined | NeedsAuthentication | None:
        """Try a card on an open session; None when it is complete then."""
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
        self.step()
        self._fulfil(session, charge)
        return None

    def refuse_checkout(self, session: Session) -> Declined:
        """Fail the buyer's authentication."""
        intent = session.intent
        if intent and intent.status == "requires_action":
            intent.status = "requires_payment_method"
            intent.decline_code, intent.decline_message = UNAUTHENTICATED, _REFUSED.message
            self.emit("payment_intent.payment_failed", intent_object(intent), session.customer)
        return _REFUSED

    def debit_checkout(self, session: Session, debit: Card) -> None:
        """Complete a session whose money the bank brings days later, or never."""
        session.method_type = DEBIT
        intent = self._intent_for(session)
        self._settle_in(session, debit)
        if intent is None:
            self._fulfil(session, None)
            return
        intent.method_type = DEBIT
        self.process(intent)
        session.deadline = self.now + DEBIT_SECONDS
        self.step()
        if session.mode == "subscription":
            self.contract(session)
        else:
            self.complete(session, "unpaid")

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
                self.settle(session.invoice)
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
        self.hold(customer, card)
        customer.currency = customer.currency or session.price.currency
        self.announce(customer)

    def _fulfil(self, session: Session, charge: Charge | None) -> None:
        if session.mode == "subscription":
            self.contract(session)
        elif charge:
            self.deliver(session, charge)
        else:
            self.complete(session, "no_payment_required")
