"""Every field of every recorded event replaced by junk: read and applied, or refused by name."""

from typing import Any

import pytest

from domain.decode import DECODERS
from domain.errors import DecodeError
from tests.domain.recorded import ONLY_NEW, recorded
from tests.play import play

Json = dict[str, Any]
# So many of the values below go into each field, others into the next.
VALUES_PER_FIELD = 4
GONE = object()
JUNK: list[Any] = [GONE, None, "", "x", "-", "--5", "٣", 0, -7, 1.5, 10**30, True, [], [None], {}]


def spoiled(event: Json, path: tuple[str | int, ...], value: Any) -> Json:
    """A copy of an event with the value at a path replaced or gone."""
    if not path:
        return event
    copy: Any = dict(event) if isinstance(event, dict) else list(event)
    key = path[0]
    if len(path) == 1 and value is GONE:
        del copy[key]
    else:
        copy[key] = spoiled(copy[key], path[1:], value) if len(path) > 1 else value
    return copy  # type: ignore[no-any-return]


def paths_of(found: Any) -> list[tuple[str | int, ...]]:
    """Every place in a JSON value but the value itself."""
    keys = (
        found if isinstance(found, dict) else range(len(found)) if isinstance(found, list) else ()
    )
    return [(key, *rest) for key in keys for rest in [(), *paths_of(found[key])]]


def refusal_of(event: Json) -> str | None:
    """Why an event is refused; None when it was played through."""
    try:
        play([event])
    except DecodeError as error:
        return str(error)
    return None


@pytest.mark.parametrize("event_type", sorted(DECODERS))
def test_any_field_may_be_anything_and_nothing_crashes(event_type: str) -> None:
    """What is refused is refused by `DecodeError`, which says where the trouble is."""
    for shape in ["new"] if event_type in ONLY_NEW else ["old", "new"]:
        event = recorded(event_type, shape)
        for number, path in enumerate(paths_of(event["data"])):
            for offset in range(VALUES_PER_FIELD):
                value = JUNK[(number * VALUES_PER_FIELD + offset) % len(JUNK)]
                refusal = refusal_of(event | {"data": spoiled(event["data"], path, value)})
                assert refusal is None or refusal.startswith(f"{event_type}: data.object.")
