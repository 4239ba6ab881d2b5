"""The expected account: what each user must have, noted while the seller sells.

Plain arithmetic on what was done, at the moment it is done; never reads an event and never
imports `domain`. Money is in minor units, tokens are whole.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.simulate.contract_records import Customer, Subscription
from sandbox.simulate.entitlements import Entitlement
from sandbox.simulate.plans import Plan
from sandbox.simulate.records import CreditNote, Invoice, Session
from sandbox.simulate.sales import Credit, Sale
from sandbox.simulate.session_worth import Worth, packages_of, worth_by_items, worth_by_itself
from sandbox.simulate.worth import invoice_worth

# Whose a sale is that nothing links to a user.
NOBODY = ""

# Statuses that give access.
_ACTIVE = frozenset({"active", "trialing", "past_due"})


@dataclass(frozen=True, slots=True)
class Expectation:
    """What one user must have at the end; `access` where it is known what their plans unlock."""

    user_id: str
    balance: int
    sales: tuple[Sale, ...]
    subscriptions: tuple[Subscription, ...]
    access: Entitlement | None = None


def is_active(subscription: Subscription) -> bool:
    """Tell whether a subscription gives access."""
    return subscription.status in _ACTIVE


def _packages_billed(invoice: Invoice) -> dict[int, int]:
    """Count the packages that an invoice charges for."""
    return packages_of(
        (line.plan, line.quantity)
        for line in invoice.lines
        if line.plan and (line.amount > 0 or not any(line.plan.prices.values()))
    )


class ExpectedAccount:
    """Every sale and subscription of the account, by user."""

    def __init__(self) -> None:
        self.sales: dict[str, Sale] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self._users: dict[str, None] = {}
        # The one-time sessions that an invoice was made for, by the invoice's id.
        self._billed: dict[str, Session] = {}
        # The sales of customers of whom nobody has said whose they are, by the customer's id.
        self._visits: dict[str, list[str]] = {}

    def met(self, user_id: str) -> None:
        """Note a user, who may never buy."""
        self._users.setdefault(user_id)

    def completed(self, session: Session) -> None:
        """Note a completed one-time session; with its invoice it is one payment."""
        if session.invoice:
            self.billed(session, session.invoice)
        sale = self._one_time(session)
        if session.payment_status != "unpaid":
            self.collected(session)
        elif sale.state != "paid":
            sale.amount_due = session.amount_total

    def billed(self, session: Session, invoice: Invoice) -> None:
        """Note that an invoice is made for a one-time session."""
        self._billed[invoice.id] = session
        self._one_time(session)

    def collected(self, session: Session) -> None:
        """Note that the whole amount of a one-time session was collected."""
        sale = self._one_time(session)
        if sale.state != "paid":
            sale.total = session.invoice.total if session.invoice else 0
            self._paid(sale, session.amount_total, self._worth(sale, session))

    def claimed(self, customer: Customer) -> None:
        """Note whose a visitor's purchases are, said later."""
        for sale_id in self._visits.pop(customer.id, ()):
            self.sales[sale_id].user_id = customer.user_id

    def failed_session(self, session: Session) -> None:
        """Note that a delayed payment will not come."""
        self._one_time(session).state = "failed"

    def charged(self, invoice: Invoice) -> None:
        """Note an invoice that was paid."""
        sale = self._invoiced(invoice)
        sale.total = invoice.total
        session = self._billed.get(invoice.id)
        if session is None:
            sale.packages = _packages_billed(invoice)
        gross = self._worth(sale, session) if session else invoice_worth(invoice)
        self._paid(sale, invoice.amount_paid, gross)

    def unpaid(self, invoice: Invoice) -> None:
        """Note an invoice whose payment failed, or that was voided unpaid."""
        self._invoiced(invoice).state = "failed"

    def subscribed(self, subscription: Subscription) -> None:
        """Note a subscription; its record is read when users are asked for."""
        self.subscriptions[subscription.id] = subscription

    def refund(self, sale_id: str, refund_id: str, amount: int) -> None:
        """Note a refund under way or done."""
        self.sales[sale_id].refunds[refund_id] = amount

    def lost_sight(self, sale_id: str, object_id: str) -> None:
        """Note that nothing but an answer of Stripe links a refund or dispute to its sale."""
        self.sales[sale_id].lost_sight |= {object_id}

    def credit(self, note: CreditNote) -> None:
        """Note a credit note, before or after its invoice was paid."""
        by_refund = {note.refund.id: note.refund.amount} if note.refund else {}
        self._invoiced(note.invoice).credits[note.id] = Credit(note.amount, by_refund)

    def credit_voided(self, note: CreditNote) -> None:
        """Note that a credit note no longer holds."""
        del self._invoiced(note.invoice).credits[note.id]

    def refund_returned(self, sale_id: str, refund_id: str) -> None:
        """Note that a refund failed and its money is ours again."""
        del self.sales[sale_id].refunds[refund_id]

    def withdraw(self, sale_id: str, dispute_id: str, amount: int) -> None:
        """Note disputed money taken by the bank."""
        self.sales[sale_id].withdrawn[dispute_id] = amount

    def withdraw_all(self, sale_id: str, dispute_id: str) -> None:
        """Note money taken in a currency of the bank's own: it stands for all that was paid."""
        self.withdraw(sale_id, dispute_id, self.sales[sale_id].paid)

    def reinstate(self, sale_id: str, dispute_id: str) -> None:
        """Note disputed money given back by the bank."""
        del self.sales[sale_id].withdrawn[dispute_id]

    def users(self, *, asking: bool = False) -> tuple[Expectation, ...]:
        """Say what every user must have, in the order they were met.

        `asking` means that Stripe has been asked for what events do not say.
        """
        sales: dict[str, list[Sale]] = {user: [] for user in self._users}
        held: dict[str, list[Subscription]] = {user: [] for user in self._users}
        for sale in self.sales.values():
            if sale.user_id != NOBODY:
                sales[sale.user_id].append(sale.after_asking() if asking else sale)
        for subscription in self.subscriptions.values():
            held[subscription.customer.user_id].append(subscription)
        return tuple(
            Expectation(
                user,
                sum(sale.tokens for sale in sales[user]),
                tuple(sales[user]),
                tuple(held[user]),
            )
            for user in self._users
        )

    def _one_time(self, session: Session) -> Sale:
        sale_id = session.invoice.id if session.invoice else session.id
        if sale_id not in self.sales:
            plans = [pick.price.plan for pick in session.picks]
            self._note(sale_id, self._whose(session, sale_id), plans, session.price.currency)
            self.sales[sale_id].amount_due = session.amount_total
        return self.sales[sale_id]

    def _whose(self, session: Session, sale_id: str) -> str:
        said = session.metadata.get("user_id") or session.reference
        if said or session.customer.linked:
            return said or session.customer.user_id
        self._visits.setdefault(session.customer.id, []).append(sale_id)
        return NOBODY

    @staticmethod
    def _worth(sale: Sale, session: Session) -> int:
        worth = worth_by_itself(session)
        if session.invoice and "plan_id" not in session.metadata:
            billed = _packages_billed(session.invoice)
            worth = Worth(invoice_worth(session.invoice), (), packages=billed)
        sale.unknown, sale.packages = worth.unknown, worth.packages
        sale.asked = worth_by_items(session)
        return worth.tokens

    def _invoiced(self, invoice: Invoice) -> Sale:
        plans = [line.plan for line in invoice.lines if line.plan is not None]
        self._note(invoice.id, invoice.customer.user_id, plans, invoice.currency)
        sale = self.sales[invoice.id]
        sale.amount_due = invoice.amount_due
        sale.subscription_id = invoice.subscription.id if invoice.subscription else None
        return sale

    def _note(self, sale_id: str, user_id: str, plans: Iterable[Plan], currency: str) -> None:
        sold = list(plans)
        self.sales.setdefault(
            sale_id,
            Sale(
                id=sale_id,
                user_id=user_id,
                currency=currency,
                plans=frozenset(plan.id for plan in sold),
                plan_types=frozenset(plan.type for plan in sold),
                subscription_id=None,
                amount_due=0,
            ),
        )

    @staticmethod
    def _paid(sale: Sale, amount: int, gross: int) -> None:
        sale.state = "paid"
        sale.paid = amount
        sale.gross = gross


