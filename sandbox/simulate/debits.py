"""One-time sessions whose money comes later: bank debits with an invoice, and manual capture.

The session says `unpaid` when it is completed and may never be reported again: who paid is then
told by the invoice or the intent alone. No I/O.
"""

from sandbox.simulate.invoice_objects import invoice_object
from sandbox.simulate.links import Links
from sandbox.simulate.money_records import Charge
from sandbox.simulate.packages import DEBIT_SECONDS
from sandbox.simulate.payment_objects import charge_object, intent_object
from sandbox.simulate.records import Invoice, Session

# An authorization lasts about a week.
CAPTURE_SECONDS = 3 * 86400


class Debits(Links):
    """Collecting a one-time session's money after the session."""

    def begin_debit(self, session: Session) -> Invoice | None:
        """Complete a session whose bank debit is on its way; its invoice stays open."""
        self._arrive(session)
        self.process(self.open_intent(session))
        invoice = self.bill(session) if session.invoicing else None
        self.complete(session, "unpaid")
        self.expected.completed(session)
        return invoice

    def bounce(self, session: Session) -> None:
        """Bring the bank's refusal; the invoice stays open, to be paid by other means."""
        self.wait(DEBIT_SECONDS)
        if session.invoice:
            self.refuse(session.invoice, retry_at=None)
        else:
            self.decline(self._intent(session))
        self.expected.failed_session(session)
        self.say_debit(session, succeeds=False)

    def arrive_by_invoice(self, session: Session, *, says_so: bool) -> None:
        """Bring the debit's money: the invoice tells first, the session a day later or never."""
        invoice = _invoice(session)
        self.wait(DEBIT_SECONDS)
        self.collect(self._intent(session))
        self.mark_paid(invoice)
        session.payment_status = "paid"
        if says_so:
            self.wait(86400)
            self.say_debit(session, succeeds=True)

    def pay_hosted(self, invoice: Invoice) -> Charge:
        """Pay an open invoice by card on the page that Stripe hosts for it."""
        intent = self.intent_of(invoice)
        intent.method_type = "card"
        charge = self.collect(intent)
        self.mark_paid(invoice)
        return charge

    def pay_outside(self, invoice: Invoice) -> None:
        """Mark an invoice as paid by money that never passed through Stripe."""
        invoice.status, invoice.paid_at, invoice.paid_outside = "paid", self.now, True
        invoice.next_attempt = None
        # Before basil such money was no part of what was paid.
        invoice.amount_paid = invoice.amount_due if invoice.customer.version.basil else 0
        self.expected.charged(invoice)
        self.emit("invoice.paid", invoice_object(invoice), invoice.customer)

    def authorize_card(self, session: Session) -> None:
        """Complete a session whose amount is only authorized on the card."""
        session.manual_capture = True
        self._arrive(session)
        intent = self.open_intent(session)
        intent.manual = True
        intent.status = "requires_capture"
        charge = self._charge(intent, "succeeded")
        drawn = intent_object(intent)
        self.emit("charge.succeeded", charge_object(charge), session.customer)
        self.emit("payment_intent.amount_capturable_updated", drawn, session.customer)
        self.complete(session, "unpaid")
        self.expected.completed(session)

    def capture(self, session: Session) -> Charge:
        """Take the whole authorized amount; the session is not reported again."""
        self.wait(CAPTURE_SECONDS)
        intent = self._intent(session)
        intent.status = "succeeded"
        charge = intent.charge
        if charge is None:
            raise ValueError(f"{intent.id} has nothing authorized to capture")
        charge.sale_id = session.id
        self.emit("charge.captured", charge_object(charge), session.customer)
        self.emit("payment_intent.succeeded", intent_object(intent), session.customer)
        self.expected.collected(session)
        return charge


def _invoice(session: Session) -> Invoice:
    if session.invoice is None:
        raise ValueError(f"{session.id} was sold without an invoice")
    return session.invoice
