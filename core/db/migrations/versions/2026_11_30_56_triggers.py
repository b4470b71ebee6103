"""routing: an update of a worker looks only at the columns that it sets"""

from alembic import op

from core.db import routing_triggers

revision = "2026_11_30_56"
down_revision = "2026_11_30_46"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in routing_triggers.REPLACE[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    """The triggers as they are note the same."""
