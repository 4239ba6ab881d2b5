"""Which Redis answered last: another may lack what the one before it was given."""

from pathlib import Path

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ddl = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(ddl)


def downgrade() -> None:
    op.execute("ALTER TABLE reconcile_progress DROP COLUMN walk_change")
    op.execute("DROP TABLE redis_seen")
