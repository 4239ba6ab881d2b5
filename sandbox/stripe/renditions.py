"""Draws what happens in the versions of further endpoints, while it happens.

An event is frozen in the version of the endpoint that it is told to, and the account's records
move on. So each version that some endpoint has is drawn when the event is, from the same record.
"""

from collections.abc import Callable, Collection
from typing import Any

import orjson

from sandbox.simulate.contract_records import Customer
from sandbox.simulate.engine import Event, changed
from sandbox.simulate.objects import Json
from sandbox.simulate.versions import ApiVersion

Draw = Callable[[Any], Json]


class Renditions:
    """The bodies of events in other versions than their own; forgotten when taken."""

    def __init__(self, drawings: dict[type, Draw]) -> None:
        """`drawings` has, for each kind of record, how it is drawn in its customer's version."""
        self._drawings = drawings
        self._bodies: dict[str, dict[str, bytes]] = {}
        # What a version's endpoint was last told of each object.
        self._last: dict[tuple[str, str], Json] = {}
        self.versions: Collection[str] = ()
        # Fields that a version does not tell, by the version and the kind of object.
        self.hidden: dict[tuple[str, str], Collection[str]] = {}

    def draw(self, event: Event, record: object, customer: Customer | None) -> None:
        """Draw an event that has just happened in every version but its own."""
        payload = event.payload
        others = [name for name in self.versions if name != payload["api_version"]]
        for name in others:
            body = self._drawn(payload, record, customer, name)
            self._bodies.setdefault(event.id, {})[name] = orjson.dumps(
                body, option=orjson.OPT_INDENT_2
            )

    def take(self, event_id: str) -> dict[str, bytes]:
        """The bodies of an event by version."""
        return self._bodies.pop(event_id, {})

    def forget(self) -> None:
        """What was drawn did not happen."""
        self._bodies.clear()
        self._last.clear()

    def _drawn(
        self, payload: Json, record: object, customer: Customer | None, version: str
    ) -> Json:
        data, draw = payload["data"], self._drawings.get(type(record))
        if draw is None or customer is None:
            return {**payload, "api_version": version}
        own, customer.version = customer.version, ApiVersion(version)
        try:
            after = draw(record)
        finally:
            customer.version = own
        hidden = self.hidden.get((version, str(after.get("object"))), ())
        after = {name: value for name, value in after.items() if name not in hidden}
        told: Json = {"object": after}
        if "previous_attributes" in data:
            told["previous_attributes"] = self._previous(
                data["previous_attributes"], after, version
            )
        self._last[version, str(after.get("id"))] = after
        return {**payload, "api_version": version, "data": told}

    def _previous(self, own: Json, after: Json, version: str) -> Json:
        before = self._last.get((version, str(after.get("id"))))
        if before is None:
            # Nothing was told in this version before: what both versions name alike is known.
            return {key: value for key, value in own.items() if key in after}
        return changed(before, after)
