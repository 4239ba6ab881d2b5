"""Draws `docs/data-model.md` from `db.tables`, so that the page cannot be wrong for long.

`python -m dev.checks.data_model` says whether the page is stale; with `--write` it writes the page
anew. A test says the same. Most rows name each other without a foreign key: events come in any
order, and a row may be there before the one that it names. `POINTS` knows those by their columns.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import click
from sqlalchemy import Column, Table
from sqlalchemy.dialects import postgresql

from db.tables import metadata

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data-model.md"
WRITE = "python -m dev.checks.data_model --write"
# column, or table and column → the table whose row it names
POINTS: Mapping[str, str] = {
    "change_id": "endpoint_changes",
    "claimed_event_id": "webhook_events",
    "claimed_plan_event_id": "webhook_events",
    "claimed_plan_id": "plans",
    "customer_id": "customers",
    "destination_id": "destinations",
    "destination_resends.user_id": "outbox_users",
    "destination_users.user_id": "outbox_users",
    "event_id": "webhook_events",
    "ledger_entries.user_id": "token_accounts",
    "named_plan_id": "plans",
    "outbox.user_id": "outbox_users",
    "payment_id": "payments",
    "plan_id": "plans",
    "purchase_id": "purchases",
    "root_id": "payments",
    "session_id": "payments",
    "subscription_id": "subscriptions",
    "target_id": "payments",
}
# These name no row: users are kept elsewhere, the rest is Stripe's, Redis', or of any table.
NAMES_NO_ROW = frozenset(
    (
        *("account_id", "claim_id", "new_id", "object_id", "old_id", "price_id", "server_id"),
        *("subject_id", "twin_id", "user_id"),
    )
)
# Mermaid would shrink the diagram to the page's width, until nobody can read it.
NATURAL_SIZE = '%%{init: {"er": {"useMaxWidth": false}}}%%'
INTRODUCTION = f"""\
# Data model

Written by `{WRITE}` from [db/tables/](../db/tables/); a test fails when it is stale.

A whole line is a foreign key. A dotted line is a name without one: events come in any order, so a
row may name another that is not there yet. A user (`user_id`) is the `sub` of a token; users are
kept elsewhere. The diagram shows keys and names; the columns are below it.
"""
_SHORT_TYPES = {"timestamp with time zone": "timestamptz"}


def page() -> str:
    """The whole page as it has to be."""
    tables = sorted(metadata.tables.values(), key=lambda table: table.name)
    drawn = [*_lines(_entity(table) for table in tables), *_lines(map(_relations, tables))]
    tables_said = _lines(_told(table) for table in tables)
    diagram = ["```mermaid", NATURAL_SIZE, "erDiagram", *drawn, "```"]
    return "\n".join([INTRODUCTION, *diagram, *tables_said]) + "\n"


def target_of(column: Column[object]) -> str | None:
    """The table whose row a column names; None where it names none.

    Raises `LookupError` for an id of which nobody has said whose it is.
    """
    for name in (f"{column.table.name}.{column.name}", column.name):
        if name in POINTS:
            return POINTS[name]
    if column.name.endswith("_id") and column.name not in NAMES_NO_ROW:
        raise LookupError(f"say in {__name__} what {column.table.name}.{column.name} names")
    return None


def _lines(groups: Iterable[list[str]]) -> list[str]:
    return [line for group in groups for line in group]


def _entity(table: Table) -> list[str]:
    shown = [column for column in table.columns if column.primary_key or target_of(column)]
    return [
        f"    {table.name} {{",
        *(f"        {_type(column)} {column.name}{_key(column)}" for column in shown),
        "    }",
    ]


def _key(column: Column[object]) -> str:
    keys = [*(["PK"] if column.primary_key else []), *(["FK"] if column.foreign_keys else [])]
    return f" {', '.join(keys)}" if keys else ""


def _relations(table: Table) -> list[str]:
    relations = [
        f"    {constraint.referred_table.name} ||--o{{ {table.name} :"
        f' "{", ".join(column.name for column in constraint.columns)}"'
        for constraint in sorted(
            table.foreign_key_constraints, key=lambda constraint: str(constraint.name)
        )
    ]
    for column in table.columns:
        target = target_of(column)
        # The row that a foreign key leads to is drawn already; what names itself is no line.
        if (
            target
            and not column.foreign_keys
            and (target, column.primary_key) != (table.name, True)
        ):
            relations.append(f'    {target} |o..o{{ {table.name} : "{column.name}"')
    return relations


def _told(table: Table) -> list[str]:
    rows = [
        f"| `{column.name}` | {_type(column)} | {'' if column.nullable else 'always'} |"
        for column in table.columns
    ]
    head = ["| column | type | set |", "|---|---|---|"]
    return ["", f"## {table.name}", "", str(table.comment), "", *head, *rows]


def _type(column: Column[object]) -> str:
    name = column.type.compile(dialect=postgresql.dialect()).lower()  # type: ignore[no-untyped-call]
    return _SHORT_TYPES.get(name, name)


@click.command()
@click.option("--write", "is_write", is_flag=True, help="Write the page anew.")
def command(*, is_write: bool) -> None:
    """Check docs/data-model.md against the tables."""
    if is_write:
        PAGE.write_text(page(), encoding="utf-8")
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
        raise click.ClickException(f"docs/data-model.md is stale; run: {WRITE}")
    click.echo("docs/data-model.md is what the tables say.")


if __name__ == "__main__":
    command()
