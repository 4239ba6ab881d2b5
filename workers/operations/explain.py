"""Explains a user's balance in sentences: what each event said, changed and moved.

Pure: it makes sentences of what `db.operations.explain` read, and decides nothing itself. Where it
cannot tell the exact reason of an entry, it says what it knows.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from db.operations.explain import Kept
from domain.decode.facts import Fact
from domain.money import money
from domain.payments.derivation import Cluster, Payment, derive, unvalued
from domain.payments.objects import MoneyObject
from domain.payments.reversals import Dispute, Funds, Refund
from domain.payments.sold import Sold
from workers.operations.wording import Saying, bought, said


@dataclass(frozen=True, slots=True)
class Movement:
    """A ledger entry with its reason in a sentence."""

    entry: Row[Any]
    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """One moment: an event with the movements it caused, or a movement of its own.

    `changes` are what the event changed besides the balance, in sentences.
    """

    at: datetime
    event: Row[Any] | None
    text: str
    changes: Sequence[str]
    movements: Sequence[Movement]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The story, and whether it comes to the balance. `loose_ends` are sentences."""

    steps: Sequence[Step]
    total: int
    balance: int
    loose_ends: Sequence[str]

    @property
    def agrees(self) -> bool:
        """Whether the entries sum to the balance."""
        return self.total == self.balance


def explained(kept: Kept) -> Explanation:
    """Tell the story of what is kept."""
    sayings = {event.id: said(event, kept.catalogue) for event in kept.events}
    teller = _Teller(kept, sayings)
    movements: dict[str, list[Movement]] = {}
    steps: list[Step] = []
    for entry in kept.entries:
        movement = Movement(entry, teller.reason(entry))
        if entry.event_id in sayings:
            movements.setdefault(entry.event_id, []).append(movement)
        else:
            steps.append(Step(entry.created_at, None, "", (), (movement,)))
    for event in kept.events:
        of_event = movements.get(event.id, [])
        changes = teller.changes(event)
        steps.append(Step(event.created_at, event, sayings[event.id].text, changes, of_event))
    return Explanation(
        steps=sorted(steps, key=lambda step: step.at),
        total=sum(entry.delta for entry in kept.entries),
        balance=kept.balance or 0,
        loose_ends=list(teller.loose_ends()),
    )


