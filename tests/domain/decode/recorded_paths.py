"""An event's object that remembers which of its paths were asked for."""

from collections.abc import Mapping
from typing import Any

from domain.decode import decode, parse
from domain.events import Event
from domain.subscriptions.versions import Subscription


class Recording(dict[str, Any]):
    """A JSON object that notes every key it is asked for, by its path from the root."""

    def __init__(self, found: Mapping[str, Any], path: str, asked: set[str]) -> None:
        self._prefix = f"{path}." if path else ""
        self._asked = asked
        super().__init__(
            {key: _recording(value, f"{self._prefix}{key}", asked) for key, value in found.items()}
        )

    def get(self, key: str, default: Any = None) -> Any:
        """As a dict does it."""
        self._asked.add(f"{self._prefix}{key}")
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        self._asked.add(f"{self._prefix}{key}")
        return super().__getitem__(key)


def _recording(value: Any, path: str, asked: set[str]) -> Any:
    if isinstance(value, dict):
        return Recording(value, path, asked)
    if isinstance(value, list):
        return [_recording(entry, f"{path}[]", asked) for entry in value]
    return value


def asked_of(document: Any) -> tuple[str, set[str]]:
    """The kind of an event's object, and every path that decoding the event asks it for."""
    event: Event = parse(document)
    asked: set[str] = set()
    recording = Recording(event.object, "", asked)
    for fact in decode(event._replace(object=recording)).facts:
        if isinstance(fact, Subscription):
            fact.newest()
    return str(event.object.get("object")), asked
