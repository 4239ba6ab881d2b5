"""Refunds and disputes: money that goes back, and sometimes returns. No I/O."""

from dev.simulate.payment_objects import charge_object
from dev.simulate.payments import Payments
from dev.simulate.records import Charge, Dispute, Refund
from dev.simulate.reversal_objects import dispute_object, refund_object


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
        """Refund a part or all of a charge; `pending` ones are settled later."""
        refund = Refund(self.new_id("re"), charge, amount, self.now, status, reason)
        refund.metadata = metadata or {}
        self.keep(refund)
        previous = {"amount_refunded": charge.amount_refunded}
        charge.amount_refunded += amount
        full = {"refunded": False} if charge.amount_refunded >= charge.intent.amount else {}
        self.books.refund(charge.sale_id, refund.id, amount)
        customer = charge.intent.customer
        self.emit("charge.refunded", charge_object(charge), customer, {**previous, **full})
        if customer.version.refund_events:
            self.emit("refund.created", refund_object(refund), customer)
        return refund

    def settle_refund(self, refund: Refund, *, succeeds: bool) -> None:
        """Bring the bank's answer to a refund; a failed one's money is ours again."""
        customer = refund.charge.intent.customer
        previous = {"status": refund.status}
        refund.status = "succeeded" if succeeds else "failed"
        if not succeeds:
            refund.failure_reason = "expired_or_canceled_card"
            refund.charge.amount_refunded -= refund.amount
            self.books.refund_returned(refund.charge.sale_id, refund.id)
        drawn = refund_object(refund)
        if customer.version.refund_events:
            self.emit("refund.updated", drawn, customer, previous, by_stripe=True)
            if not succeeds:
                self.emit("refund.failed", drawn, customer, by_stripe=True)
        self.emit("charge.refund.updated", drawn, customer, previous, by_stripe=True)

    def dispute(self, charge: Charge, amount: int, *, inquiry: bool = False) -> Dispute:
        """Open a dispute; an inquiry moves no money, a chargeback takes it at once."""
        status = "warning_needs_response" if inquiry else "needs_response"
        dispute = Dispute(self.new_id("dp"), charge, amount, self.now, status, inquiry)
        self.keep(dispute)
        charge.disputed = True
        if not inquiry:
            dispute.movements.append((self.new_id("txn"), -amount, self.now))
            self.books.withdraw(charge.sale_id, dispute.id, amount)
        self._say_so(dispute, "created")
        if not inquiry:
            self._say_so(dispute, "funds_withdrawn")
        return dispute

    def review(self, dispute: Dispute) -> None:
        """Hand the evidence in."""
        previous = {"status": dispute.status}
        dispute.status = "warning_under_review" if dispute.inquiry else "under_review"
        self._say_so(dispute, "updated", previous)

    def close_dispute(self, dispute: Dispute, *, won: bool) -> None:
        """Bring the bank's verdict; won money comes back, an inquiry just ends."""
        dispute.status = "warning_closed" if dispute.inquiry else ("won" if won else "lost")
        if won and not dispute.inquiry:
            dispute.movements.append((self.new_id("txn"), dispute.amount, self.now))
            self.books.reinstate(dispute.charge.sale_id, dispute.id)
            self._say_so(dispute, "funds_reinstated")
        self._say_so(dispute, "closed")

    def _say_so(self, dispute: Dispute, what: str, previous: dict[str, str] | None = None) -> None:
        customer = dispute.charge.intent.customer
        drawn = dispute_object(dispute)
        self.emit(f"charge.dispute.{what}", drawn, customer, previous, by_stripe=True)
