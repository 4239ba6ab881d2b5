"""Where the account's events go, and the queue of what is to be posted, behind one lock.

The part of `keeper` that knows endpoints; it knows nothing of what happens to the account.
"""

import threading
import time
from dataclasses import replace
from typing import TypedDict, Unpack

from sandbox.stripe.destinations import DEFAULT_ID, Destination, Secret
from sandbox.stripe.log import EventLog, Posted
from sandbox.stripe.state.store import Store
from sandbox.stripe.views import ThinSwitches

# Under what the store keeps the endpoints, and how thin events are delivered.
_KEPT, _KEPT_THIN = "destinations", "thin switches"


class ThinTerms(TypedDict, total=False):
    """Some of the `ThinSwitches`, by name."""

    duplicates: float
    shuffle: bool
    delay_seconds: float
    loss: float
    names_twin: bool


class Routing:
    """The endpoints of an account, and what becomes of its events at each of them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.RLock()
        self._news = threading.Condition(self._lock)
        self._destinations = [Destination.from_json(one) for one in store.kept(_KEPT) or ()]
        self._thin = ThinSwitches(**(store.kept(_KEPT_THIN) or {}))
        self.log = EventLog()
        self.log.restore(store.events(), time.time())

    @property
    def thin_switches(self) -> ThinSwitches:
        """How thin events are delivered."""
        with self._lock:
            return self._thin

    def set_thin_switches(self, **changes: Unpack[ThinTerms]) -> None:
        """Change how thin events are delivered from now on; what is not named stays."""
        with self._lock:
            self._thin = self._thin._replace(**changes)
            self._store.keep(_KEPT_THIN, self._thin._asdict())

    # Where events go.

    @property
    def destinations(self) -> tuple[Destination, ...]:
        """Every endpoint, the oldest first."""
        with self._lock:
            return tuple(self._destinations)

    def destination(self, destination_id: str) -> Destination | None:
        """One endpoint by its id."""
        return next((one for one in self.destinations if one.id == destination_id), None)

    def put_destination(self, destination: Destination) -> None:
        """Add an endpoint, or change the one of the same id; it holds for what happens now on.

        What waits for one that is disabled is cancelled.
        """
        with self._news:
            places = {one.id: place for place, one in enumerate(self._destinations)}
            if destination.id in places:
                self._destinations[places[destination.id]] = destination
            else:
                self._destinations.append(destination)
            self._destinations_changed()

    def remove_destination(self, destination_id: str) -> None:
        """Remove an endpoint, and cancel what waits for it."""
        with self._news:
            self._destinations = [one for one in self._destinations if one.id != destination_id]
            self._destinations_changed()

    def _destinations_changed(self) -> None:
        self._store.keep(_KEPT, [one.as_json() for one in self._destinations])
        self.log.drop([one.id for one in self._destinations if one.enabled])
        self._news.notify_all()

    @property
    def webhook_url(self) -> str:
        """The address of the endpoint that the account is served with; empty without one."""
        served = self.destination(DEFAULT_ID)
        return served.url if served else ""

    def serve_to(self, url: str, secret: str) -> None:
        """Have the endpoint that the account is served with; without an address none."""
        if not url:
            self.remove_destination(DEFAULT_ID)
            return
        before = self.destination(DEFAULT_ID) or Destination(DEFAULT_ID, url, ())
        self.put_destination(replace(before, url=url, secrets=(Secret(secret),), enabled=True))

    # Delivery.

    def take_delivery(self, name: str, patience_seconds: float) -> Posted | None:
        """Wait for the next event to post to an endpoint; None when none is due in time."""
        deadline = time.time() + patience_seconds
        with self._news:
            while (one := self.log.take(name, time.time())) is None:
                wake = min(deadline, self.log.next_of(name) or deadline)
                if time.time() >= deadline:
                    return None
                self._news.wait(max(0.0, wake - time.time()))
            return one

    def deliver_now(self) -> None:
        """Deliver what a delay or a pause between tries holds back."""
        with self._news:
            self.log.bring_forward(time.time())
            self._news.notify_all()

    def resend(self, event_id: str) -> bool:
        """Post an event once more; False where there is none of that id."""
        with self._news:
            one = self.log.get(event_id)
            if one:
                self.log.again(one, time.time())
                self._news.notify_all()
            return one is not None

    def note_delivery(self, one: Posted, name: str, answer: str, *, accepted: bool) -> None:
        """Note how a delivery to an endpoint went."""
        with self._lock:
            if self.log.get(one.event.id) is not one:
                return  # The account has begun anew while it was on its way.
            self.log.record_answer(one, name, answer, accepted=accepted, now=time.time())
            self._store.note(one, name)
