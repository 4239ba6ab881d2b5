"""Reads the nested parameters of Stripe's forms: `a[b][0]=1` is `{"a": {"b": {"0": "1"}}}`.

What is a list is for the rules of a parameter to know: metadata may have numbers for names.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from sandbox.stripe.errors import invalid

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_STEP = re.compile(r"\[([^\[\]]*)\]")
_DEPTH_MAX = 10

Json = dict[str, Any]


def decode(pairs: Iterable[tuple[str, str]]) -> Json:
    """Nest the pairs of a form; raises `Refusal` for a name that makes no sense."""
    tree: Json = {}
    for name, value in pairs:
        parts = _NAME.fullmatch(name)
        steps = [parts[1], *_STEP.findall(parts[2])] if parts else []
        if not steps or len(steps) > _DEPTH_MAX:
            raise invalid(f"Invalid parameter name: {name[:100]}", name[:100])
        _put(tree, steps, value, name)
    return tree


def flattened(document: object, name: str = "") -> Iterator[tuple[str, str]]:
    """The pairs of a form that says what a JSON document does; API v2 is asked in JSON."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from flattened(value, f"{name}[{key}]" if name else str(key))
    elif isinstance(document, list):
        for place, value in enumerate(document):
            yield from flattened(value, f"{name}[{place}]")
    elif isinstance(document, bool):
        yield name, "true" if document else "false"
    elif name:
        yield name, "" if document is None else str(document)


def _put(tree: Json, steps: list[str], value: str, name: str) -> None:
    level = tree
    for step in steps[:-1]:
        level = level.setdefault(step or str(len(level)), {})
        if not isinstance(level, dict):
            raise invalid(f"Invalid parameter, both a value and a group: {name}", name)
    last = steps[-1] or str(len(level))
    if isinstance(level.get(last), dict):
        raise invalid(f"Invalid parameter, both a value and a group: {name}", name)
    level[last] = value
