"""Search: clauses such as `metadata['plan_id']:'1'` or `active:'true'`, joined by AND."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from sandbox.stripe.api.calls import Call, Page
from sandbox.stripe.api.parameters import Group, text, whole
from sandbox.stripe.errors import invalid

T = TypeVar("T")
SEARCH = Group({"query": text, "limit": whole, "page": text}, required=("query",))

_LIMIT = 10
_CLAUSE = re.compile(r"""(\w+)(?:\[(['"])([^'"\]]{1,40})\2\])?:(['"])((?:(?!\4)[^\\]|\\.)*)\4""")


def search(
    call: Call,
    items: Iterable[T],
    metadata: Callable[[T], Mapping[str, str] | None],
    fields: Mapping[str, Callable[[T], str]],
) -> Page:
    """The first page of those that fit every clause of the request's query, newest first."""
    clauses = [_clause(part) for part in re.split(r"\s+AND\s+", call.params["query"])]
    for name, key, _ in clauses:
        if not key and name not in fields:
            raise invalid(f"Field `{name}` is an unsupported search field here.", "query")

    def fits(one: T, name: str, key: str, wanted: str) -> bool:
        value = (metadata(one) or {}).get(key) if key else fields[name](one)
        return value == wanted

    matches = [one for one in items if all(fits(one, *clause) for clause in clauses)]
    limit = call.params.get("limit", _LIMIT)
    return Page(matches[:limit], len(matches) > limit, call.path, search=True)


def _clause(part: str) -> tuple[str, str, str]:
    match = _CLAUSE.fullmatch(part.strip())
    if match is None or (match[1] == "metadata") != bool(match[3]):
        raise invalid("We were unable to parse your search query.", "query")
    return match[1], match[3] or "", re.sub(r"\\(.)", r"\1", match[5])
