"""gold: what is owed to a worker whose hands were full"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_30_46"
down_revision = "2026_11_30_36"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("gold_owed", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("workers", "gold_owed")
