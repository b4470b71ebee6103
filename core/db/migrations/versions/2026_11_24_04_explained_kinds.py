"""explained payments: which findings about a payment were explained, so that a worse one is not silenced by it"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_24_04"
down_revision = "2026_11_24_03"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "explained_payments", sa.Column("kinds", sa.Text(), server_default=sa.text("''"), nullable=False)
    )


def downgrade() -> None:
    op.drop_column("explained_payments", "kinds")
