"""The working set of a batch: join facts to what is known, then derive what must be written.

The same functions serve a worker (which loads only what a batch touches), an audit and the
property tests (which hold everything): there is one way from facts to tables.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from domain.catalogue.plans import Catalogue
from domain.decode.facts import Fact
from domain.payments.claims import Customer
from domain.payments.credit_notes import CreditNote
from domain.payments.derivation import Cluster, LooseEnd, Payment, derive, unvalued
from domain.payments.objects import MoneyObject, root_of
from domain.payments.reversals import Dispute, Refund
from domain.payments.sold import Sold
from domain.subscriptions.versions import Subscription
from domain.tokens.adjustments import AdjustmentEntry
from domain.tokens.entries import LedgerEntry, entries_for

Taken = Refund | Dispute | CreditNote

K = TypeVar("K", Customer, Subscription, MoneyObject, Refund, Dispute, CreditNote)
R = TypeVar("R", Refund, Dispute, CreditNote)


@dataclass(slots=True)
class WorkingSet:
    """What is known, by id.

    `roots` and `payments` are what the tables hold: each object's root, and the derived payment
    of each root. `posted` sums the ledger by the object an entry was posted for, and by user.
    """

    customers: dict[str, Customer] = field(default_factory=dict)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    objects: dict[str, MoneyObject] = field(default_factory=dict)
    refunds: dict[str, Refund] = field(default_factory=dict)
    disputes: dict[str, Dispute] = field(default_factory=dict)
    credit_notes: dict[str, CreditNote] = field(default_factory=dict)
    roots: dict[str, str] = field(default_factory=dict)
    payments: dict[str, Payment] = field(default_factory=dict)
    posted: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(slots=True)
class Touched:
    """What a merge changed, each with the event that changed it last; None where none did.

    `owners` are customers whose user changed, `plans` subscriptions that were reported to have
    other plans, trials or prices: the payments of both must be derived again, wherever they are.
    `periods` are subscriptions with a period that was not known: only prorations depend on it.
    """

    customers: dict[str, str | None] = field(default_factory=dict)
    subscriptions: dict[str, str | None] = field(default_factory=dict)
    objects: dict[str, str | None] = field(default_factory=dict)
    refunds: dict[str, str | None] = field(default_factory=dict)
    disputes: dict[str, str | None] = field(default_factory=dict)
    credit_notes: dict[str, str | None] = field(default_factory=dict)
    owners: dict[str, str | None] = field(default_factory=dict)
    plans: dict[str, str | None] = field(default_factory=dict)
    periods: dict[str, str | None] = field(default_factory=dict)


def merge_parties(
    working_set: WorkingSet, touched: Touched, facts: Iterable[tuple[str, Fact]]
) -> None:
    """Join what facts say of customers and subscriptions. Each fact comes with its event's id."""
    for event_id, fact in facts:
        if isinstance(fact, Customer):
            _join_customer(working_set, touched, fact, event_id)
        elif isinstance(fact, Subscription):
            earlier = working_set.subscriptions.get(fact.id)
            _join(working_set.subscriptions, touched.subscriptions, fact, event_id)
            before = earlier.sold if earlier else Sold()
            after = working_set.subscriptions[fact.id].sold
            if before.terms != after.terms:
                touched.plans[fact.id] = event_id
            elif before.items != after.items:
                touched.periods[fact.id] = event_id


def _join_customer(
    working_set: WorkingSet, touched: Touched, fact: Customer, event_id: str | None
) -> None:
    """Join a fact of a payer, and what is claimed of it to all its names, and theirs to it."""
    before = working_set.customers.get(fact.id)
    _join(working_set.customers, touched.customers, fact, event_id)
    joined = working_set.customers[fact.id]
    if (before.user_id if before else None) != joined.user_id:
        touched.owners[fact.id] = event_id
    if joined == before:
        return
    for alias_id in sorted(joined.alias_ids):
        of_alias = joined.claimed._replace(id=alias_id, alias_ids=frozenset({fact.id}))
        alias = working_set.customers.get(alias_id)
        if alias is None or alias.join(of_alias) != alias:
            _join_customer(working_set, touched, of_alias, event_id)
        alias = working_set.customers[alias_id]
        back = alias.claimed._replace(id=fact.id)
        if working_set.customers[fact.id].join(back) != working_set.customers[fact.id]:
            _join_customer(working_set, touched, back, event_id)


