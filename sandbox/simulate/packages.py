"""One-time purchases through hosted checkout, by card, by a delayed method, or for nothing.

Emits what field experience says Stripe emits for them, in its order. No I/O.
"""

from sandbox.simulate.contract_records import Customer, Line
from sandbox.simulate.money_records import Charge, Intent
from sandbox.simulate.payments import Payments
from sandbox.simulate.plans import Plan
from sandbox.simulate.records import Invoice, Pick, Session
from sandbox.simulate.session_objects import LIFETIME_SECONDS, session_object

# A bank debit takes days.
DEBIT_SECONDS = 5 * 86400


class Packages(Payments):
    """Selling what does not renew."""

    def open_session(
        self,
        customer: Customer,
        plan: Plan,
        *,
        quantity: int = 1,
        percent_off: int = 0,
        inline: bool = False,
        method: str = "card",
    ) -> Session:
        """Open a checkout session; Stripe says nothing until it is completed or expires."""
        price = self.price(plan, customer.currency, inline=inline)
        subtotal = price.unit_minor * quantity
        return Session(
            id=self.new_id("cs_test", 58),
            customer=customer,
            mode="subscription" if plan.recurring else "payment",
            price=price,
            quantity=quantity,
            created=self.now,
            metadata=purchase_metadata(customer, plan),
            reference=customer.user_id,
            intent_metadata=purchase_metadata(customer, plan) if customer.linked else {},
            contract_metadata=contract_metadata(customer, plan),
            amount_subtotal=subtotal,
            amount_total=subtotal - subtotal * percent_off // 100,
            method_type=method,
            percent_off=percent_off,
        )

    def complete(self, session: Session, payment_status: str) -> None:
        """Complete a session: the buyer is back on our page."""
        self.sessions[session.id] = session
        session.status = "complete"
        session.payment_status = payment_status
        self.emit("checkout.session.completed", session_object(session), session.customer)

    def buy_package(
        self,
        customer: Customer,
        plan: Plan,
        *,
        invoicing: bool = False,
        declines: int = 0,
        percent_off: int = 0,
        inline: bool = False,
    ) -> Session:
        """Sell a package by card, after some declined attempts; returns the completed session."""
        session = self.open_session(customer, plan, percent_off=percent_off, inline=inline)
        session.invoicing = invoicing
        self.wait(self.chance.randint(20, 90))
        self.announce(customer)
        if session.amount_total == 0:
            self.give(session)
            return session
        intent = self.open_intent(session)
        for _ in range(declines):
            self.decline(intent)
            self.wait(self.chance.randint(15, 60))
        self.deliver(session, self.collect(intent))
        return session

    def deliver(self, session: Session, charge: Charge) -> None:
        """Complete a one-time session whose money has been collected."""
        if session.invoicing:
            self._bill(session)
        self.complete(session, "paid")
        if not session.invoicing:
            charge.sale_id = session.id
            self.expected.completed(session)

    def give(self, session: Session) -> None:
        """Complete a one-time session that costs nothing."""
        if session.invoicing:
            self._bill(session)
        self.complete(session, "no_payment_required")
        self.expected.completed(session)

    def start_delayed(self, customer: Customer, plan: Plan) -> Session:
        """Complete a session whose money comes days later, or never."""
        session = self.open_session(customer, plan, method="sepa_debit")
        self.wait(self.chance.randint(20, 90))
        self.announce(customer)
        self.process(self.open_intent(session))
        self.complete(session, "unpaid")
        self.expected.completed(session)
        return session

    def finish_delayed(self, session: Session, *, succeeds: bool) -> None:
        """Bring the answer of the bank to a delayed payment, days later."""
        self.wait(DEBIT_SECONDS)
        self.answer_debit(session, succeeds=succeeds)

    def answer_debit(self, session: Session, *, succeeds: bool) -> None:
        """Bring the answer of the bank now."""
        intent = self._intent(session)
        if succeeds:
            self.collect(intent).sale_id = session.id
            session.payment_status = "paid"
            self.expected.completed(session)
        else:
            self.decline(intent)
            self.expected.failed_session(session)
        self.say_debit(session, succeeds=succeeds)

    def say_debit(self, session: Session, *, succeeds: bool) -> None:
        """Emit what became of a session's delayed payment."""
        outcome = "succeeded" if succeeds else "failed"
        self.emit(
            f"checkout.session.async_payment_{outcome}",
            session_object(session),
            session.customer,
            by_stripe=True,
        )

    def abandon(self, customer: Customer, plan: Plan) -> Session:
        """Open a session that nobody completes."""
        session = self.open_session(customer, plan)
        self.wait(LIFETIME_SECONDS)
        self.expire(session, by_stripe=True)
        return session

    def expire(self, session: Session, *, by_stripe: bool) -> None:
        """Close an open session; `by_stripe` means that its time is up."""
        session.status = "expired"
        drawn = session_object(session)
        self.emit("checkout.session.expired", drawn, session.customer, by_stripe=by_stripe)

    def open_intent(self, session: Session) -> Intent:
        """Open the intent that collects a session's amount."""
        session.intent = self.start_intent(
            session.customer,
            session.amount_total,
            description=session.intent_stated.get("description") or session.price.plan.name,
            metadata=dict(session.intent_metadata),
            method=session.method_type,
            currency=session.price.currency,
            stated=dict(session.intent_stated),
        )
        session.intent.named_by_session = session.mode == "payment"
        return session.intent

    @staticmethod
    def _intent(session: Session) -> Intent:
        if session.intent is None:
            raise ValueError(f"{session.id} needs no payment, so it has no intent")
        return session.intent

    def bill(self, session: Session) -> Invoice:
        """Open the invoice a one-time session makes for itself; its own intent is to pay it."""
        left = session.discount
        lines = []
        for pick in session.picks:
            discount = min(left, pick.amount)
            left -= discount
            lines.append(self._bill_line(session, pick, discount))
        invoice = self.new_invoice(session.customer, "manual", lines, tax=session.tax)
        invoice.intent = session.intent
        if session.intent:
            session.intent.invoice_id = invoice.id
        session.invoice = invoice
        self.expected.billed(session, invoice)
        self.finalize(invoice)
        return invoice

    def _bill(self, session: Session) -> None:
        self.mark_paid(self.bill(session))

    def _bill_line(self, session: Session, pick: Pick, discount: int) -> Line:
        plan = pick.price.plan
        sold = pick.price.known or "plan_id" in session.metadata
        return Line(
            id=self.new_id("il"),
            amount=pick.amount,
            description=plan.name,
            price=pick.price,
            plan=plan if sold else None,
            quantity=pick.quantity,
            period_start=self.now,
            period_end=self.now,
            discount=discount,
        )


def purchase_metadata(customer: Customer, plan: Plan) -> dict[str, str]:
    """Return the metadata our checkout puts on what it creates."""
    return {"user_id": customer.user_id, "plan_id": str(plan.id), "plan_type": plan.type}


def contract_metadata(customer: Customer, plan: Plan) -> dict[str, str]:
    """Return a subscription's metadata; an unlinked buyer's does not say whose it is."""
    metadata = purchase_metadata(customer, plan)
    return metadata if customer.linked else {"plan_id": metadata["plan_id"]}
