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
    """The page asked for of those that fit every clause of the request's query, newest first.

    A page is named by how many come before it, which is nothing that a client may rely on.
    """
    clauses = [_clause(part) for part in re.split(r"\s+AND\s+", call.params["query"])]
    for name, key, _ in clauses:
        if not key and name not in fields:
            raise invalid(f"Field `{name}` is an unsupported search field here.", "query")

    def fits(one: T, name: str, key: str, wanted: str) -> bool:
        value = (metadata(one) or {}).get(key) if key else fields[name](one)
        return value == wanted

    matches = [one for one in items if all(fits(one, *clause) for clause in clauses)]
    limit, page = call.params.get("limit", _LIMIT), call.params.get("page") or "0"
    if not page.isdecimal():
        raise invalid("Invalid page token.", "page")
    end = int(page) + limit
    has_more = len(matches) > end
    next_page = str(end) if has_more else None
    return Page(matches[int(page) : end], has_more, call.path, search=True, next_page=next_page)


def _clause(part: str) -> tuple[str, str, str]:
    match = _CLAUSE.fullmatch(part.strip())
    if match is None or (match[1] == "metadata") != bool(match[3]):
        raise invalid("We were unable to parse your search query.", "query")
    return match[1], match[3] or "", re.sub(r"\\(.)", r"\1", match[5])
