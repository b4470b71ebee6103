"""sends: how often an attempt was sent, which decides when its failure is final"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_30_07"
down_revision = "2026_11_30_03"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("payout_attempts", sa.Column("sends", sa.Integer(), server_default="0", nullable=False))
    op.execute("UPDATE payout_attempts SET sends = 2 WHERE sent_at IS NOT NULL")  # how often nobody counted


def downgrade() -> None:
    op.drop_column("payout_attempts", "sends")
