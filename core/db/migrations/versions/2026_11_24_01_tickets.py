"""tickets: steps of a reply, repair items, quarantine, revisions, messages"""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_24_01"
down_revision = "2026_11_23_01"
branch_labels = None
depends_on = None

_OPEN = sa.text("closed_at IS NULL")


def upgrade() -> None:
    _replies()
    op.create_table(
        "repairs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_repairs")),
    )
    op.create_index(
        "uq_repairs_open",
        "repairs",
        ["subject", "kind"],
        unique=True,
        postgresql_where=_OPEN,
        sqlite_where=_OPEN,
    )
    _intake()


def _replies() -> None:
    """A row held one text; it holds the actions of its step now."""
    with op.batch_alter_table("replies") as batch_op:
        batch_op.add_column(sa.Column("position", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("actions", sa.Text(), nullable=True))
    as_json = (
        "to_json(text)::text" if op.get_bind().dialect.name == "postgresql" else "json_quote(text)"
    )
    op.execute(f"""UPDATE replies SET actions = '[{{"kind":"note","body":' || {as_json} || '}}]'""")  # noqa: S608 - text of ours
    with op.batch_alter_table("replies") as batch_op:
        batch_op.alter_column("actions", existing_type=sa.Text(), nullable=False)
        batch_op.drop_column("text")
        batch_op.create_index("ix_replies_ticket", ["connector", "ticket_id", "state"], unique=False)
        batch_op.create_index("ix_replies_vendor_id", ["connector", "vendor_id"], unique=False)


def _intake() -> None:
    op.create_table(
        "quarantined_deliveries",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("client_ip", sa.Text(), nullable=False),
        sa.Column("path_token", sa.Text(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantined_deliveries")),
    )
    op.create_index("ix_quarantined_deliveries_connector", "quarantined_deliveries", ["connector", "id"])
    op.create_table(
        "ticket_revisions",
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("ticket_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("connector", "ticket_id", name=op.f("pk_ticket_revisions")),
    )
    op.create_table(
        "connector_records",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("vendor", sa.Text(), nullable=False),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.Column("reconciled_to", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connector_records")),
    )
    op.create_table(
        "task_sources",
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("ticket_url", sa.Text(), nullable=True),
        sa.Column("ticket_summary", sa.Text(), nullable=True),
        sa.Column("redacted", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_task_sources_task_id")),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_task_sources")),
    )
    op.create_table(
        "task_messages",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_task_messages_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_messages")),
        sa.UniqueConstraint("task_id", "item_id", name=op.f("uq_task_messages_task_id_item_id")),
    )


def downgrade() -> None:
    for name in (
        "task_messages",
        "task_sources",
        "connector_records",
        "ticket_revisions",
        "quarantined_deliveries",
        "repairs",
    ):
        op.drop_table(name)
    _text_back()
    first = (
        "(actions::json -> 0) ->> 'body'"
        if op.get_bind().dialect.name == "postgresql"
        else "json_extract(actions, '$[0].body')"
    )
    op.execute(f"UPDATE replies SET text = coalesce({first}, '')")  # noqa: S608 - text of ours
    with op.batch_alter_table("replies") as batch_op:
        batch_op.alter_column("text", existing_type=sa.Text(), nullable=False)
        batch_op.drop_index("ix_replies_vendor_id")
        batch_op.drop_index("ix_replies_ticket")
        batch_op.drop_column("actions")
        batch_op.drop_column("position")


def _text_back() -> None:
    """In its old place, where the database can do that."""
    column = sa.Column("text", sa.Text(), nullable=True)
    if op.get_bind().dialect.name == "postgresql":
        op.add_column("replies", column)
        return
    with op.batch_alter_table("replies", recreate="always") as batch_op:
        batch_op.add_column(column, insert_after="marker")
