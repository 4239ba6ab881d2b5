"""Sessions that nobody may pay any more: when Stripe is asked to expire them, and how often."""

from pathlib import Path

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ddl = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(ddl)


def downgrade() -> None:
    op.execute("DROP INDEX purchases_payable")
    op.execute("ALTER TABLE purchases DROP COLUMN expire_tries, DROP COLUMN expire_after")
