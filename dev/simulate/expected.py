"""The seller's own books: what each user must have, kept while selling.

Plain arithmetic on what was done, at the moment it is done; never reads an event and never
imports `domain`. Money is in minor units, tokens are whole.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from dev.simulate.plans import Plan
from dev.simulate.records import Invoice, Session, Subscription
from dev.simulate.worth import invoice_worth

# Statuses that give access.
_ACTIVE = frozenset({"active", "trialing", "past_due"})


@dataclass(slots=True)
class Sale:
    """One payment as the seller knows it; `gross` are the tokens it is worth untouched."""

    id: str
    user_id: str
    currency: str
    plans: frozenset[int]
    plan_types: frozenset[str]
    subscription_id: str | None
    amount_due: int
    state: str = "pending"
    paid: int = 0
    gross: int = 0
    refunds: dict[str, int] = field(default_factory=dict)
    withdrawn: dict[str, int] = field(default_factory=dict)

    @property
    def amount(self) -> int:
        """What was paid, or what is due while unpaid."""
        return self.paid if self.state == "paid" else self.amount_due

    @property
    def refunded(self) -> int:
        """What went back to the buyer, or is on its way."""
        return sum(self.refunds.values())

    @property
    def disputed(self) -> int:
        """What the bank holds."""
        return sum(self.withdrawn.values())

    @property
    def status(self) -> str:
        """The payment's status in the words of the payments list."""
        if self.state != "paid":
            return self.state
        if self.disputed > 0:
            return "disputed"
        if self.refunded > 0:
            return "refunded" if self.refunded >= self.paid else "partially_refunded"
        return "paid"

    @property
    def tokens(self) -> int:
        """What the payment stands for now."""
        if self.state != "paid":
            return 0
        taken = min(self.refunded + self.disputed, self.paid)
        if self.paid == 0 or self.gross <= 0:
            return self.gross
        lost = -(-self.gross * taken // self.paid)
        return self.gross - lost


@dataclass(frozen=True, slots=True)
class Expectation:
    """What one user must have at the end."""

    user_id: str
    balance: int
    sales: tuple[Sale, ...]
    subscriptions: tuple[Subscription, ...]


def is_active(subscription: Subscription) -> bool:
    """Tell whether a subscription gives access."""
    return subscription.status in _ACTIVE


class Books:
    """Every sale and subscription of the account, by user."""

    def __init__(self) -> None:
        self.sales: dict[str, Sale] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self._users: dict[str, None] = {}

    def met(self, user_id: str) -> None:
        """Note a user, who may never buy."""
        self._users.setdefault(user_id)

    def completed(self, session: Session) -> None:
        """Note a completed one-time session that has no invoice of its own."""
        self._note(
            session.id, session.customer.user_id, [session.price.plan], session.price.currency
        )
        sale = self.sales[session.id]
        sale.amount_due = session.amount_total
        if session.payment_status != "unpaid":
            self._paid(sale, session.amount_total, session.price.plan.tokens)

    def failed_session(self, session: Session) -> None:
        """Note that a delayed payment will not come."""
        self.sales[session.id].state = "failed"

    def charged(self, invoice: Invoice) -> None:
        """Note an invoice that was paid."""
        sale = self._invoiced(invoice)
        self._paid(sale, invoice.amount_paid, invoice_worth(invoice))

    def unpaid(self, invoice: Invoice) -> None:
        """Note an invoice whose payment failed, or that was voided unpaid."""
        self._invoiced(invoice).state = "failed"

    def subscribed(self, subscription: Subscription) -> None:
        """Note a subscription; its record is read when the books are closed."""
        self.subscriptions[subscription.id] = subscription

    def refund(self, sale_id: str, refund_id: str, amount: int) -> None:
        """Note a refund under way or done."""
        self.sales[sale_id].refunds[refund_id] = amount

    def refund_returned(self, sale_id: str, refund_id: str) -> None:
        """Note that a refund failed and its money is ours again."""
        del self.sales[sale_id].refunds[refund_id]

    def withdraw(self, sale_id: str, dispute_id: str, amount: int) -> None:
        """Note disputed money taken by the bank."""
        self.sales[sale_id].withdrawn[dispute_id] = amount

    def reinstate(self, sale_id: str, dispute_id: str) -> None:
        """Note disputed money given back by the bank."""
        del self.sales[sale_id].withdrawn[dispute_id]

    def close(self) -> tuple[Expectation, ...]:
        """Say what every user must have, in the order they were met."""
        sales: dict[str, list[Sale]] = {user: [] for user in self._users}
        held: dict[str, list[Subscription]] = {user: [] for user in self._users}
        for sale in self.sales.values():
            sales[sale.user_id].append(sale)
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


class NoBooks(Books):
    """The books of an account whose sales nobody compares: they stay empty."""

    def completed(self, session: Session) -> None:
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
