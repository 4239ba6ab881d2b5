"""Thin events wait for Stripe's answer; the signature header of every delivery is kept."""

from pathlib import Path

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ddl = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(ddl)


def downgrade() -> None:
    op.execute("DROP TRIGGER webhook_events_signature_fixed ON webhook_events")
    op.execute("ALTER TABLE webhook_events DROP COLUMN signature")
    op.execute("DROP TABLE noticed_objects")
    op.execute("DROP TABLE notices")
