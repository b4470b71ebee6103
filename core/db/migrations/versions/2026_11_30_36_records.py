"""verification: how sure an answer is, beside it; what money and decisions rest on is kept by the database"""

import sqlalchemy as sa
from alembic import op

from core.db import record_guard

revision = "2026_11_30_36"
down_revision = "2026_11_30_26"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tasks", sa.Column("verification", sa.Text(), nullable=True))
    for statement in record_guard.CREATE[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    for statement in record_guard.DROP[op.get_bind().dialect.name]:
        op.execute(statement)
    op.drop_column("tasks", "verification")
