"""Simulated lives as Stripe would answer for them: every object at its end, every event it sent.

Thin events carry no object, so whoever gets them asks. Objects are drawn in the newest version,
because an answer has the version of who asks; events keep theirs.
"""

from collections.abc import Iterable, Iterator, Sequence

import orjson

from sandbox.simulate.access import DatedAccount
from sandbox.simulate.account import Account
from sandbox.simulate.contract_records import Customer
from sandbox.simulate.drawings import DRAWINGS
from sandbox.simulate.engine import Event
from sandbox.simulate.invoice_objects import invoice_payment_object
from sandbox.simulate.objects import Json
from sandbox.simulate.records import Invoice, Record
from sandbox.simulate.thin import PLACES, TYPE_PREFIX, thin_event, thin_id
from sandbox.simulate.versions import NEW

# What is answered at each path, as JSON.
Answers = Iterator[tuple[str, bytes]]


class AnsweringAccount(DatedAccount):
    """An account that also remembers whatever Stripe could be asked for."""

    def __init__(self, *, seed: int, run: str, starts_at: int) -> None:
        super().__init__(seed=seed, run=run, starts_at=starts_at)
        self.records: dict[str, Record] = {}

    def keep(self, record: Record) -> None:
        """Remember a record by its id."""
        self.records[record.id] = record

    def answers(self) -> Answers:
        """What Stripe answers, by path: objects as they are now, events as they were sent."""
        known = {**self.records, **self.customers, **self.invoices, **self.sessions}
        for path, drawn in self._objects(known.values()):
            yield path, orjson.dumps(drawn)
        for event in self.events:
            yield f"/v1/events/{event.id}", event.body
        for millisecond, event in numbered((*self.events, *self.thin_only)):
            thin = {**thin_event(event, millisecond), "changes": None}
            yield f"/v2/core/events/{thin['id']}", orjson.dumps(thin)

    def _objects(self, records: Iterable[Record]) -> Iterator[tuple[str, Json]]:
        own = {customer.id: customer.version for customer in self.customers.values()}
        try:
            for customer in self.customers.values():
                customer.version = NEW[-1]
            for record in records:
                yield from _drawn(record)
        finally:
            for customer in self.customers.values():
                customer.version = own[customer.id]


def _drawn(record: Record) -> Iterator[tuple[str, Json]]:
    draw = DRAWINGS.get(type(record))
    if draw is None:
        return
    drawn = draw(record)
    if isinstance(record, Customer) and record.deleted:
        drawn = {"id": record.id, "object": "customer", "deleted": True}
    if drawn.get("id"):
        yield f"{PLACES[drawn['object']]}{drawn['id']}", drawn
    if isinstance(record, Invoice) and record.payment_id:
        payment = invoice_payment_object(record)
        yield f"{PLACES['invoice_payment']}{payment['id']}", payment


def numbered(events: Sequence[Event]) -> Iterator[tuple[int, Event]]:
    """Each event with a millisecond of its second, in the order in which they happened."""
    counts: dict[int, int] = {}
    for event in events:
        counts[event.created] = number = counts.get(event.created, -1) + 1
        yield number, event


def as_thin(account: Account, *, names_twin: bool = True) -> list[Event]:
    """The thin events of all that happened, ready to be posted."""
    return [
        Event(
            id=thin_id(event.id),
            type=f"{TYPE_PREFIX}{event.type}",
            created=event.created,
            customer_id=event.customer_id,
            user_id=event.user_id,
            body=orjson.dumps(thin_event(event, number, names_twin=names_twin)),
        )
        for number, event in numbered((*account.events, *account.thin_only))
    ]
