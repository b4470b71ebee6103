"""people: records of reliability, tiers, suspensions and appeals, quizzes, availability, invitations, extensions"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_30_03"
down_revision = "2026_11_30_01"
branch_labels = None
depends_on = None

_IN_FORCE = sa.text("state = 'in_force'")
_OPEN = sa.text("state = 'open'")


def upgrade() -> None:
    op.add_column(
        "workers", sa.Column("auto_assign", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column(
        "worker_skills", sa.Column("granted_by", sa.Text(), server_default="operator", nullable=False)
    )
    op.add_column("worker_skills", sa.Column("granted_at", sa.BigInteger(), nullable=True))
    op.add_column("worker_skills", sa.Column("lapses_at", sa.BigInteger(), nullable=True))
    op.add_column("assignments", sa.Column("extended_from", sa.BigInteger(), nullable=True))
    _records()
    _settings()
    _suspensions()
    _quizzes()
    _invitations()


def _records() -> None:
    floats = ("good", "bad", "seen", "seen_right")
    counts = ("gold_seen", "gold_right", "qa_seen", "qa_agreed", "answers")
    op.create_table(
        "worker_records",
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("task_type", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Float(), server_default="0", nullable=False) for name in floats),
        *(sa.Column(name, sa.Integer(), server_default="0", nullable=False) for name in counts),
        sa.Column("cusum", sa.Float(), server_default="0", nullable=False),
        sa.Column("alarmed_at", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("fk_worker_records_worker_id")),
        sa.PrimaryKeyConstraint("worker_id", "task_type", name=op.f("pk_worker_records")),
    )
    op.create_table(
        "worker_record_months",
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("task_type", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("right_weight", sa.Float(), server_default="0", nullable=False),
        sa.Column("weight", sa.Float(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["worker_id"], ["workers.id"], name=op.f("fk_worker_record_months_worker_id")
        ),
        sa.PrimaryKeyConstraint("worker_id", "task_type", "month", name=op.f("pk_worker_record_months")),
    )


def _settings() -> None:
    op.create_table(
        "worker_settings",
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("wants_work", sa.Boolean(), nullable=False),
        sa.Column("paused_because", sa.Text(), nullable=True),
        sa.Column("timezone", sa.Text(), server_default="UTC", nullable=False),
        *(
            sa.Column(name, sa.Text(), server_default="[]", nullable=False)
            for name in ("hours", "wanted_skills")
        ),
        *(
            sa.Column(name, sa.Integer(), server_default="0", nullable=False)
            for name in ("hours_version", "declined_in_a_row", "tier_floor")
        ),
        sa.Column("tier_floor_until", sa.BigInteger(), nullable=True),
        sa.Column("terms", sa.Text(), nullable=True),
        sa.Column("terms_accepted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("fk_worker_settings_worker_id")),
        sa.PrimaryKeyConstraint("worker_id", name=op.f("pk_worker_settings")),
    )
    op.create_table(
        "tier_changes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("from_tier", sa.Integer(), nullable=False),
        sa.Column("to_tier", sa.Integer(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("fk_tier_changes_worker_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tier_changes")),
    )
    op.create_index("ix_tier_changes_worker", "tier_changes", ["worker_id", "id"])


def _suspensions() -> None:
    op.create_table(
        "suspensions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("lifted_by", sa.Text(), nullable=True),
        sa.Column("lifted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("fk_suspensions_worker_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suspensions")),
    )
    op.create_index(
        "uq_suspensions_in_force",
        "suspensions",
        ["worker_id"],
        unique=True,
        postgresql_where=_IN_FORCE,
        sqlite_where=_IN_FORCE,
    )
    op.create_index("ix_suspensions_worker", "suspensions", ["worker_id", "id"])
    op.create_table(
        "worker_appeals",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=False),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("about", "subject", "against", "state", "text")
        ),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("fk_worker_appeals_worker_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker_appeals")),
        sa.UniqueConstraint("subject", name=op.f("uq_worker_appeals_subject")),
    )
    op.create_index("ix_worker_appeals_worker", "worker_appeals", ["worker_id", "id"])
    op.create_index("ix_worker_appeals_state", "worker_appeals", ["state", "due_at"])


def _quizzes() -> None:
    op.create_table(
        "quiz_attempts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("skill", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("questions", sa.Text(), nullable=False),
        sa.Column("answers", sa.Text(), nullable=True),
        sa.Column("right_count", sa.Integer(), nullable=True),
        sa.Column("needed", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("fk_quiz_attempts_worker_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quiz_attempts")),
    )
    op.create_index(
        "uq_quiz_attempts_open",
        "quiz_attempts",
        ["worker_id", "skill"],
        unique=True,
        postgresql_where=_OPEN,
        sqlite_where=_OPEN,
    )
    op.create_index("ix_quiz_attempts_worker", "quiz_attempts", ["worker_id", "skill", "id"])


def _invitations() -> None:
    op.create_table(
        "invitations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("skills", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("used_by", sa.Text(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["used_by"], ["people.id"], name=op.f("fk_invitations_used_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("digest", name=op.f("uq_invitations_digest")),
    )
    op.create_index("ix_invitations_email", "invitations", ["email"])


def downgrade() -> None:
    for table in (
        "invitations",
        "quiz_attempts",
        "worker_appeals",
        "suspensions",
        "tier_changes",
        "worker_settings",
        "worker_record_months",
        "worker_records",
    ):
        op.drop_table(table)
    op.drop_column("assignments", "extended_from")
    for column in ("lapses_at", "granted_at", "granted_by"):
        op.drop_column("worker_skills", column)
    op.drop_column("workers", "auto_assign")
