"""Access: what plans unlock, what holds while money is missing, and when that changes by itself."""

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ddl = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(ddl)


def downgrade() -> None:
    op.execute("DROP TABLE access_states, access_policies")
    op.execute("ALTER TABLE subscriptions DROP COLUMN status_since, DROP COLUMN paused_since")
    op.execute("ALTER TABLE payments DROP COLUMN packages")
    op.execute("ALTER TABLE plans DROP COLUMN features")
