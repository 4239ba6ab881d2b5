"""What an audit compares is everything that events decide: a new column is named or fails here."""

import pytest
from sqlalchemy import Table

from db.operations.fact_tables import FACT_TABLES, FactTable
from db.tables import ledger


def named(expression: str) -> str:
    """The column that a compared expression is of."""
    return expression.rpartition(" AS ")[2]


@pytest.mark.parametrize("table", FACT_TABLES, ids=lambda table: table.name)
def test_every_column_that_events_decide_is_compared_or_a_source_of_those_that_are(
    table: FactTable,
) -> None:
    """A column that neither list has would be wrong without anybody being told."""
    compared = [named(expression) for expression in table.compared]
    assert len(compared) == len(set(compared))
    assert {"id", *compared, *table.sources} == set(table.columns)
    assert not {"id", *compared} & set(table.sources)


def test_every_table_of_the_ledger_is_compared() -> None:
    """Beside the tables of facts, accounts and entries, by statements of their own."""
    own = {each.name for each in vars(ledger).values() if isinstance(each, Table)}
    assert own == {table.name for table in FACT_TABLES} | {"token_accounts", "ledger_entries"}


def test_every_column_of_an_account_is_compared_with_its_entries() -> None:
    """A new one wants a place in `db.operations.differences`, and then here."""
    assert set(ledger.token_accounts.columns.keys()) == {
        *("user_id", "balance", "last_grant"),
        "updated_at",
    }
