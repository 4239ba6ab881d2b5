"""The page about the data: what the tables say, and no column forgotten."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Column, MetaData, Table, Text

from db.tables import metadata
from dev.checks import data_model


def test_the_page_is_what_the_tables_say() -> None:
    """Whoever changes a table writes the page anew, by the command that this names."""
    assert data_model.PAGE.read_text(encoding="utf-8") == data_model.page(), data_model.WRITE


def test_a_stale_page_is_told_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that mends it, which then does."""
    stale = tmp_path / "data-model.md"
    stale.write_text("old", encoding="utf-8")
    monkeypatch.setattr(data_model, "PAGE", stale)
    result = CliRunner().invoke(data_model.command, [])
    assert (result.exit_code, stale.read_text(encoding="utf-8")) == (1, "old")
    assert data_model.WRITE in result.output
    assert CliRunner().invoke(data_model.command, ["--write"]).exit_code == 0
    assert stale.read_text(encoding="utf-8") == data_model.page()


def test_every_table_and_every_line_between_two_is_drawn() -> None:
    """No line leads to a table that is not there."""
    page = data_model.page()
    drawn = re.findall(r"^    (\w+) \{$", page, re.MULTILINE)
    assert drawn == sorted(metadata.tables)
    lines = re.findall(r"^    (\w+) [|o.{-]+ (\w+) :", page, re.MULTILINE)
    assert {name for pair in lines for name in pair} <= set(drawn)
    assert ("purchases", "checkout_keys") in lines


def test_an_id_of_which_nobody_said_whose_it_is_is_refused() -> None:
    """A new table cannot be drawn without its lines."""
    column = Table("new", MetaData(), Column("thing_id", Text)).columns["thing_id"]
    with pytest.raises(LookupError, match=r"new\.thing_id"):
        data_model.target_of(column)
