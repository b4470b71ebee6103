"""holds: pay that waits until somebody has looked at a marked worker; a task tells all its payments, and a correction"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_30_09"
down_revision = "2026_11_30_10"
branch_labels = None
depends_on = None

_OPEN = sa.text("ended_at IS NULL")


def upgrade() -> None:
    op.add_column("worker_marks", sa.Column("confirmed_at", sa.BigInteger(), nullable=True))
    op.add_column("tasks", sa.Column("payout_results", sa.Text(), nullable=True))
    op.add_column("tasks", sa.Column("correction", sa.Text(), nullable=True))
    op.add_column("verification_runs", sa.Column("gold_draw", sa.Text(), nullable=True))
    op.create_table(
        "payout_holds",
        sa.Column("payout_id", sa.Text(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["payout_id"], ["payouts.id"], name=op.f("fk_payout_holds_payout_id")),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("fk_payout_holds_worker_id")),
        sa.PrimaryKeyConstraint("payout_id", name=op.f("pk_payout_holds")),
    )
    op.create_index(
        "ix_payout_holds_open",
        "payout_holds",
        ["worker_id"],
        postgresql_where=_OPEN,
        sqlite_where=_OPEN,
    )


def downgrade() -> None:
    op.drop_table("payout_holds")
    op.drop_column("verification_runs", "gold_draw")
    op.drop_column("tasks", "correction")
    op.drop_column("tasks", "payout_results")
    op.drop_column("worker_marks", "confirmed_at")
