"""anomaly: what is remembered of workers, what the form noticed, pairs, marks"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_30_16"
down_revision = "2026_11_30_05"
branch_labels = None
depends_on = None

_OPEN = sa.text("closed_at IS NULL")
_ENDED = sa.text("ended_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "anomaly_memories",
        sa.Column("task_type", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("memory", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task_type", "environment", "owner", name=op.f("pk_anomaly_memories")),
    )
    op.create_index("ix_anomaly_memories_updated_at", "anomaly_memories", ["updated_at"])
    op.create_table(
        "answer_signals",
        sa.Column("assignment_id", sa.Text(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("noticed", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignments.id"], name=op.f("fk_answer_signals_assignment_id")
        ),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("fk_answer_signals_worker_id")),
        sa.PrimaryKeyConstraint("assignment_id", name=op.f("pk_answer_signals")),
    )
    op.create_index("ix_answer_signals_device", "answer_signals", ["device", "worker_id"])
    op.create_table(
        "worker_pairs",
        sa.Column("first", sa.Text(), nullable=False),
        sa.Column("second", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("common", sa.Integer(), nullable=False),
        sa.Column("agreed", sa.Integer(), nullable=False),
        sa.Column("expected", sa.Float(), nullable=False),
        sa.Column("variance", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("first", "second", "environment", name=op.f("pk_worker_pairs")),
    )
    op.create_index("ix_worker_pairs_updated_at", "worker_pairs", ["updated_at"])
    _marks()
    op.create_table(
        "anomaly_progress",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_anomaly_progress")),
    )
    op.create_index(
        "ix_tasks_ended_at", "tasks", ["ended_at", "id"], postgresql_where=_ENDED, sqlite_where=_ENDED
    )


def _marks() -> None:
    op.create_table(
        "worker_marks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("task_type", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("p_value", sa.Float(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("fk_worker_marks_worker_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker_marks")),
    )
    op.create_index(
        "uq_worker_marks_open",
        "worker_marks",
        ["worker_id", "kind", "task_type"],
        unique=True,
        postgresql_where=_OPEN,
        sqlite_where=_OPEN,
    )


def downgrade() -> None:
    op.drop_index("ix_tasks_ended_at", table_name="tasks")
    for table in ("anomaly_progress", "worker_marks", "worker_pairs", "answer_signals", "anomaly_memories"):
        op.drop_table(table)