class _Teller:
    """Knows the user's payments, and what each stood for when an entry was posted."""

    def __init__(self, kept: Kept, sayings: dict[str, Saying]) -> None:
        self._kept = kept
        self._sayings = sayings
        self._clusters = _clusters(kept)
        self._posted: dict[str, int] = {}
        self._told: set[str] = set()

    def changes(self, event: Row[Any]) -> list[str]:
        """What the event changed besides the balance."""
        user = self._kept.user_id
        customers = self._kept.working_set.customers.values()
        sentences = [
            f"links customer {customer.id} to this user"
            for customer in customers
            if customer.stamp and customer.stamp.event_id == event.id and customer.user_id == user
        ]
        if event.status in ("received", "failed", "dead"):
            waits = "needs a person" if event.status == "dead" else "will be tried again"
            sentences.append(
                f"is {event.status} and {waits}" + (f": {event.error}" * bool(event.error))
            )
        if event.note:
            sentences.append(f"note: {event.note}")
        return sentences

    def reason(self, entry: Row[Any]) -> str:
        """Why an entry was posted; call once for each, in their order."""
        if entry.payment_id is None:
            return f"spent: {entry.reason}" if entry.kind == "debit" else str(entry.reason)
        root = self._kept.working_set.roots.get(entry.payment_id, entry.payment_id)
        before = self._posted.get(root, 0)
        self._posted[root] = before + entry.delta
        cluster = self._clusters.get(root)
        if cluster is None:
            return f"{entry.reason} (no event of this payment is stored)"
        payment = self._kept.working_set.payments[root]
        facts = self._sayings[entry.event_id].facts if entry.event_id in self._sayings else ()
        standing = before + entry.delta
        if entry.kind == "grant":
            reason = self._of_grant(entry.delta, cluster, payment)
        elif entry.kind == "reversal":
            reason = self._of_reversal(standing, -entry.delta, cluster, payment, facts)
        elif entry.kind == "restore":
            reason = self._of_restore(entry.delta, cluster, payment)
        else:
            reason = self._of_adjustment(before, entry.delta, cluster, payment)
        return reason if entry.event_id else f"{reason} (found when payments were valued anew)"

    def _of_grant(self, delta: int, cluster: Cluster, payment: Payment) -> str:
        gross = self._gross(cluster)
        if delta == gross:
            return self._sale(cluster, payment)
        return (
            f"{self._sale(cluster, payment)}; {delta:,} of its {gross:,} tokens, by what was known"
            " then of refunds, disputes and plans"
        )

    def _sale(self, cluster: Cluster, payment: Payment) -> str:
        paid = money(payment.amount_minor, payment.currency)
        what = bought(cluster, self._kept.catalogue)
        return f"{_name(payment)} paid {paid}" + (f" for {what}" if what else "")

    def _of_reversal(
        self, standing: int, lost: int, cluster: Cluster, payment: Payment, facts: Iterable[Fact]
    ) -> str:
        """Name what was taken: by the event, else what no entry has been explained by yet."""
        gross = self._gross(cluster)
        of_cluster = _takings((*cluster.refunds, *cluster.disputes))
        untold = [item for item in of_cluster if item.id not in self._told]
        for taking in (*_takings(facts), *untold):
            accounted = gross - standing if taking.is_total else lost
            if _accounts(taking, accounted, gross, payment):
                self._told.add(taking.id)
                return f"{_share(taking.amount_minor, payment)} was {taking.done} ({taking.id})"
        parts = ", ".join(f"{one.id} {money(one.amount_minor, payment.currency)}" for one in untold)
        sentence = f"money of {_name(payment)} was refunded or disputed"
        if not parts:
            return f"{sentence}: {money(payment.taken_minor, payment.currency)} in all"
        return f"{sentence} ({parts})"

    def _of_restore(self, gained: int, cluster: Cluster, payment: Payment) -> str:
        """Name the refund or dispute whose money returned, if it accounts for the tokens."""
        gross = self._gross(cluster)
        for taking in _takings((*cluster.refunds, *cluster.disputes)):
            if taking.returned and _accounts(taking, gained, gross, payment):
                amount = money(taking.amount_minor, payment.currency)
                return f"{amount} of {_name(payment)} came back: {taking.returned} ({taking.id})"
        return f"refunded or disputed money of {_name(payment)} came back"

    def _of_adjustment(self, before: int, delta: int, cluster: Cluster, payment: Payment) -> str:
        if payment.user_id != self._kept.user_id:
            owner = f"user {payment.user_id}" if payment.user_id else "nobody yet"
            return f"{_name(payment)} turned out to belong to {owner}"
        if before == 0 and delta == self._gross(cluster):
            return self._sale(cluster, payment)
        standing = before + delta
        return f"{_name(payment)} was valued anew: from here on it stands for {standing:,} tokens"

    def _gross(self, cluster: Cluster) -> int:
        """What the payment is worth while nothing is taken back."""
        members = [
            member._replace(intent=member.intent._replace(refunded=None))
            if member.intent
            else member
            for member in cluster.members
        ]
        untouched = cluster._replace(members=members, refunds=(), disputes=(), credit_notes=())
        return derive(untouched, self._kept.catalogue).tokens

    def loose_ends(self) -> Iterator[str]:
        """Money of this user's customers that is worth nothing yet, and claims in doubt."""
        for root, cluster in sorted(self._clusters.items()):
            payment = self._kept.working_set.payments[root]
            if not payment.listed:
                continue
            amount = money(payment.amount_minor, payment.currency)
            subject = f"{_name(payment)} ({amount}, {payment.status})"
            if payment.user_id is None:
                yield f"{subject} belongs to no user yet"
            elif payment.user_id != self._kept.user_id:
                yield f"{subject} belongs to user {payment.user_id}"
            if payment.lacks_plan:
                why = "; ".join(unvalued(cluster, self._kept.catalogue))
                yield f"{subject} is not worth its full tokens yet: {why}"
        for customer_id, owner in sorted(self._kept.disputed_customers.items()):
            yield f"customer {customer_id} was claimed for this user too, but belongs to {owner}"
        for customer_id in self._kept.customer_ids:
            others = self._kept.working_set.customers[customer_id].other_user_ids
            if others:
                yield f"customer {customer_id} was also claimed for {', '.join(sorted(others))}"


