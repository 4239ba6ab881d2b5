"""What a payment is worth: payers' names, what subscriptions sold, credit notes, loose ends."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ddl = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(ddl)


def downgrade() -> None:
    op.get_bind().exec_driver_sql(
        """
        DROP TABLE credit_notes;
        ALTER TABLE disputes DROP COLUMN currency;
        ALTER TABLE payments
            DROP COLUMN credited_minor, DROP COLUMN note, DROP COLUMN loose_ends,
            DROP COLUMN question, DROP COLUMN question_subject;
        ALTER TABLE subscriptions
            DROP COLUMN named_plan_id, DROP COLUMN named_plan_created, DROP COLUMN sold,
            DROP COLUMN pause_collection;
        ALTER TABLE customers DROP COLUMN alias_ids;
        """
    )
