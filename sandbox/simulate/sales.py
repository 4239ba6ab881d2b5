"""One payment of the expected account: what was paid, what went back, and what is left of it.

Plain arithmetic; never reads an event and never imports `domain`. Money is in minor units.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sandbox.simulate.session_worth import Worth


@dataclass(frozen=True, slots=True)
class Credit:
    """A credit note's amount, and how much of it each refund that it names gave back."""

    amount: int
    by_refund: Mapping[str, int]


@dataclass(slots=True)
class Sale:
    """One payment as the seller knows it; `gross` are the tokens it is worth untouched.

    `total` is what its invoice asks for in all. `unknown` says that nothing tells what was sold.
    `lost_sight` are refunds and disputes that nothing links to it; `asked` is its worth by its
    line items. Both are answers that only Stripe has. `packages` counts what it bought for good.
    """

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
    total: int = 0
    credits: dict[str, Credit] = field(default_factory=dict)
    unknown: bool = False
    lost_sight: frozenset[str] = frozenset()
    asked: Worth | None = None
    packages: Mapping[int, int] = field(default_factory=dict)

    @property
    def amount(self) -> int:
        """What was paid, or what is due while unpaid."""
        return self.paid if self.state == "paid" else self.amount_due

    @property
    def refunded(self) -> int:
        """What went back to the buyer, or is on its way."""
        return sum(self._seen(self.refunds).values())

    @property
    def disputed(self) -> int:
        """What the bank holds."""
        return sum(self._seen(self.withdrawn).values())

    @property
    def credited(self) -> int:
        """What credit notes took, but for what a refund that counts took for them."""
        counted = self._seen(self.refunds)
        return sum(
            note.amount
            - sum(part for refund_id, part in note.by_refund.items() if refund_id in counted)
            for note in self.credits.values()
        )

    @property
    def has_note(self) -> bool:
        """Whether the payments list must say why a paid payment is worth nothing yet."""
        return self.state == "paid" and self.unknown

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
        base = max(self.paid, self.total)
        taken = min(self.refunded + self.disputed + self.credited, base)
        if base <= 0 or self.gross <= 0:
            return self.gross
        lost = -(-self.gross * taken // base)
        return self.gross - lost

    def after_asking(self) -> "Sale":
        """Return the sale as it is known once Stripe has answered what can be asked."""
        if self.state != "paid" or self.asked is None:
            return replace(self, lost_sight=frozenset())
        worth = self.asked
        return replace(
            self,
            lost_sight=frozenset(),
            gross=worth.tokens,
            unknown=worth.unknown,
            packages=worth.packages,
            plans=frozenset(plan.id for plan in worth.plans),
            plan_types=frozenset(plan.type for plan in worth.plans),
        )

    def _seen(self, moved: Mapping[str, int]) -> dict[str, int]:
        return {
            object_id: amount
            for object_id, amount in moved.items()
            if object_id not in self.lost_sight
        }
