"""The one way into the ledger: lock, load, merge, derive, write, in the caller's transaction.

Whoever has facts calls `apply` and knows nothing of what is inside. It raises `StaleLocks` when
more subjects must be locked than were known; `locks.with_locks` runs the transaction again then.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from sqlalchemy import Connection

from db import queries
from db.access import states
from db.ledger import loading, locks, writing
from db.ledger.catalogue import CatalogueCache
from db.ledger.rows import Row
from db.outbox import changes, messages
from db.outbox.changes import Before
from db.queries import ShownSubscription
from db.together import Together
from domain.catalogue.plans import Catalogue
from domain.decode.facts import Fact
from domain.payments.claims import Customer
from domain.working_set import (
    Derived,
    Posting,
    Touched,
    WorkingSet,
    derive_touched,
    merge_money,
    merge_parties,
)

__all__ = ["apply", "loaded", "post"]


def apply(
    connection: Connection,
    facts: Sequence[tuple[str, Fact]],
    catalogue: CatalogueCache,
    subjects: Collection[str] = (),
    *,
    again: Mapping[str, str | None] | None = None,
    locked: Collection[str] | None = None,
    is_alone: bool = False,
) -> Derived:
    """Apply facts, each with its event's id, inside an open transaction.

    `subjects` are to be locked besides those the facts name. `again` names money objects to be
    derived although no fact touches them, each with the event that is the reason. `locked` is
    what the caller has locked of all these already: nothing more is. `is_alone` says that nobody
    else can write these tables (an audit's own), so nothing need be locked.
    """
    plain = [fact for _, fact in facts]
    if not (plain or subjects or again):
        return Derived()
    if locked is None and not is_alone:
        names = locks.subjects_of(plain) | set(subjects) | set(again or ())
        locked = locks.acquire(connection, names, locks.unplaced(plain) | set(again or ()))
    working_set = loading.load_parties(connection, plain, locked)
    before = Before(dict(working_set.customers), dict(working_set.subscriptions))
    touched = Touched(objects=dict(again or {}))
    merge_parties(working_set, touched, facts)
    beside = loading.load_money(connection, working_set, touched, plain, locked)
    before.objects = dict(working_set.objects)
    merge_money(working_set, touched, facts)
    loading.load_owners(connection, working_set, locked, touched.subscriptions)
    before.add_untouched(working_set, touched)
    plans = catalogue.get(connection, beside.revision)
    derived = derive_touched(working_set, touched, plans)
    derived.postings += loading.lacking_adjustments(connection, plain)
    reports = writing.subscription_rows(working_set, touched)
    together = Together(connection)
    moved = writing.save(together, working_set, touched, derived, reports, before=before)
    if is_alone:
        together.run()
        return derived
    shown = [
        *_shown(reports, working_set, plans),
        *queries.subscriptions_shown(connection, beside.inherited_ids, (), plans),
    ]
    owned = changes.owned(before, shown)
    users = {user_id for each in owned for user_id in each.users}
    users |= states.package_holders(working_set, derived, plans)
    told = [
        *changes.of_payments(before, working_set, derived, plans),
        *changes.of_subscriptions(before, working_set, owned, facts=plain),
        *changes.of_tokens(connection, moved),
        *changes.of_access(states.look_at(together, users, plans)),
    ]
    derived.told = messages.write_last(together, told)
    return derived


def _shown(
    reports: Iterable[Row], working_set: WorkingSet, catalogue: Catalogue
) -> Iterator[ShownSubscription]:
    """Rows of subscriptions as the API shows them, once they are committed."""
    for row in reports:
        if row.get("status") is not None:
            payer = working_set.customers.get(row["customer_id"] or "")
            user_id = row["user_id"] or (payer.user_id if payer else None)
            yield queries.subscription_shown(row, user_id, catalogue)


def post(connection: Connection, postings: Sequence[Posting]) -> None:
    """Append ledger entries that nothing was derived for, move the balances, and tell of them."""
    together = Together(connection)
    moved = writing.post(together, postings)
    messages.write_last(together, list(changes.of_tokens(connection, moved)))


def tell_subscriptions(
    connection: Connection, ids: Sequence[str], subjects: Collection[str], catalogue: CatalogueCache
) -> None:
    """Tell the users of these subscriptions what the catalogue of now makes of them.

    `subjects` are who they belong to: these are locked, so nothing newer was told before.
    """
    locks.acquire(connection, subjects)
    rows = queries.subscriptions_shown(connection, ids, (), catalogue.get(connection))
    messages.write(connection, list(changes.between((), rows)))


def loaded(connection: Connection, customer_ids: Collection[str], touched: Touched) -> WorkingSet:
    """The working set that `apply` would load if all of this were touched; locks nothing."""
    working_set = loading.load_parties(
        connection, [Customer(customer_id) for customer_id in customer_ids]
    )
    loading.load_money(connection, working_set, touched, (), None)
    loading.load_owners(connection, working_set)
    return working_set
