"""routing: a decision is written as it is; compressing its two kB took PostgreSQL longer than writing them"""

from alembic import op

revision = "2026_12_01_57"
down_revision = "2026_11_30_56"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE routing_decisions SET (toast_tuple_target = 4096)")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE routing_decisions RESET (toast_tuple_target)")
