"""Rotates the webhook secret: a second endpoint with a secret of its own takes the first's place.

Stripe's API rolls no secret; the dashboard does. So both endpoints deliver for a time, each event
twice, of which one counts; then the old one goes, and its secret with it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Engine

from db.endpoints import changes, own
from db.endpoints.changes import Change, Purpose, State
from db.endpoints.own import OwnEndpoint
from db.queue import inbox
from db.queue.deliveries import as_delivery
from domain.decode import DECODERS
from domain.endpoints.endpoint import Endpoint, Kind, Style
from stripe_gateway import StripeGateway
from workers.endpoints import second
from workers.endpoints.remote import wanted_of
from workers.endpoints.second import Tools
from workers.questions.busy_retry import retry_while_busy

# Stripe tries for so long to deliver an event.
LOOK_BACK_SECONDS = 3 * 86_400


@dataclass(frozen=True, slots=True)
class Rotation:
    """A rotation that goes on wherever it stands; one call a look."""

    tools: Tools
    gateway: StripeGateway
    asked_by: str

    def begin(self, old: Endpoint) -> Change:
        """Begin a rotation of this endpoint."""
        versions = (old.version, old.version)
        return second.begun(self.tools, Purpose.ROTATE, old, versions, self.asked_by)

    def make(self, change: Change, style: Style, types: Collection[str]) -> tuple[Change, str]:
        """The second endpoint, and its secret where it is known here."""
        wanted = wanted_of(style, change.url, change.to_version, types)
        return second.made(self.tools, change, wanted)

    def enable(self, change: Change, secret: str) -> Change:
        """Have both endpoints deliver, once every receiver knows the secret."""
        if not second.is_known(self.tools, change, secret):
            return change
        return second.enabled(self.tools, change)

    def seconds_both(self, change: Change) -> float:
        """For how long both have been delivering."""
        if change.enabled_at is None:
            return 0.0
        with self.tools.engine.connect() as connection:
            return changes.seconds_since(connection, change.enabled_at)

    def finish(self, change: Change) -> None:
        """Remove the old endpoint, and fetch what it had not delivered."""
        if change.state is State.ENABLED:
            with self.tools.engine.begin() as connection:
                changes.switched(connection, change)
        remove_old(self.tools, self.gateway, change)


def remove_old(tools: Tools, gateway: StripeGateway, change: Change) -> None:
    """Remove the old endpoint and note the new one; nothing that was under way to it is lost.

    What happens from now on the new one delivers, so only earlier events can still wait.
    """
    fetched = fetch_undelivered(tools.engine, gateway, change)
    if fetched:
        tools.say(f"{fetched} events that were not delivered yet were fetched from Stripe.")
    tools.remote.delete(Kind(change.kind), change.old_id)
    with tools.engine.begin() as connection:
        noted = own.noted(connection)
        style = noted.style if noted else Style.SNAPSHOT.value
        now = OwnEndpoint(change.new_id or "", change.kind, change.url, style, change.secret_hash)
        own.note(connection, now)
        changes.end(connection, change, State.DONE)


def fetch_undelivered(engine: Engine, gateway: StripeGateway, change: Change) -> int:
    """Store what Stripe says is not delivered and the inbox lacks; returns how many.

    The cursor of `reconcile` stays: this list has gaps.
    """
    since, after, count = int(change.begun_at.timestamp()) - LOOK_BACK_SECONDS, "", 0
    while True:
        ask = partial(gateway.events, since=since, after=after, undelivered=True)
        page = retry_while_busy(ask)
        ours = [event for event in page.events if event.get("type") in DECODERS]
        with engine.begin() as connection:
            known = inbox.known(connection, [event["id"] for event in ours])
            missing = [as_delivery(event) for event in ours if event["id"] not in known]
            count += inbox.store(connection, missing, source="reconcile")
        if not (page.has_more and page.events):
            return count
        after = page.events[-1]["id"]
