"""Upgrades our endpoint to another API version, after proof that nothing would be misread.

A second endpoint in the new version delivers the same events to a URL of its own, where they are
kept and never applied. What both say is compared until nothing has differed for as long as wanted.
Then the second endpoint gets the ordinary URL, and the old one goes.
"""

from collections.abc import Collection
from dataclasses import dataclass

import orjson

from db.bodies import decompress
from db.endpoints import changes, shadow_reads
from db.endpoints.changes import Change, Purpose, State
from db.queue import inbox
from domain.decode import parse
from domain.endpoints import shadow
from domain.endpoints.endpoint import Endpoint, Kind, Style, Wanted
from stripe_gateway import StripeGateway
from workers.endpoints import second
from workers.endpoints.comparing import Comparison, Standing
from workers.endpoints.rotation import remove_old
from workers.endpoints.second import EndpointChangeError, Tools


@dataclass(frozen=True, slots=True)
class Upgrade:
    """An upgrade that goes on wherever it stands; one call a look."""

    tools: Tools
    gateway: StripeGateway
    comparison: Comparison
    asked_by: str

    def begin(self, old: Endpoint, version: str) -> Change:
        """Begin an upgrade of this endpoint; raises `EndpointChangeError` where none can be."""
        before = old.version or self._newest_version()
        refuse_what_cannot_be(old, before, version)
        versions = (before, version)
        return second.begun(self.tools, Purpose.UPGRADE, old, versions, self.asked_by)

    def make(self, change: Change, types: Collection[str]) -> tuple[Change, str]:
        """The shadow endpoint, and its secret where it is known here."""
        wanted = Wanted(
            shadow.shadowed(change.url), Style.SNAPSHOT, change.to_version, frozenset(types)
        )
        return second.made(self.tools, change, wanted)

    def _newest_version(self) -> str:
        """The version of the newest event, for an endpoint that has none of its own."""
        with self.tools.engine.connect() as connection:
            kept = shadow_reads.newest_body(connection)
        return parse(orjson.loads(decompress(kept))).api_version if kept else ""

    def enable(self, change: Change, secret: str) -> Change:
        """Have the shadow endpoint deliver, once every receiver knows its secret."""
        if not second.is_known(self.tools, change, secret):
            return change
        return second.enabled(self.tools, change)

    def look(self, change: Change) -> Standing:
        """Compare what came, and say how it stands."""
        return self.comparison.look(change)

    def switch(self, change: Change) -> None:
        """Make the shadow endpoint the ordinary one, and remove the old one.

        The receivers are told first: from then on they take what comes to the shadow's URL as any
        other delivery, so it does not matter when Stripe begins to use the ordinary one.
        """
        kind, new_id = Kind(change.kind), change.new_id or ""
        if change.state is State.ENABLED:
            with self.tools.engine.begin() as connection:
                changes.switched(connection, change)
        self.tools.remote.set_url(kind, new_id, change.url)
        with self.tools.engine.begin() as connection:
            missing = shadow_reads.missing_here(connection, change)
            inbox.store(connection, missing, source="webhook")
        if missing:
            self.tools.say(f"{len(missing)} events that came to the new endpoint alone are taken.")
        remove_old(self.tools, self.gateway, change)


def refuse_what_cannot_be(old: Endpoint, before: str, after: str) -> None:
    """Raise `EndpointChangeError` where there is nothing to upgrade."""
    if old.style is Style.THIN:
        raise EndpointChangeError(
            f"{old.id} sends thin events, which have no version: there is nothing to upgrade."
        )
    if not before:
        raise EndpointChangeError(
            f"{old.id} sends the account's default version, and no event has come yet that would"
            " tell which one that is."
        )
    if before == after:
        raise EndpointChangeError(f"{old.id} sends {after} already.")
