"""What people do by hand: no entry names an empty event, and an adjustment finds its entry."""

from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ddl = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(ddl)


def downgrade() -> None:
    op.execute("DROP INDEX ledger_entries_of_adjustments")
    op.execute("ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_event_is_named")
