"""billing: how many tasks were verified in a month, and the least fee that was agreed with a task"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_24_03"
down_revision = "2026_11_24_02"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tasks", sa.Column("fee_minimum_msat", sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        "verified_counts",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("tasks", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_verified_counts_organisation_id")
        ),
        sa.PrimaryKeyConstraint("organisation_id", "month", name=op.f("pk_verified_counts")),
    )


def downgrade() -> None:
    op.drop_table("verified_counts")
    op.drop_column("tasks", "fee_minimum_msat")
