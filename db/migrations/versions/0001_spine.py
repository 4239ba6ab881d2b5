"""The spine: inbox, customers, catalogue, subscriptions, payments, accounts and the ledger."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    ddl = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    # Without parameters psycopg2 leaves the percent signs of the trigger functions alone.
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(ddl)


def downgrade() -> None:
    op.execute(
        "DROP TABLE ledger_entries, token_accounts, disputes, refunds, payments, subscriptions,"
        " stripe_prices, plan_prices, plans, catalogue_revision, customers, webhook_events"
    )
    op.execute("DROP FUNCTION refuse_ledger_rewrite(), refuse_body_rewrite()")
