"""routing: routers follow what is judged of a worker at a task type"""

from alembic import op

from core.db import routing_triggers

revision = "2026_11_30_10"
down_revision = "2026_11_30_16"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in routing_triggers.CREATE_RECORDS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    for statement in routing_triggers.DROP_RECORDS[op.get_bind().dialect.name]:
        op.execute(statement)
