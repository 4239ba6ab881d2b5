"""Compares every subscription of Stripe's with ours, both ways, and repairs ours.

A repair is one more event with what Stripe says, applied by the same pipeline. A subscription that
Stripe does not know is reported and not changed. Memory holds one page and the ids of one window.
Nothing is asked of Stripe inside a transaction.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import Engine

from db.ledger.catalogue import CatalogueCache
from db.operations import subscription_check as tables
from db.queue.deliveries import as_delivery
from domain.catalogue.plans import Catalogue
from domain.json_values import integer_of, mapping_of, text_of, time_of
from domain.modes import require_mode
from domain.subscriptions.comparison import (
    Mismatch,
    OwnSubscription,
    compare,
    customer_of,
    is_of_invoice,
    is_of_state,
    lacks_user,
    latest_invoice,
    unknown_there,
)
from domain.subscriptions.simulated import is_simulated
from domain.synthetic_events.answers import as_event
from stripe_gateway import Answer, StripeGateway, StripeListTooLong, StripeMissing
from workers.pipeline.apply import Applied, apply
from workers.pipeline.batch import apply_each
from workers.pipeline.prepared_event import PreparedEvent, prepare
from workers.questions.busy_retry import retry_while_busy
from workers.questions.fetch import answer_time, with_whole_list

BATCH = 100
# So many of Stripe's ids are kept before ours of the same time are looked through.
WINDOW = 10_000
# An event that is on its way gets so long to arrive before a difference is told; more than a
# second, so that what is asked again is newer than what was asked before.
GRACE_SECONDS = 1.5
# A report this far ahead of an answer may be of what happened since; further, of a moved clock.
SKEW_SECONDS_MAX = 60
ROUNDS = 2

Json = dict[str, Any]


@dataclass(slots=True)
class Checked:
    """What came of it so far: subscriptions looked at, differing ones, those that still differ.

    Simulated ones are counted and not looked at.
    """

    looked_at: int = 0
    differing: int = 0
    left: int = 0
    simulated: int = 0


# Told of each mismatch, and whether it is left.
Report = Callable[[Mismatch, bool], None]
Progress = Callable[[Checked], None]


@dataclass(slots=True)
class SubscriptionCheck:
    """A comparison under way; without `repairs` nothing is changed.

    `test_mode` is the mode whose subscriptions are compared.
    """

    engine: Engine
    gateway: StripeGateway
    test_mode: bool
    repairs: bool
    report: Report
    progress: Progress
    checked: Checked = field(default_factory=Checked)
    cache: CatalogueCache = field(default_factory=CatalogueCache)

    def run(self) -> Checked:
        """Compare everything.

        Raises `StripeUnavailable` and `WrongModeError`; what was reported stands then.
        """
        seen: dict[str, int] = {}
        ceiling: int | None = None
        for page in self._pages():
            self._compare_page(page)
            seen.update((listed["id"], integer_of(listed.get("created")) or 0) for listed in page)
            if len(seen) >= WINDOW:
                floor = min(seen.values()) + 1
                self._look_for_unseen(seen, floor, ceiling)
                # The list goes on in the last second: its ids may be needed once more.
                seen = {name: created for name, created in seen.items() if created < floor}
                ceiling = floor
        self._look_for_unseen(seen, None, ceiling)
        return self.checked

    def _pages(self) -> Iterator[list[Answer]]:
        """Pages of Stripe's list."""
        after = ""
        while True:
            page = retry_while_busy(partial(self._page, after))
            named = [listed for listed in page if text_of(listed.get("id"))]
            if not named or named[-1]["id"] == after:
                return
            yield named
            if len(page) < BATCH:
                return
            after = named[-1]["id"]

    def _page(self, after: str) -> list[Answer]:
        return list(islice(self.gateway.subscriptions(after=after), BATCH))

    def _look_for_unseen(
        self, seen: Mapping[str, int], floor: int | None, ceiling: int | None
    ) -> None:
        """Ask about our live subscriptions of a time whose ids the list did not have."""
        after = ""
        while True:
            with self.engine.connect() as connection:
                ours = tables.live(
                    connection, floor=floor, ceiling=ceiling, after=after, limit=BATCH
                )
            if not ours:
                return
            after = ours[-1].id
            for own in ours:
                if own.id in seen:
                    continue
                if is_simulated(own.id, own.owner_id):
                    self.checked.simulated += 1
                else:
                    self._ask_about(own)

    def _ask_about(self, own: OwnSubscription) -> None:
        answer = self._now(own.id)
        if answer:
            self._compare_page([answer])
        else:
            self.checked.looked_at += 1
            self._tell(unknown_there(own, self._catalogue()), is_left=True)

    def _compare_page(self, page: Sequence[Answer]) -> None:
        for listed in page:
            require_mode(listed, test_mode=self.test_mode)
        first = self._compared(page)
        if first:
            differing = [listed for listed in page if listed["id"] in first]
            left = self._settled(differing, first)
            for name, mismatch in first.items():
                if name in left:
                    self._tell(left[name], is_left=True)
                elif self.repairs:
                    self._tell(mismatch, is_left=False)
        self.checked.looked_at += len(page)
        self.progress(self.checked)

    def _settled(
        self,
        differing: Sequence[Answer],
        first: Mapping[str, Mismatch],
    ) -> Mapping[str, Mismatch]:
        """What still differs once it is repaired, or once events on their way have arrived."""
        stamps = {answer["id"]: answer.answered_created for answer in differing}
        left = self._repaired(differing, stamps, first) if self.repairs else first
        for _ in range(ROUNDS if self.repairs else 1):
            if not left:
                break
            time.sleep(GRACE_SECONDS)
            newest = self._newest_reports(left)
            fresh = [self._fresh(answer) for answer in differing if answer["id"] in left]
            stamps = {answer["id"]: _stamp(answer, newest.get(answer["id"])) for answer in fresh}
            left = self._compared(fresh)
            if self.repairs and left:
                left = self._repaired(fresh, stamps, left)
        return left

    def _newest_reports(self, ids: Collection[str]) -> dict[str, int]:
        """When Stripe reported each last, as known before it is asked again."""
        with self.engine.connect() as connection:
            return tables.newest_reports(connection, list(ids))

    def _repaired(
        self,
        differing: Sequence[Answer],
        stamps: Mapping[str, int],
        mismatches: Mapping[str, Mismatch],
    ) -> dict[str, Mismatch]:
        events = {
            event["id"]: event
            for answer in differing
            if answer["id"] in mismatches
            for event in self._events(answer, mismatches[answer["id"]], stamps[answer["id"]])
        }
        works = [
            prepare(as_delivery(event), source="fetch", test_mode=self.test_mode)
            for event in events.values()
        ]
        for _ in apply_each(works, self._apply):
            pass  # What could not be applied is recorded, and differs still.
        return self._compared(differing)

    def _apply(self, works: Sequence[PreparedEvent]) -> Applied:
        return apply(self.engine, works, self.cache)

    def _events(self, subscription: Json, mismatch: Mismatch, stamp: int) -> Iterator[Json]:
        """What Stripe says, as events that are older than whatever happened since it said so."""
        event = partial(as_event, api_version=self.gateway.api_version)
        invoice, customer_id = latest_invoice(subscription), customer_of(subscription)
        if any(map(is_of_state, mismatch.differences)):
            folded = {"latest_invoice": invoice["id"]} if invoice else {}
            name = f"{mismatch.id}_{stamp}"
            whole = {**self._whole(subscription), **folded}
            yield event("customer.subscription.updated", whole, event_id=name, created=stamp)
        if any(map(is_of_invoice, mismatch.differences)):
            # Only `payments` tells which intent paid, which later refunds name.
            ask = partial(self.gateway.invoice, invoice["id"], expand=("payments",))
            if paid := _asked(ask):
                name, created = f"{invoice['id']}_paid", _paid_at(paid)
                whole = self._whole(paid)
                yield event("invoice.paid", whole, event_id=name, created=created)
        if customer_id and lacks_user(mismatch):
            customer = _asked(partial(self.gateway.customer, customer_id))
            if customer and mapping_of(customer.get("metadata")).get("user_id"):
                name = f"{customer_id}_{stamp}"
                yield event("customer.updated", customer, event_id=name, created=stamp)

    def _whole(self, answer: Json) -> Json:
        """The same with its whole list; where that is too long, as it is, which its event notes."""
        try:
            return retry_while_busy(partial(with_whole_list, answer, self.gateway))
        except StripeListTooLong:
            return answer

    def _fresh(self, answer: Answer) -> Answer:
        return self._now(answer["id"]) or answer

    def _now(self, subscription_id: str) -> Answer | None:
        return _asked(
            partial(self.gateway.subscription, subscription_id, expand=("latest_invoice",))
        )

    def _compared(self, page: Sequence[Json]) -> dict[str, Mismatch]:
        """The mismatches of a page, by subscription."""
        invoices = [text_of(latest_invoice(answer).get("id")) or "" for answer in page]
        with self.engine.connect() as connection:
            ours = tables.by_id(connection, [answer["id"] for answer in page])
            paid = tables.invoices_paid(connection, invoices)
            catalogue = self.cache.get(connection)
        compared = (compare(answer, ours.get(answer["id"]), catalogue, paid) for answer in page)
        return {mismatch.id: mismatch for mismatch in compared if mismatch is not None}

    def _catalogue(self) -> Catalogue:
        with self.engine.connect() as connection:
            return self.cache.get(connection)

    def _tell(self, mismatch: Mismatch, *, is_left: bool) -> None:
        self.checked.differing += 1
        self.checked.left += is_left
        self.report(mismatch, is_left)


def _stamp(answer: Answer, newest_report: int | None) -> int:
    return answer_time(answer.answered_created, newest_report, skew_seconds=SKEW_SECONDS_MAX)


def _asked(ask: Callable[[], Answer]) -> Answer | None:
    """What Stripe answers; None where it knows no such object."""
    try:
        return retry_while_busy(ask)
    except StripeMissing:
        return None


def _paid_at(invoice: Mapping[str, Any]) -> int:
    transitions = mapping_of(invoice.get("status_transitions"))
    return time_of(transitions.get("paid_at")) or time_of(invoice.get("created")) or 0
