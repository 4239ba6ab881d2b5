"""Statements in one message: all of them run, in order, and the last one tells."""

import pytest
from sqlalchemy import Engine, text

from db.together import Together


def test_all_run_in_order_and_the_last_one_tells(engine: Engine) -> None:
    """Each sees what those before it did; what was sent is not sent again."""
    with engine.connect() as connection:
        connection.execute(text("CREATE TEMPORARY TABLE kept (name text) ON COMMIT DROP"))
        together = Together(connection)
        assert together.run() is None
        together.add("INSERT INTO kept VALUES (:first), ('100%;')", first="a; :no")
        together.add("INSERT INTO kept SELECT name || :more FROM kept", more="+")
        together.add("SELECT name FROM kept ORDER BY name")
        result = together.run()
        assert result is not None
        assert sorted(result.scalars()) == ["100%;", "100%;+", "a; :no", "a; :no+"]
        assert together.run() is None


def test_two_values_of_one_name_are_refused(engine: Engine) -> None:
    """The later one would silently stand for both."""
    with engine.connect() as connection:
        together = Together(connection)
        together.add("SELECT CAST(:rows AS text)", rows="1")
        with pytest.raises(ValueError, match="rows"):
            together.add("SELECT CAST(:rows AS text)", rows="2")
