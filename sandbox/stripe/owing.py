"""Keeps what changes a customer's balance, and customers' tax numbers. No I/O."""

from sandbox.simulate.contract_records import Customer
from sandbox.simulate.records import CreditNote, Invoice
from sandbox.stripe.goods import Goods
from sandbox.stripe.owed import BalanceMove, TaxNumber, tax_number_object


class Owing(Goods):
    """Balances and tax numbers of customers."""

    def adjust(
        self,
        customer: Customer,
        amount: int,
        currency: str,
        description: str | None,
        metadata: dict[str, str],
    ) -> BalanceMove:
        """Change what a customer is owed by hand."""
        customer.currency = customer.currency or currency
        move = BalanceMove(
            id=self.new_id("cbtxn"),
            created=self.now,
            customer=customer,
            amount=amount,
            currency=currency,
            ending=customer.balance_minor + amount,
            kind="adjustment",
            description=description,
            metadata=metadata,
        )
        self.keep(move)
        super()._rebalance(customer, move.ending)
        return move

    def _rebalance(self, customer: Customer, balance_minor: int) -> None:
        if balance_minor != customer.balance_minor:
            self.keep(self._moved(customer, balance_minor))
        super()._rebalance(customer, balance_minor)

    def _moved(self, customer: Customer, ending: int) -> BalanceMove:
        """The move that an invoice, or a credit note of just now, makes."""
        note = next((one for one in self.every(CreditNote) if self._moves(one, customer)), None)
        invoice = next((one for one in self.every(Invoice) if one.customer is customer), None)
        bill = note.invoice if note else invoice
        return BalanceMove(
            id=(note and note.balance_transaction) or self.new_id("cbtxn"),
            created=self.now,
            customer=customer,
            amount=ending - customer.balance_minor,
            currency=customer.currency or (invoice.currency if invoice else ""),
            ending=ending,
            kind="credit_note" if note else "applied_to_invoice",
            invoice_id=bill.id if bill else None,
            note_id=note.id if note else None,
        )

    def _moves(self, note: CreditNote, customer: Customer) -> bool:
        move_id = note.balance_transaction
        is_new = bool(move_id) and move_id not in self.records and note.created == self.now
        return is_new and note.invoice.customer is customer

    def add_tax_number(self, customer: Customer, kind: str, value: str) -> TaxNumber:
        """Note a tax number of a customer's."""
        number = TaxNumber(self.new_id("txi"), self.now, customer, kind, value)
        self.keep(number)
        self.emit("customer.tax_id.created", tax_number_object(number), customer)
        return number

    def drop_tax_number(self, number: TaxNumber) -> None:
        """Strike a tax number out."""
        del self.records[number.id]
        self.emit("customer.tax_id.deleted", tax_number_object(number), number.customer)