def _clusters(kept: Kept) -> dict[str, Cluster]:
    """The payments as the tables have them; a root that is only named by others has no row."""
    members: dict[str, list[MoneyObject]] = {}
    for object_id, root in kept.working_set.roots.items():
        if root in kept.working_set.payments:
            members.setdefault(root, []).append(kept.working_set.objects[object_id])
    return {root: _cluster(kept, root, objects) for root, objects in members.items()}


def _cluster(kept: Kept, root: str, members: Sequence[MoneyObject]) -> Cluster:
    ids = {member.id for member in members}
    subscription = kept.working_set.subscriptions.get(
        kept.working_set.objects[root].subscription_id or ""
    )
    return Cluster(
        root_id=root,
        members=members,
        refunds=[item for item in kept.working_set.refunds.values() if item.target_id in ids],
        disputes=[item for item in kept.working_set.disputes.values() if item.target_id in ids],
        credit_notes=[
            item for item in kept.working_set.credit_notes.values() if item.target_id in ids
        ],
        sold=subscription.sold if subscription else Sold(),
    )


@dataclass(frozen=True, slots=True)
class _Taking:
    """Money that was taken; `is_total` where a report tells of all that was taken so far.

    `returned` says how it came back, if it did.
    """

    id: str
    amount_minor: int
    done: str
    returned: str = ""
    is_total: bool = False


def _takings(facts: Iterable[Fact]) -> Iterator[_Taking]:
    for fact in facts:
        if isinstance(fact, Refund):
            returned = "" if fact.is_taken else f"the refund is {fact.status}"
            yield _Taking(fact.id, fact.amount_minor, "refunded", returned)
        elif isinstance(fact, Dispute):
            is_back = fact.funds is Funds.REINSTATED
            returned = "the dispute gave it back" if is_back else ""
            yield _Taking(fact.id, fact.amount_minor, "disputed", returned)
        elif isinstance(fact, MoneyObject) and fact.intent and fact.intent.refunded:
            for charge, report in fact.intent.refunded.items():
                yield _Taking(charge, report.amount_minor, "refunded", is_total=True)


def _accounts(taking: _Taking, tokens: int, gross: int, payment: Payment) -> bool:
    """Whether that share of the payment is worth these tokens.

    Rounding is done once for all that was taken, so one token may fall either way.
    """
    paid = payment.amount_minor
    if paid <= 0:
        return False
    share = -(-gross * min(taking.amount_minor, paid) // paid)
    return abs(share - tokens) <= 1


_NAMES = {"in": "invoice", "cs": "checkout"}


def _name(payment: Payment) -> str:
    return f"{_NAMES.get(payment.id.partition('_')[0], 'payment')} {payment.id}"


def _share(amount_minor: int, payment: Payment) -> str:
    paid = money(payment.amount_minor, payment.currency)
    if amount_minor >= payment.amount_minor:
        return f"all of {_name(payment)} ({paid})"
    if 2 * amount_minor == payment.amount_minor:
        return f"half of {_name(payment)} ({paid})"
    return f"{money(amount_minor, payment.currency)} of {_name(payment)} ({paid})"
