"""Lists of text arrive as they were given, whichever way they go over."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, text

from db.engine import make_engine
from db.text_arrays import TextArray

LONG = [f"sub_{number}" for number in range(12)]
AWKWARD = ["", "a'b", 'a"b', "a\\b", "{a,b}", "NULL", "ü € 🎟", "%s :x", " ", "\n"]


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    """A connection as the product makes it."""
    engine = make_engine(database_url)
    with engine.connect() as made:
        yield made
    engine.dispose()


@pytest.mark.parametrize(
    "values",
    [[], ["one"], LONG, LONG + AWKWARD, [*LONG, None], [*LONG, "with\x1fin"], [""] * 9],
    ids=["none", "one", "long", "awkward", "null", "separator", "empty"],
)
def test_text_arrives_as_it_was_given(connection: Connection, values: list[Any]) -> None:
    """Also where quoting, or what stands between elements, is among them."""
    query = text(
        "SELECT CAST(:values AS text[]) = CAST(:values AS text[]), CAST(:values AS text[])"
    )
    is_same, arrived = connection.execute(query, {"values": values}).one()
    assert is_same
    assert arrived == values


def test_other_elements_stay_the_drivers(connection: Connection) -> None:
    """Numbers are numbers, and text is cast to what the statement says."""
    numbers = list(range(12))
    query = text("SELECT CAST(:numbers AS bigint[]), CAST(:written AS bigint[])")
    row = connection.execute(query, {"numbers": numbers, "written": [str(n) for n in numbers]})
    assert row.one() == (numbers, numbers)


def test_a_long_list_goes_over_as_one_literal() -> None:
    """A literal an element is what this is there to avoid."""
    assert TextArray(LONG).getquoted().count(b"'") == 4
    assert TextArray(LONG[:2]).getquoted().count(b"'") == 4
