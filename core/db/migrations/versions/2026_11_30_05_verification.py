"""verification: several answers, decisions, gold, reviews, audits, counters; no payout without a passed verification"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from core.db import payout_guard

revision = "2026_11_30_05"
down_revision = "2026_11_30_07"
branch_labels = None
depends_on = None



def _text(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=null)


def _int(name: str, *, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), server_default=default, nullable=False)


def _time(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=null)


def _float(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Float(), nullable=null)


def upgrade() -> None:
    op.add_column("tasks", _int("answers_max", default="1"))
    op.add_column("verdicts", _float("score", null=True))
    op.add_column("verdicts", _text("evidence", null=True))
    op.create_table(
        "verification_decisions",
        _text("id"),
        _text("task_id"),
        _int("number"),
        _text("record"),
        _text("decision"),
        _text("changes", null=True),
        _time("created_at"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_verification_decisions_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verification_decisions")),
        sa.UniqueConstraint("task_id", "number", name=op.f("uq_verification_decisions_task_id_number")),
    )
    _gold()
    _reviews()
    for statement in payout_guard.CREATE[op.get_bind().dialect.name]:
        op.execute(statement)


def _gold() -> None:
    op.create_table(
        "gold_items",
        _text("id"),
        _text("task_type"),
        _text("environment"),
        _text("payload"),
        _text("output_schema"),
        _text("answer"),
        _text("state"),
        _int("exposures", default="0"),
        _int("most_exposures"),
        _text("author"),
        _text("note", null=True),
        _text("source_task_id", null=True),
        _time("created_at"),
        _time("retired_at", null=True),
        sa.ForeignKeyConstraint(["source_task_id"], ["tasks.id"], name=op.f("fk_gold_items_source_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gold_items")),
        sa.UniqueConstraint("source_task_id", name=op.f("uq_gold_items_source_task_id")),
    )
    op.create_index("ix_gold_items_task_type", "gold_items", ["task_type", "environment", "state"])
    op.create_table(
        "gold_exposures",
        _text("id"),
        _text("gold_id"),
        _text("worker_id"),
        _text("task_id"),
        _text("state"),
        _float("right_share", null=True),
        _time("created_at"),
        _time("judged_at", null=True),
        _text("dispute", null=True),
        sa.ForeignKeyConstraint(["gold_id"], ["gold_items.id"], name=op.f("fk_gold_exposures_gold_id")),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("fk_gold_exposures_worker_id")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_gold_exposures_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gold_exposures")),
        sa.UniqueConstraint("gold_id", "worker_id", name=op.f("uq_gold_exposures_gold_id_worker_id")),
        sa.UniqueConstraint("task_id", name=op.f("uq_gold_exposures_task_id")),
    )
    op.create_index("ix_gold_exposures_worker_id", "gold_exposures", ["worker_id", "id"])


def _reviews() -> None:
    op.create_table(
        "reviews",
        _text("id"),
        _text("kind"),
        _text("subject"),
        _text("task_id"),
        _text("state"),
        _text("why"),
        _text("said", null=True),
        _text("not_by"),
        _time("opened_at"),
        _time("due_at"),
        _time("decided_at", null=True),
        _text("decided_by", null=True),
        _text("outcome", null=True),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_reviews_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_reviews_kind_subject")),
    )
    still = sa.text("state = 'open'")
    op.create_index("ix_reviews_open", "reviews", ["due_at"], postgresql_where=still, sqlite_where=still)
    op.create_index("ix_reviews_task_id", "reviews", ["task_id"])
    op.create_table(
        "verification_audits",
        _text("id"),
        _text("task_type"),
        _text("environment"),
        _text("task_id"),
        _float("confidence"),
        _float("chance"),
        _int("right_answer"),
        _time("created_at"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_verification_audits_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verification_audits")),
        sa.UniqueConstraint("task_id", name=op.f("uq_verification_audits_task_id")),
    )
    op.create_index(
        "ix_verification_audits_task_type", "verification_audits", ["task_type", "environment", "id"]
    )
    op.create_table(
        "consensus_counters",
        _text("task_type"),
        _text("environment"),
        _text("owner"),
        _text("key"),
        _text("field"),
        _text("truth"),
        _text("answer"),
        _float("value"),
        sa.PrimaryKeyConstraint(
            "task_type", "environment", "owner", "key", name=op.f("pk_consensus_counters")
        ),
    )


def downgrade() -> None:
    """Open reviews and the record of decisions are lost; money is not touched."""
    dialect = op.get_bind().dialect.name
    for statement in payout_guard.DROP[dialect]:
        op.execute(statement)
    for name in (
        "consensus_counters",
        "verification_audits",
        "reviews",
        "gold_exposures",
        "gold_items",
        "verification_decisions",
    ):
        op.drop_table(name)
    op.drop_column("verdicts", "evidence")
    op.drop_column("verdicts", "score")
    op.drop_column("tasks", "answers_max")
