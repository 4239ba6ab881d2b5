"""Who may write what: the subjects of facts, locked in one order, and more of them when need be.

Order of locks, the same in every transaction: subjects (advisory, sorted), inbox rows, token
accounts (sorted by user), the users' numbers of messages (sorted by user). Statements run at READ
COMMITTED, so what is read after a lock is fresh.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeVar

from sqlalchemy import Connection, text

from domain.decode.facts import Fact
from domain.errors import BillingError
from domain.payments.claims import Customer
from domain.payments.credit_notes import CreditNote
from domain.payments.objects import MoneyObject
from domain.payments.reversals import Dispute, Refund
from domain.subscriptions.versions import Subscription
from domain.tokens.adjustments import Adjustment

R = TypeVar("R")

# Every batch takes this one shared; a change of the catalogue takes it alone.
CATALOGUE_LOCK = 0x43415441
# Subjects found to be missing grow with every round; a set that still grows is a bug.
_ROUNDS_MAX = 8


class StaleLocks(Exception):  # noqa: N818 - no error: the batch is run again with these.
    """It concerns subjects that are not locked yet; run again, and wait for `subjects` as well."""

    def __init__(self, subjects: frozenset[str]) -> None:
        super().__init__(f"{len(subjects)} subjects must be locked as well")
        self.subjects = subjects


def with_locks(run: Callable[[frozenset[str]], R], subjects: frozenset[str] = frozenset()) -> R:
    """Run a transaction again while it finds that more subjects must be locked.

    `run` opens a transaction of its own each time and is given the subjects known so far.
    """
    for _ in range(_ROUNDS_MAX):
        try:
            return run(subjects)
        except StaleLocks as stale:
            subjects |= stale.subjects
    raise BillingError(f"The subjects of a batch still grow after {_ROUNDS_MAX} rounds.")


def subjects_of(facts: Iterable[Fact]) -> set[str]:
    """The names whose holder may change what these facts touch: customers and money objects."""
    names: set[str] = set()
    for fact in facts:
        if isinstance(fact, Customer):
            names.add(fact.id)
            names.update(fact.alias_ids)
        elif isinstance(fact, Subscription):
            names.add(fact.customer_id or fact.id)
        elif isinstance(fact, Adjustment):
            names.add(fact.id)
        elif isinstance(fact, MoneyObject):
            names.add(fact.id)
            names.update(fact.parents)
            names.update({fact.customer_id} if fact.customer_id else ())
        else:
            names.add(fact.target_id)
    return names


def unplaced(facts: Iterable[Fact]) -> set[str]:
    """Names of money objects whose customer these facts do not say; the tables may know it.

    Where they say another than the tables do, that shows when what is stored is loaded.
    """
    placed: set[str] = set()
    names: list[frozenset[str]] = []
    for fact in facts:
        if isinstance(fact, MoneyObject):
            named = fact.parents | {fact.id}
            if fact.customer_id:
                placed |= named
            else:
                names.append(named)
        elif isinstance(fact, Refund | Dispute | CreditNote):
            names.append(frozenset({fact.target_id}))
    return {name for named in names if placed.isdisjoint(named) for name in named}


def acquire(
    connection: Connection, names: Collection[str], unplaced: Collection[str] | None = None
) -> set[str]:
    """Lock whoever these names are or belong to; returns every subject that is locked now.

    Only for those that are `unplaced`, by default all, is it looked up whom they belong to. The
    catalogue cannot change meanwhile. All of it lasts until the transaction ends.
    """
    further = _resolved(connection, names if unplaced is None else unplaced)
    subjects = set(names).union(further.values())
    keys = sorted({_lock_key(subject) for subject in subjects})
    connection.execute(_LOCK, {"catalogue": CATALOGUE_LOCK, "keys": keys})
    return subjects


def acquire_free(
    connection: Connection, groups: Sequence[Collection[Fact]]
) -> tuple[set[str], set[int]]:
    """Lock whom these facts concern as far as nobody else holds them; waits for none of them.

    Returns the subjects that are locked now, and the places of the groups that are busy: another
    transaction holds a subject of theirs. Raises `StaleLocks` where that is more than half of them,
    as it is better to wait then. Like `acquire`, it waits for a change of the catalogue.
    """
    names = [subjects_of(facts) for facts in groups]
    named = set().union(*names)
    if not named:
        return set(), set()
    further = _resolved(connection, unplaced(fact for facts in groups for fact in facts))
    subjects = named.union(further.values())
    by_key = {_lock_key(subject): subject for subject in subjects}
    row = connection.execute(_TRY, {"catalogue": CATALOGUE_LOCK, "keys": sorted(by_key)}).one()
    elsewhere = {by_key[key] for key in row.held_elsewhere}
    if not elsewhere:
        return subjects, set()
    busy = {
        place
        for place, own in enumerate(names)
        if not elsewhere.isdisjoint(own) or not elsewhere.isdisjoint(map(further.get, own))
    }
    if len(busy) * 2 > len(groups):
        raise StaleLocks(frozenset(elsewhere))
    return subjects - elsewhere, busy


def _resolved(connection: Connection, names: Collection[str]) -> dict[str, str]:
    """Whom stored objects of these names belong to, by name. Reads without a lock."""
    if not names:
        return {}
    roots = connection.execute(_RESOLVE, {"ids": list(names)})
    return {row.name: row.customer_id or row.root_id for row in roots}


def _lock_key(subject: str) -> int:
    digest = hashlib.blake2b(subject.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


_LOCK = text(
    """
    SELECT pg_advisory_xact_lock_shared(:catalogue),
           (SELECT count(*) FROM (
               SELECT pg_advisory_xact_lock(key)
               FROM unnest(CAST(:keys AS bigint[])) AS key OFFSET 0
           ) AS locked)
    """
)
_TRY = text(
    """
    SELECT pg_advisory_xact_lock_shared(:catalogue),
           ARRAY(SELECT key FROM unnest(CAST(:keys AS bigint[])) AS key
                 WHERE NOT pg_try_advisory_xact_lock(key)) AS held_elsewhere
    """
)
_RESOLVE = text(
    "SELECT named.id AS name, root.customer_id, root.id AS root_id"
    " FROM payments AS named JOIN payments AS root ON root.id = named.root_id"
    " WHERE named.id = ANY(CAST(:ids AS text[]))"
)
