"""Our webhook endpoint at Stripe, its rotations and upgrades, and what a shadow one delivers."""

from pathlib import Path

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ddl = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(ddl)


def downgrade() -> None:
    for table in ("shadow_differences", "shadow_events", "endpoint_changes", "own_endpoint"):
        op.execute(f"DROP TABLE {table}")
