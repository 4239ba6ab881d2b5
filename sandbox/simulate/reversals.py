"""Refunds and disputes: money that goes back, and sometimes returns. No I/O."""

from sandbox.simulate.money_records import Charge, Dispute, Refund
from sandbox.simulate.payment_objects import charge_object
from sandbox.simulate.payments import Payments
from sandbox.simulate.reversal_objects import dispute_object, refund_object


class Reversals(Payments):
    """Giving money back, by choice or because a bank takes it."""

    def refund(
        self,
        charge: Charge,
        amount: int,
        *,
        status: str = "succeeded",
        reason: str | None = "requested_by_customer",
        metadata: dict[str, str] | None = None,
    ) -> Refund:
        """Refund a part or all of a charge; `pending` ones are finished later."""
        refund = Refund(self.new_id("re"), charge, amount, self.now, status, reason)
        refund.metadata = metadata or {}
        self.keep(refund)
        previous = {"amount_refunded": charge.amount_refunded}
        charge.amount_refunded += amount
        full = {"refunded": False} if charge.amount_refunded >= charge.intent.amount else {}
        self.expected.refund(charge.sale_id, refund.id, amount)
        self._see(charge, refund.id)
        customer = charge.intent.customer
        self.emit("charge.refunded", charge_object(charge), customer, {**previous, **full})
        self.emit("refund.created", refund_object(refund), customer)
        return refund

    def finish_refund(self, refund: Refund, *, succeeds: bool) -> None:
        """Bring the bank's answer to a refund; a failed one's money is ours again."""
        customer = refund.charge.intent.customer
        previous = {"status": refund.status}
        refund.status = "succeeded" if succeeds else "failed"
        if not succeeds:
            refund.failure_reason = "expired_or_canceled_card"
            refund.charge.amount_refunded -= refund.amount
            self.expected.refund_returned(refund.charge.sale_id, refund.id)
        drawn = refund_object(refund)
        self.emit("refund.updated", drawn, customer, previous, by_stripe=True)
        if not succeeds:
            self.emit("refund.failed", drawn, customer, by_stripe=True)
        self.emit("charge.refund.updated", drawn, customer, previous, by_stripe=True)

    def dispute(
        self, charge: Charge, amount: int, *, inquiry: bool = False, foreign: str = ""
    ) -> Dispute:
        """Open a dispute; an inquiry moves no money, a chargeback takes it at once.

        `foreign` is the bank's currency where it is not the payment's; `amount` is in it.
        """
        status = "warning_needs_response" if inquiry else "needs_response"
        dispute = Dispute(self.new_id("dp"), charge, amount, self.now, status, inquiry)
        dispute.foreign = foreign
        self.keep(dispute)
        charge.disputed = True
        if not inquiry:
            self._withdraw(dispute)
        self._say_so(dispute, "created")
        if not inquiry:
            self._say_so(dispute, "funds_withdrawn")
        return dispute

    def review(self, dispute: Dispute) -> None:
        """Hand the evidence in."""
        previous = {"status": dispute.status}
        dispute.status = "warning_under_review" if dispute.inquiry else "under_review"
        self._say_so(dispute, "updated", previous)

    def escalate(self, dispute: Dispute) -> None:
        """Turn an inquiry into a chargeback, which takes the money now."""
        previous = {"status": dispute.status}
        dispute.status, dispute.inquiry = "needs_response", False
        self._withdraw(dispute)
        self._say_so(dispute, "updated", previous)
        self._say_so(dispute, "funds_withdrawn")

    def close_dispute(self, dispute: Dispute, *, won: bool) -> None:
        """Bring the bank's verdict; won money comes back, an inquiry just ends."""
        dispute.status = "warning_closed" if dispute.inquiry else ("won" if won else "lost")
        if won and not dispute.inquiry:
            dispute.movements.append((self.new_id("txn"), dispute.amount, self.now))
            self.expected.reinstate(dispute.charge.sale_id, dispute.id)
            self._say_so(dispute, "funds_reinstated")
        self._say_so(dispute, "closed")

    def _withdraw(self, dispute: Dispute) -> None:
        sale_id = dispute.charge.sale_id
        dispute.movements.append((self.new_id("txn"), -dispute.amount, self.now))
        if dispute.currency != dispute.charge.intent.currency:
            self.expected.withdraw_all(sale_id, dispute.id)
        else:
            self.expected.withdraw(sale_id, dispute.id, dispute.amount)
        self._see(dispute.charge, dispute.id)

    def _see(self, charge: Charge, object_id: str) -> None:
        # From 2025-03-31 the intent no longer names its invoice, and until `invoice_payment.paid`
        # came nothing else did.
        version, intent = charge.intent.customer.version, charge.intent
        is_linked = (
            self.links_are_told
            or not version.basil
            or version.invoice_payments
            or intent.named_by_session
        )
        if intent.invoice_id and not is_linked:
            self.expected.lost_sight(charge.sale_id, object_id)

    def _say_so(self, dispute: Dispute, what: str, previous: dict[str, str] | None = None) -> None:
        customer = dispute.charge.intent.customer
        drawn = dispute_object(dispute)
        self.emit(f"charge.dispute.{what}", drawn, customer, previous, by_stripe=True)