def merge_money(
    working_set: WorkingSet, touched: Touched, facts: Iterable[tuple[str, Fact]]
) -> None:
    """Join what facts say of money objects, refunds, disputes and credit notes."""
    for event_id, fact in facts:
        if isinstance(fact, MoneyObject):
            _join(working_set.objects, touched.objects, fact, event_id)
        elif isinstance(fact, Refund):
            _retarget(working_set.refunds.get(fact.id), fact, touched, event_id)
            _join(working_set.refunds, touched.refunds, fact, event_id)
        elif isinstance(fact, Dispute):
            _retarget(working_set.disputes.get(fact.id), fact, touched, event_id)
            _join(working_set.disputes, touched.disputes, fact, event_id)
        elif isinstance(fact, CreditNote):
            _retarget(working_set.credit_notes.get(fact.id), fact, touched, event_id)
            _join(working_set.credit_notes, touched.credit_notes, fact, event_id)


def _join(
    facts: dict[str, K], touched: dict[str, str | None], fact: K, event_id: str | None
) -> None:
    earlier = facts.get(fact.id)
    joined = fact if earlier is None else earlier.join(fact)
    if joined is not earlier and joined != earlier:
        facts[fact.id] = joined
        touched[fact.id] = event_id


def _retarget(earlier: Taken | None, fact: Taken, touched: Touched, event_id: str | None) -> None:
    for target in (earlier, fact):
        if target is not None:
            touched.objects[target.target_id] = event_id


class Posting(NamedTuple):
    """A ledger entry to be posted, and the event that called for it, if one did."""

    entry: LedgerEntry | AdjustmentEntry
    event_id: str | None


@dataclass(slots=True)
class Derived:
    """What must be written: the root of every object looked at, payments, ledger entries.

    `notes` say, by the event that led to it, what is worth nothing yet or hangs in the air.
    `told` are the users whom whoever wrote it tells of it.
    """

    roots: dict[str, str] = field(default_factory=dict)
    payments: dict[str, Payment] = field(default_factory=dict)
    postings: list[Posting] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)


def derive_touched(working_set: WorkingSet, touched: Touched, catalogue: Catalogue) -> Derived:
    """Derive every payment that the touched facts belong to, now or before.

    `working_set` must hold all objects that share a root with a touched one, with their refunds,
    disputes, credit notes, customers, subscriptions and what the ledger holds for them.
    """
    causes = _causes(working_set, touched)
    concerned: dict[str, str | None] = {}
    for object_id, event_id in causes.items():
        for root in (working_set.roots.get(object_id), root_of(object_id, working_set.objects)):
            if root is not None:
                concerned[root] = event_id
    derived = Derived()
    clusters = _clusters(working_set)
    for root in sorted(concerned.keys() & clusters.keys()):
        cluster = clusters[root]
        payment = derive(cluster, catalogue)
        derived.payments[root] = payment
        cause = concerned[root]
        if cause and (remarks := _remarks(cluster, payment, catalogue)):
            derived.notes.setdefault(cause, []).extend(remarks)
        derived.roots.update((member.id, root) for member in cluster.members)
        entries = entries_for(
            payment, _posted(working_set, cluster), _was_taken(working_set, cluster)
        )
        derived.postings.extend(Posting(entry, concerned[root]) for entry in entries)
    return derived


_WORDS = {
    LooseEnd.MONEY_BACK: "money went back, and the payment it takes from is not known yet",
    LooseEnd.CREDIT_NOTES: "Stripe counts more credit notes on it than were reported",
}


