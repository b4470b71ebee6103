"""times: how long answers take, what is expected of each assignment and task, and the budget of backups"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_30_14"
down_revision = "2026_11_30_06"
branch_labels = None
depends_on = None

_POSTED = sa.text("status = 'posted'")


def upgrade() -> None:
    op.create_table(
        "completion_times",
        sa.Column("whose", sa.Text(), nullable=False),
        sa.Column("task_type", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("keep", sa.Float(), nullable=False),
        sa.Column("n", sa.Float(), nullable=False),
        sa.Column("total", sa.Float(), nullable=False),
        sa.Column("square", sa.Float(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("whose", "task_type", "part", name=op.f("pk_completion_times")),
    )
    op.create_table(
        "backup_budgets",
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("skill", sa.Text(), nullable=False),
        sa.Column("counted_at", sa.BigInteger(), nullable=False),
        sa.Column("assigned", sa.Integer(), nullable=False),
        sa.Column("backups", sa.Integer(), nullable=False),
        sa.Column("load", sa.BigInteger(), nullable=False),
        sa.Column("capacity", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("environment", "skill", name=op.f("pk_backup_budgets")),
    )
    for name, kind in (
        ("p50_seconds", sa.Float()),
        ("p90_seconds", sa.Float()),
        ("worry_at", sa.BigInteger()),
        ("woken_at", sa.BigInteger()),
    ):
        op.add_column("assignments", sa.Column(name, kind, nullable=True))
    op.add_column("tasks", sa.Column("p50_at", sa.BigInteger(), nullable=True))
    op.add_column("tasks", sa.Column("p90_at", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_tasks_waiting",
        "tasks",
        ["environment", "expires_at"],
        postgresql_where=_POSTED,
        sqlite_where=_POSTED,
    )


def downgrade() -> None:
    op.drop_index("ix_tasks_waiting", "tasks")
    op.drop_column("tasks", "p90_at")
    op.drop_column("tasks", "p50_at")
    for name in ("woken_at", "worry_at", "p90_seconds", "p50_seconds"):
        op.drop_column("assignments", name)
    op.drop_table("backup_budgets")
    op.drop_table("completion_times")
