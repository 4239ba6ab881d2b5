"""The catalogue: periods of any length, currencies that are off sale, prices without tokens.

Going down refuses where a plan has an interval that the older schema does not know.
"""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ddl = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(ddl)


def downgrade() -> None:
    op.execute("DROP TABLE prices_without_tokens")
    op.execute("ALTER TABLE plan_prices DROP COLUMN on_sale")
    op.execute(
        "ALTER TABLE plans DROP CONSTRAINT plans_interval_counted,"
        " DROP CONSTRAINT plans_interval_known, DROP COLUMN interval_count,"
        " ADD CONSTRAINT plans_interval_known CHECK (interval IN ('month', 'year'))"
    )
