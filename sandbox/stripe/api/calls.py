"""What an endpoint is given and what it answers with; pages of lists; looking things up."""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from sandbox.simulate.versions import ApiVersion
from sandbox.stripe.agenda import Shop
from sandbox.stripe.api.parameters import Group
from sandbox.stripe.errors import invalid, no_such
from sandbox.stripe.goods import Kept
from sandbox.stripe.log import EventLog, Posted
from sandbox.stripe.routing import Routing

Json = dict[str, Any]
T = TypeVar("T")
K = TypeVar("K", bound=Kept)

_BOUNDS = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
_LIMIT = 10
_LIMIT_MAX = 100


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list; a search has pages of its own kind."""

    items: Sequence[object]
    has_more: bool
    url: str
    search: bool = False
    next_page: str | None = None
    total: int = 0

    def drawn_by(self, draw: Callable[[Any], Json]) -> "Page":
        """The same page, its items drawn."""
        return replace(self, items=[draw(item) for item in self.items])


Found = Kept | Posted | Page | Json


@dataclass(frozen=True, slots=True)
class Call:
    """One request, its parameters checked; `id` is what the address names."""

    shop: Shop
    log: EventLog
    params: Json
    id: str
    path: str
    routing: Routing
    base_url: str
    wall_now: int
    version: ApiVersion
    put_forward: Callable[[int], None] = lambda _: None

    def the(self, kind: type[K], name: str) -> K:
        """The record that the address names; `name` is what Stripe calls its kind."""
        return self.find(kind, self.id, name, "id")

    def find(self, kind: type[K], record_id: str, name: str, param: str) -> K:
        """The record of an id that a parameter names."""
        record = self.shop.get(kind, record_id)
        if record is None:
            raise no_such(name, record_id, param)
        return record

    def listed(
        self,
        kind: type[K],
        where: Callable[[K], bool] = lambda _: True,
        **fields: Callable[[K], object],
    ) -> Page:
        """The page that the request asks for of the records of a kind, newest first.

        A parameter that `fields` names narrows the list to the records that have its value;
        `where` says which may be listed at all.
        """
        wanted = {name: self.params[name] for name in fields if name in self.params}
        records = (
            record
            for record in self.shop.every(kind)
            if where(record)
            and all(value in (None, fields[name](record)) for name, value in wanted.items())
        )
        return self.page(self.dated(records, lambda one: one.created), lambda one: one.id)

    def page(self, items: Iterable[T], key: Callable[[T], str]) -> Page:
        """The page of a list, newest first, that the request asks for."""
        limit = self.params.get("limit", _LIMIT)
        if not 1 <= limit <= _LIMIT_MAX:
            message = f"This value must be between 1 and {_LIMIT_MAX}."
            raise invalid(message, "limit", "parameter_invalid_integer")
        every = list(items)
        after, before = self.params.get("starting_after"), self.params.get("ending_before")
        if before:
            newer = every[: _place(every, key, before, "ending_before")]
            return Page(newer[-limit:], len(newer) > limit, self.path)
        rest = every[_place(every, key, after, "starting_after") + 1 :] if after else every
        return Page(rest[:limit], len(rest) > limit, self.path)

    def dated(self, items: Iterable[T], created: Callable[[T], int]) -> Iterable[T]:
        """Those of a list that were made within the bounds asked for."""
        bounds = self.params.get("created") or {}
        return [item for item in items if _within(bounds, created(item))]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One call of the API: `path` names the id it takes `<id>`; `headers` go with every answer.

    What an `undone` one does is only for its answer, and then as if it had never been.
    """

    method: str
    path: str
    accepts: Group
    run: Callable[[Call], Found]
    headers: Mapping[str, str] = field(default_factory=dict)
    undone: bool = False


def _place(items: Sequence[T], key: Callable[[T], str], wanted: str, param: str) -> int:
    for place, item in enumerate(items):
        if key(item) == wanted:
            return place
    raise no_such("object", wanted, param)


def _within(bounds: Mapping[str, int], moment: int) -> bool:
    return all(_BOUNDS[name](moment, bound) for name, bound in bounds.items())
