"""What happens by itself when time passes: renewals, trials, dunning, expiry, bank debits.

Nothing is scheduled: what is due follows from the records, so it survives anything they survive.
"""

from collections.abc import Callable, Iterator
from functools import partial

from sandbox.simulate.contract_records import Subscription
from sandbox.simulate.payments import DRAFT_SECONDS
from sandbox.simulate.records import Invoice, Session
from sandbox.simulate.subscriptions import INCOMPLETE_SECONDS, NOTICE_SECONDS
from sandbox.stripe.billing.scheduling import Scheduling
from sandbox.stripe.contracts import RUNNING
from sandbox.stripe.paying.setup_sessions import SetupSession

Due = tuple[int, Callable[[], None]]


class Shop(Scheduling):
    """The whole account: all that can be done to it, and all that it does by itself."""

    def play(self, until: int) -> None:
        """Let time pass until a moment and do what falls due, in order."""
        while (due := self._next()) and due[0] <= until:
            self.until(due[0])
            due[1]()
        self.until(until)

    @property
    def last_draft_due(self) -> int:
        """When the last renewal that is only a draft yet will be collected; 0 without any."""
        return max(
            (due for one in self.every(Invoice) for due, _ in self._of_draft(one)), default=0
        )

    @property
    def next_due(self) -> int | None:
        """When something falls due next; None when nothing ever will."""
        due = self._next()
        return due[0] if due else None

    def _next(self) -> Due | None:
        return min(self._agenda(), key=lambda due: due[0], default=None)

    def _agenda(self) -> Iterator[Due]:
        # Before anything else of the same moment: a renewal bills what a new phase says.
        yield from self.due_by_schedule()
        for record in self.records.values():
            match record:
                case Session(status="open") | SetupSession(status="open"):
                    yield record.deadline, partial(self.expire, record, by_stripe=True)
                case Session():
                    yield from self._of_debit(record)
                case Subscription() if record.status in RUNNING:
                    yield from self._of_subscription(record)
                case Subscription(status="incomplete"):
                    yield (
                        record.created + INCOMPLETE_SECONDS,
                        partial(self.expire_incomplete, record),
                    )
                case Invoice(status="draft"):
                    yield from self._of_draft(record)
                case Invoice(status="open"):
                    yield from self._of_open(record)
                case _:
                    pass

    def _of_debit(self, session: Session) -> Iterator[Due]:
        if session.intent and session.intent.status == "processing":
            yield session.deadline, lambda: self.settle_debit(session, succeeds=True)

    def _of_subscription(self, subscription: Subscription) -> Iterator[Due]:
        ends, end = subscription.period_end, subscription.cancel_at
        if end is not None:
            yield end, lambda: self.close(subscription)
        elif subscription.announced_end != ends:
            yield ends - NOTICE_SECONDS, lambda: self.announce_end(subscription)
        if subscription.resumes_at is not None:
            yield subscription.resumes_at, lambda: self.pause_collecting(subscription, None, None)
        yield ends, lambda: self._renew(subscription)

    def _renew(self, subscription: Subscription) -> None:
        self.turn(subscription)

    def _of_open(self, invoice: Invoice) -> Iterator[Due]:
        if invoice.next_attempt is not None:
            yield invoice.next_attempt, lambda: self.attempt(invoice)

    def _of_draft(self, invoice: Invoice) -> Iterator[Due]:
        subscription = invoice.subscription
        running = subscription is not None and subscription.ended_at is None
        kept = subscription is not None and subscription.pause_behavior == "keep_as_draft"
        if (running and not kept and invoice.auto_advance is not False) or (
            subscription is None and invoice.auto_advance
        ):
            wait = 0 if self.swift else DRAFT_SECONDS
            yield invoice.created + wait, lambda: self.finish_draft(invoice)