def _remarks(cluster: Cluster, payment: Payment, catalogue: Catalogue) -> list[str]:
    """What the inbox keeps of a payment with something missing.

    An intent is often early, and of a list that is cut the event itself says so.
    """
    is_told = LooseEnd.CUT_LIST in payment.loose_ends
    reasons = list(unvalued(cluster, catalogue)) if payment.lacks_plan and not is_told else []
    reasons += [words for end, words in _WORDS.items() if end in payment.loose_ends]
    return [f"{payment.id}: {why}" for why in reasons]


def _causes(working_set: WorkingSet, touched: Touched) -> dict[str, str | None]:
    """Every object whose payment must be derived, with the event that is the reason."""
    causes: dict[str, str | None] = {}
    for member in working_set.objects.values():
        if member.customer_id in touched.owners:
            causes[member.id] = touched.owners[member.customer_id]
        elif member.subscription_id in touched.plans:
            causes[member.id] = touched.plans[member.subscription_id]
        elif member.subscription_id in touched.periods and _is_prorated(member):
            causes[member.id] = touched.periods[member.subscription_id]
    return causes | touched.objects


def _is_prorated(member: MoneyObject) -> bool:
    return member.invoice is not None and member.invoice.is_prorated


def _clusters(working_set: WorkingSet) -> dict[str, Cluster]:
    members: dict[str, list[MoneyObject]] = {}
    for member in working_set.objects.values():
        members.setdefault(root_of(member.id, working_set.objects), []).append(member)
    refunds = _by_target(working_set.refunds.values())
    disputes = _by_target(working_set.disputes.values())
    notes = _by_target(working_set.credit_notes.values())
    return {
        root: Cluster(
            root_id=root,
            members=of_root,
            refunds=[refund for member in of_root for refund in refunds.get(member.id, ())],
            disputes=[dispute for member in of_root for dispute in disputes.get(member.id, ())],
            credit_notes=[note for member in of_root for note in notes.get(member.id, ())],
            owner=_owner(working_set, of_root),
            sold=_sold(working_set, root),
        )
        for root, of_root in members.items()
    }


def _by_target(taken: Iterable[R]) -> dict[str, list[R]]:
    by_target: dict[str, list[R]] = {}
    for reversal in taken:
        by_target.setdefault(reversal.target_id, []).append(reversal)
    return by_target


def _owner(working_set: WorkingSet, members: Iterable[MoneyObject]) -> str | None:
    customers = sorted({member.customer_id for member in members if member.customer_id})
    owners = (
        working_set.customers[customer_id].user_id
        for customer_id in customers
        if customer_id in working_set.customers
    )
    return next((owner for owner in owners if owner), None)


def _sold(working_set: WorkingSet, root: str) -> Sold:
    root_object = working_set.objects.get(root)
    subscription = (
        working_set.subscriptions.get(root_object.subscription_id or "") if root_object else None
    )
    return subscription.sold if subscription else Sold()


def _was_taken(working_set: WorkingSet, cluster: Cluster) -> int:
    payments = (working_set.payments.get(member.id) for member in cluster.members)
    return sum(payment.taken_minor for payment in payments if payment)


def _posted(working_set: WorkingSet, cluster: Cluster) -> dict[str, int]:
    sums: dict[str, int] = {}
    for member in cluster.members:
        for user_id, total in working_set.posted.get(member.id, {}).items():
            sums[user_id] = sums.get(user_id, 0) + total
    return sums


def commit(working_set: WorkingSet, derived: Derived) -> None:
    """Take over what was derived, as the tables do; for audits and tests in memory."""
    working_set.roots.update(derived.roots)
    working_set.payments.update(derived.payments)
    for object_id, root in derived.roots.items():
        if object_id != root:
            working_set.payments.pop(object_id, None)
    for posting in derived.postings:
        if posting.entry.payment_id is None:
            continue
        by_user = working_set.posted.setdefault(posting.entry.payment_id, {})
        user_id = posting.entry.user_id
        by_user[user_id] = by_user.get(user_id, 0) + posting.entry.delta
