"""workers: what a worker's alarm compares with, apart from the answers that are under suspicion"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_30_26"
down_revision = "2026_11_30_09"
branch_labels = None
depends_on = None

_NEW = ("alarm_right", "alarm_seen", "calm_right", "calm_seen")


def upgrade() -> None:
    for name in _NEW:
        op.add_column("worker_records", sa.Column(name, sa.Float(), server_default="0", nullable=False))
    op.execute(
        "UPDATE worker_records SET alarm_right = seen_right, alarm_seen = seen, calm_right = seen_right, calm_seen = seen, "
        "cusum = 0"
    )


def downgrade() -> None:
    for name in reversed(_NEW):
        op.drop_column("worker_records", name)
