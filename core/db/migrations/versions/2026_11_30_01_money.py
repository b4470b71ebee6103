"""money: what a rail's node holds of the operator's own, so that a change that the books do not explain is seen"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_30_01"
down_revision = "2026_11_30_02"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rail_funds",
        sa.Column("rail", sa.Text(), nullable=False),
        sa.Column("low_msat", sa.BigInteger(), nullable=False),
        sa.Column("high_msat", sa.BigInteger(), nullable=False),
        sa.Column("disputed", sa.Boolean(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("rail", name=op.f("pk_rail_funds")),
    )


def downgrade() -> None:
    op.drop_table("rail_funds")
