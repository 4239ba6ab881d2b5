"""Credit notes: invoices written off or reduced before they are paid, and money given back after.

A refund that a note names is reported as a refund too; it is one and the same money. No I/O.
"""

from sandbox.simulate.credit_note_objects import credit_note_object
from sandbox.simulate.invoice_objects import invoice_object
from sandbox.simulate.records import CreditNote, Invoice
from sandbox.simulate.reversals import Reversals


class CreditNotes(Reversals):
    """Reducing an invoice."""

    def credit_open(self, invoice: Invoice, amount: int, *, heard: bool = True) -> CreditNote:
        """Take an amount off an open invoice; one with nothing left to pay is paid by that.

        `heard` False means that the receiver's endpoint does not listen to credit notes.
        """
        note = self._note(invoice, amount, before_payment=True)
        self._reduce(invoice, amount)
        self._issue(note, heard=heard)
        if invoice.amount_due == 0:
            self._write_off(invoice)
        return note

    def credit_paid(
        self, invoice: Invoice, *, refund: int = 0, balance: int = 0, outside: int = 0
    ) -> CreditNote:
        """Give money of a paid invoice back: to the card, to the customer's credit, or in hand."""
        note = self._note(invoice, refund + balance + outside, before_payment=False)
        note.outside = outside
        charge = invoice.intent.charge if invoice.intent else None
        if refund and charge:
            note.refund = self.refund(charge, refund)
        if balance:
            note.balance_transaction = self.new_id("cbtxn")
        invoice.post_credited += note.amount
        self._issue(note)
        if balance:
            self._rebalance(invoice.customer, invoice.customer.balance_minor - balance)
        return note

    def explain(self, note: CreditNote, memo: str) -> None:
        """Write something on a credit note, which changes nothing else."""
        previous = {"memo": note.memo}
        note.memo = memo
        drawn = credit_note_object(note)
        self.emit("credit_note.updated", drawn, note.invoice.customer, previous)

    def void_note(self, note: CreditNote) -> None:
        """Take back a credit note of an open invoice; all is due again."""
        note.voided_at = self.now
        self._reduce(note.invoice, -note.amount)
        self.expected.credit_voided(note)
        self.emit("credit_note.voided", credit_note_object(note), note.invoice.customer)

    def _note(self, invoice: Invoice, amount: int, *, before_payment: bool) -> CreditNote:
        invoice.credit_notes += 1
        return CreditNote(
            id=self.new_id("cn"),
            invoice=invoice,
            number=f"{invoice.number}-CN-{invoice.credit_notes:02d}",
            amount=amount,
            created=self.now,
            line_id=self.new_id("cnli"),
            before_payment=before_payment,
        )

    def _issue(self, note: CreditNote, *, heard: bool = True) -> None:
        self.keep(note)
        if heard:
            self.expected.credit(note)
            self.emit("credit_note.created", credit_note_object(note), note.invoice.customer)

    @staticmethod
    def _reduce(invoice: Invoice, amount: int) -> None:
        invoice.pre_credited += amount
        if invoice.intent:
            invoice.intent.amount = invoice.amount_due

    def _write_off(self, invoice: Invoice) -> None:
        # Nobody paid: no attempt succeeded, and no payment is told of.
        invoice.status, invoice.paid_at, invoice.next_attempt = "paid", self.now, None
        invoice.amount_paid = 0
        if invoice.intent:
            invoice.intent.status = "canceled"
        self.expected.charged(invoice)
        self.emit("invoice.paid", invoice_object(invoice), invoice.customer)
