"""The account behind one lock and in one file: acts on it are whole, and saved before they count.

Also its clock and the queue of what is to be posted. Knows nothing of pages or HTTP.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

from sandbox.simulate.drawings import DRAWINGS
from sandbox.simulate.payments import DRAFT_SECONDS
from sandbox.simulate.versions import BY_CHOICE
from sandbox.stripe.agenda import Shop
from sandbox.stripe.answering import Gate
from sandbox.stripe.billing.items import InvoiceItem, invoice_item_object
from sandbox.stripe.destinations import versions_of
from sandbox.stripe.events_v2 import failure_event
from sandbox.stripe.log import EventLog
from sandbox.stripe.paying.setup_sessions import SetupSession, setup_session_object
from sandbox.stripe.permissions import Keys
from sandbox.stripe.renditions import Renditions
from sandbox.stripe.routing import Routing
from sandbox.stripe.state.account import founded
from sandbox.stripe.state.store import Answer, Store
from sandbox.stripe.views import Answering, Switches


class SwitchTerms(TypedDict, total=False):
    """Some of the `Switches`, by name."""

    duplicates: float
    shuffle: bool
    delay_seconds: float
    loss: float
    same_second: bool
    api_version: str


class AnswerTerms(TypedDict, total=False):
    """How calls are answered, by name; see `Answering`."""

    kind: str
    slow_seconds: float
    status: int
    retry_after_seconds: int | None


@dataclass(slots=True)
class Act:
    """Something being done to the account; an `answer` is kept for its idempotency key."""

    shop: Shop
    answer: Answer | None = None


class Keeper(Routing):
    """One account. `base_url` is told by whoever serves it."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.base_url = ""
        self._renditions = Renditions(
            {
                **DRAWINGS,
                InvoiceItem: invoice_item_object,
                SetupSession: setup_session_object,
            }
        )
        # Whether events fail to be made: nobody is told of them, and no list has them.
        self.generation_fails = False
        self.set_aside = store.set_aside
        self.gate = Gate()
        self.keys = Keys()
        self._state = store.state() or founded()
        self._store.save(self._state, ())

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._store.close()

    # How others act.

    @contextmanager
    def acting(self, cause: tuple[str, str | None] | None = None) -> Iterator[Act]:
        """Do something to the account, all or nothing: an exception undoes it.

        `cause` is the id and the idempotency key of the request that asks for it.
        """
        with self._lock:
            shop = self._state.shop
            shop.swift = self._state.switches.same_second
            act, kept = Act(shop), len(shop.records)
            self._renditions.versions = versions_of(self._destinations)
            shop.also_told = self._renditions.draw
            try:
                shop.cause = None
                shop.play(self._moment())
                shop.cause = cause
                yield act
            except BaseException:
                self._renditions.forget()
                # Nothing changes without an event or a new record.
                if shop.events or len(shop.records) != kept:
                    self._state = self._store.state() or founded()
                raise
            finally:
                del shop.also_told
            self._keep(act.answer)

    def begin_anew(self) -> None:
        """Forget everything that happened: another account, at today's date.

        Endpoints, and how webhooks are delivered, stay as they are.
        """
        with self._news:
            fresh, switches = founded(), self._state.switches
            fresh.switches = switches
            fresh.shop.speak(BY_CHOICE[switches.api_version][0])
            self._store.forget()
            self._renditions.forget()
            self._state = fresh
            self.log = EventLog()
            self._store.save(fresh, ())
            self._news.notify_all()

    @contextmanager
    def reading(self) -> Iterator[Shop]:
        """Look at the account as it stands; change nothing."""
        with self._lock:
            yield self._state.shop

    @property
    def account_id(self) -> str:
        """The account's own id."""
        return self._state.shop.account_id

    def hide(self, version: str, kind: str, *fields: str) -> None:
        """Leave fields out of the objects of a kind in a version, as when Stripe moves them.

        It holds for endpoints whose version is not that of the switches.
        """
        with self._lock:
            self._renditions.hidden[version, kind] = fields

    def answer(self, key: str) -> Answer | None:
        """What was answered under an idempotency key."""
        with self._lock:
            return self._store.answer(key)

    # Lives that were simulated elsewhere.

    def take_lives(self, answers: Iterable[tuple[str, bytes]]) -> int:
        """Answer for them as for the account's own; returns for how many addresses."""
        with self._lock:
            return self._store.take_lives(answers)

    def life_at(self, path: str) -> bytes | None:
        """What such a life is answered with at a path; None where there is none."""
        with self._lock:
            return self._store.life_at(path)

    # The clock.

    @property
    def now(self) -> int:
        """The account's time in Unix seconds: the wall clock, put forward."""
        with self._lock:
            return self._moment()

    @property
    def glance(self) -> int:
        """The account's time as `now`, without waiting for what is being done to the account."""
        return self._moment()

    @property
    def ahead_seconds(self) -> int:
        """How far the account's clock is ahead of the wall clock."""
        with self._lock:
            return self._moment() - int(time.time())

    def advance(self, seconds: int) -> int:
        """Put the clock forward and do all that falls due; returns how many events that caused.

        It does not stop in the hour between a renewal's draft and its payment.
        """
        with self.acting():
            before = len(self.log.posted)
            self.put_forward(self._moment() + max(0, seconds))
        with self._lock:
            return len(self.log.posted) - before

    def put_forward(self, moment: int) -> None:
        """Within an act, put the clock forward to a moment; nothing where that is over."""
        with self._lock:
            shop, before = self._state.shop, self._moment()
            shop.play(max(moment, before))
            if moment > before and 0 < shop.last_draft_due <= moment + DRAFT_SECONDS:
                shop.play(shop.last_draft_due)
            self._state.ahead_seconds = shop.now - int(time.time())

    def tick(self) -> None:
        """Do what has fallen due as real time passes."""
        with self._lock:
            due = self._state.shop.next_due
            if due is not None and due <= self._moment():
                with self.acting():
                    pass

    # Delivery.

    @property
    def switches(self) -> Switches:
        """How webhooks are delivered."""
        with self._lock:
            return self._state.switches

    def set_switches(self, **changes: Unpack[SwitchTerms]) -> None:
        """Change some switches; the others stay. They hold for what happens from now on.

        Raises `KeyError` for a version that no endpoint can have.
        """
        with self.acting() as act:
            switches = replace(self._state.switches, **changes)
            act.shop.speak(BY_CHOICE[switches.api_version][0])
            self._state.switches = switches

    # Answers of the API.

    @property
    def answering(self) -> Answering:
        """How calls of the API are answered."""
        return self.gate.answering

    def set_answering(self, *, for_seconds: float = 0.0, **terms: Unpack[AnswerTerms]) -> None:
        """Answer calls of the API otherwise from now on, for a time or until it is set anew.

        What is not named is as it is by default; see `Answering`.
        """
        until = time.time() + for_seconds if for_seconds else 0.0
        self.gate.become(Answering(**terms, until=until))

    def _moment(self) -> int:
        return max(self._state.shop.now, int(time.time()) + self._state.ahead_seconds)

    def _keep(self, answer: Answer | None) -> None:
        shop, switches = self._state.shop, self._state.switches
        happened = [*shop.events, *shop.thin_only]
        if self.generation_fails:
            happened = [failure_event(event, shop) for event in shop.events]
        fresh = self.log.add(
            happened,
            self._destinations,
            {"snapshot": switches, "thin": self._thin},
            time.time(),
            own_version=switches.api_version,
        )
        for one in fresh:
            one.renditions = self._renditions.take(one.event.id)
        shop.events.clear()
        shop.thin_only.clear()
        self._store.save(self._state, fresh, answer)
        self._news.notify_all()
