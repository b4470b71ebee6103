"""receipts: signed, in a chain, never changed; and the keys that sign them"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_30_06"
down_revision = "2026_11_24_04"
branch_labels = None
depends_on = None

_SQLITE = tuple(
    f"CREATE TRIGGER receipts_no_{verb.lower()} BEFORE {verb} ON receipts "
    "BEGIN SELECT RAISE(ABORT, 'receipts is append only'); END"
    for verb in ("UPDATE", "DELETE")
)
_POSTGRESQL = (  # the function is the ledger's
    "CREATE TRIGGER receipts_append_only BEFORE UPDATE OR DELETE ON receipts "
    "FOR EACH ROW EXECUTE FUNCTION ledger_refuse()",
    "CREATE TRIGGER receipts_no_truncate BEFORE TRUNCATE ON receipts "
    "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()",
)


def upgrade() -> None:
    op.create_table(
        "receipt_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("public", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipt_keys")),
    )
    op.create_table(
        "receipts",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_receipts_task_id")),
        sa.ForeignKeyConstraint(["key_id"], ["receipt_keys.id"], name=op.f("fk_receipts_key_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_receipts")),
        sa.UniqueConstraint("id", name=op.f("uq_receipts_id")),
        sa.UniqueConstraint("subject", name=op.f("uq_receipts_subject")),
        sa.UniqueConstraint("previous", name=op.f("uq_receipts_previous")),
        sa.UniqueConstraint("hash", name=op.f("uq_receipts_hash")),
    )
    op.create_index("ix_receipts_task_id", "receipts", ["task_id", "number"])
    op.add_column("tasks", sa.Column("receipt_id", sa.Text(), nullable=True))
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    op.drop_column("tasks", "receipt_id")
    op.drop_table("receipts")  # its triggers go with it
    op.drop_table("receipt_keys")
