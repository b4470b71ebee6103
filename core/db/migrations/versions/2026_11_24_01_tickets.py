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
    """A row held one text; it holds the actions of its step now. No batch: Alembic's copy of a SQLite table writes its
    constraints in the order of a set, another one each time."""
    op.add_column("replies", sa.Column("position", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("replies", sa.Column("actions", sa.Text(), nullable=False, server_default="[]"))
    as_json = "to_json(text)::text" if op.get_bind().dialect.name == "postgresql" else "json_quote(text)"
    op.execute(f"""UPDATE replies SET actions = '[{{"kind":"note","body":' || {as_json} || '}}]'""")  # noqa: S608 - text of ours
    op.drop_column("replies", "text")
    op.create_index("ix_replies_ticket", "replies", ["connector", "ticket_id", "state"])
    op.create_index("ix_replies_vendor_id", "replies", ["connector", "vendor_id"])


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
    op.drop_index("ix_replies_vendor_id", "replies")
    op.drop_index("ix_replies_ticket", "replies")
    if op.get_bind().dialect.name == "postgresql":
        op.add_column("replies", sa.Column("text", sa.Text(), nullable=False, server_default=""))
        op.execute("UPDATE replies SET text = coalesce((actions::json -> 0) ->> 'body', '')")
        op.alter_column("replies", "text", server_default=None)
        op.drop_column("replies", "actions")
        op.drop_column("replies", "position")
    else:
        _replies_before()


def _replies_before() -> None:
    """The table as it was, its columns in their old order; made anew and not renamed, which SQLite would write down."""
    kept = "id, task_id, step, connector, ticket_id, marker, text, state, attempts, vendor_id, error, created_at, sent_at, delivered_at"
    text = "coalesce(json_extract(actions, '$[0].body'), '') AS text"
    op.execute(f"CREATE TEMP TABLE kept AS SELECT {kept.replace('text', text)} FROM replies")  # noqa: S608 - text of ours
    op.drop_table("replies")
    op.create_table(
        "replies",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("ticket_id", sa.Text(), nullable=False),
        sa.Column("marker", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("vendor_id", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_replies_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replies")),
        sa.UniqueConstraint("marker", name=op.f("uq_replies_marker")),
        sa.UniqueConstraint("task_id", "step", name=op.f("uq_replies_task_id_step")),
    )
    op.execute(f"INSERT INTO replies ({kept}) SELECT {kept} FROM kept")  # noqa: S608 - text of ours
    op.execute("DROP TABLE kept")
