"""The outbox: what users and their apps are told of changes, and the destinations that hear."""

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ddl = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(ddl)


def downgrade() -> None:
    op.execute(
        "DROP TABLE destination_resends, destination_users, destinations, outbox, outbox_users"
    )
    op.execute("ALTER TABLE token_accounts DROP COLUMN last_grant")