class NothingExpected(ExpectedAccount):
    """Expects nothing: for an account whose sales nobody compares."""

    def completed(self, session: Session) -> None:
        """Note nothing."""

    def billed(self, session: Session, invoice: Invoice) -> None:
        """Note nothing."""

    def collected(self, session: Session) -> None:
        """Note nothing."""

    def claimed(self, customer: Customer) -> None:
        """Note nothing."""

    def lost_sight(self, sale_id: str, object_id: str) -> None:
        """Note nothing."""

    def credit(self, note: CreditNote) -> None:
        """Note nothing."""

    def credit_voided(self, note: CreditNote) -> None:
        """Note nothing."""

    def withdraw_all(self, sale_id: str, dispute_id: str) -> None:
        """Note nothing."""

    def failed_session(self, session: Session) -> None:
        """Note nothing."""

    def charged(self, invoice: Invoice) -> None:
        """Note nothing."""

    def unpaid(self, invoice: Invoice) -> None:
        """Note nothing."""

    def subscribed(self, subscription: Subscription) -> None:
        """Note nothing."""

    def refund(self, sale_id: str, refund_id: str, amount: int) -> None:
        """Note nothing."""

    def withdraw(self, sale_id: str, dispute_id: str, amount: int) -> None:
        """Note nothing."""

    def reinstate(self, sale_id: str, dispute_id: str) -> None:
        """Note nothing."""

    def refund_returned(self, sale_id: str, refund_id: str) -> None:
        """Note nothing."""
