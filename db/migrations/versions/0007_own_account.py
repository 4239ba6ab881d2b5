"""Which Stripe account the configured key is of."""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ddl = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(ddl)


def downgrade() -> None:
    op.execute("DROP TABLE own_account")
