"""Search in Stripe's query language: clauses joined by AND, or by OR.

`metadata['plan_id']:'1'`, `name~'pro'`, `total>=500`, `-status:'active'`, `phone:null`. Words are
compared without regard to capitals.
"""

import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sandbox.stripe.api.calls import Call, Endpoint, Page
from sandbox.stripe.api.parameters import Group, text, whole
from sandbox.stripe.errors import invalid

T = TypeVar("T")
Json = dict[str, Any]
_SEARCH = Group({"query": text, "limit": whole, "page": text}, required=("query",))

_LIMIT = 10
_SUBSTRING_MIN = 3
_CLAUSE = re.compile(
    r"""(-)?([a-z_]\w*(?:\.\w+)*)(?:\[(['"])([^'"\]]{1,40})\3\])?\s*(:|~|>=|<=|>|<)\s*"""
    r"""(?:(['"])((?:(?!\6)[^\\]|\\.)*)\6|(-?\d+(?:\.\d+)?|null|true|false))"""
)
_BOUNDS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_UNREADABLE = "We were unable to parse your search query."


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition; `path` is where its value is in an object as drawn."""

    path: tuple[str, ...]
    relation: str
    wanted: str | None
    negated: bool

    def fits(self, drawn: Json) -> bool:
        """Whether an object fulfils it."""
        value: Any = drawn
        for step in self.path:
            value = value.get(step) if isinstance(value, dict) else None
        return self._fits(value) != self.negated

    def _fits(self, value: Any) -> bool:  # noqa: ANN401 - whatever an object has.
        if self.wanted is None or value is None:
            return self.wanted is value
        if self.relation in _BOUNDS:
            return _BOUNDS[self.relation](float(value), float(self.wanted))
        said = str(value).lower()
        return self.wanted.lower() in said if self.relation == "~" else self.wanted.lower() == said


def searching(
    path: str,
    kind: type[T],
    draw: Callable[[T], Json],
    fields: Collection[str],
    is_listed: Callable[[T], bool] = lambda _record: True,
) -> Endpoint:
    """The search of a collection: every record of a kind that is listed, by these fields."""

    def found(call: Call) -> Page:
        return _search(call, filter(is_listed, call.shop.every(kind)), draw, fields)

    return Endpoint("GET", f"{path}/search", _SEARCH, found)


def _search(
    call: Call, items: Iterable[T], draw: Callable[[T], Json], fields: Collection[str]
) -> Page:
    """The page asked for of those that fit the request's query, newest first.

    A page is named by how many come before it, which is nothing that a client may rely on.
    """
    clauses, join = _parsed(call.params["query"], fields)
    matches = []
    for one in items:
        drawn = draw(one)
        if join(clause.fits(drawn) for clause in clauses):
            matches.append(one)
    limit, page = call.params.get("limit", _LIMIT), call.params.get("page") or "0"
    if not page.isdecimal():
        raise invalid("Invalid page token.", "page")
    end = int(page) + limit
    has_more = len(matches) > end
    return Page(
        matches[int(page) : end],
        has_more,
        call.path,
        search=True,
        next_page=str(end) if has_more else None,
        total=len(matches),
    )


def _parsed(
    query: str, fields: Collection[str]
) -> tuple[list[Clause], Callable[[Iterable[bool]], bool]]:
    clauses, joins, place = [], set(), 0
    while True:
        match = _CLAUSE.match(query, place)
        if match is None:
            raise invalid(_UNREADABLE, "query")
        clauses.append(_clause(match, fields))
        rest = query[match.end() :]
        join = re.match(r"\s+(?:(AND|OR)\s+)?(?=\S)", rest, re.IGNORECASE)
        if not rest.strip():
            break
        if join is None:
            raise invalid(_UNREADABLE, "query")
        joins.add((join[1] or "AND").upper())
        place = match.end() + join.end()
    if len(joins) > 1:
        raise invalid("You cannot combine AND and OR in one search query.", "query")
    return clauses, any if joins == {"OR"} else all


def _clause(match: re.Match[str], fields: Collection[str]) -> Clause:
    negation, name, _, key, relation, _, words, bare = match.groups()
    if (name == "metadata") != bool(key):
        raise invalid(_UNREADABLE, "query")
    if not key and name not in fields:
        raise invalid(f"Field `{name}` is an unsupported search field for this resource.", "query")
    wanted = bare if words is None else re.sub(r"\\(.)", r"\1", words)
    if relation in _BOUNDS and not re.fullmatch(r"-?\d+(\.\d+)?", wanted):
        raise invalid(f"The relation {relation} wants a number.", "query")
    if relation == "~" and len(wanted) < _SUBSTRING_MIN:
        message = f"A substring search wants at least {_SUBSTRING_MIN} characters."
        raise invalid(message, "query")
    path = ("metadata", key) if key else tuple(name.split("."))
    return Clause(path, relation, None if bare == "null" else wanted, bool(negation))
