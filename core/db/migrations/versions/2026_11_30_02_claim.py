"""routing: what a worker's directory holds (languages, pool, cluster, cool-off, counts), the note of every change of it,
organisations' lists of people, and why somebody was chosen"""

import sqlalchemy as sa
from alembic import op

from core.db import routing_triggers

revision = "2026_11_30_02"
down_revision = "2026_11_30_14"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("languages", sa.Text(), server_default=sa.text("'[]'"), nullable=False))
    op.add_column("workers", sa.Column("cluster_id", sa.Text(), nullable=True))
    op.add_column("workers", sa.Column("expert", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("workers", sa.Column("cool_off_until", sa.BigInteger(), nullable=True))
    op.add_column("workers", sa.Column("usual_seconds", sa.Integer(), nullable=True))
    for name in ("offers_taken", "offers_missed", "answers"):
        op.add_column("workers", sa.Column(name, sa.Integer(), server_default="0", nullable=False))
    op.add_column("tasks", sa.Column("language", sa.Text(), nullable=True))
    op.create_table(
        "organisation_workers",
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('allow', 'block')", name=op.f("ck_organisation_workers_kind")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_organisation_workers_organisation_id")
        ),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("fk_organisation_workers_worker_id")),
        sa.PrimaryKeyConstraint("organisation_id", "worker_id", name=op.f("pk_organisation_workers")),
    )
    op.create_index("ix_organisation_workers_worker_id", "organisation_workers", ["worker_id"])
    op.create_table(
        "worker_changes",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("hot", sa.Boolean(), nullable=False),
        sa.Column("xid", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_worker_changes")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_worker_changes_xid", "worker_changes", ["xid"])
    op.create_table(
        "routing_decisions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("assignment_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("times", sa.Integer(), server_default="1", nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_routing_decisions")),
    )
    op.create_index("ix_routing_decisions_task_id", "routing_decisions", ["task_id", "id"])
    op.create_index("ix_routing_decisions_decided_at", "routing_decisions", ["decided_at"])
    for statement in routing_triggers.CREATE[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    for statement in routing_triggers.DROP[op.get_bind().dialect.name]:
        op.execute(statement)
    op.drop_table("routing_decisions")
    op.drop_table("worker_changes")
    op.drop_table("organisation_workers")
    op.drop_column("tasks", "language")
    for name in (
        "answers", "offers_missed", "offers_taken", "usual_seconds", "cool_off_until", "expert", "cluster_id",
        "languages",
    ):  # fmt: skip
        op.drop_column("workers", name)
