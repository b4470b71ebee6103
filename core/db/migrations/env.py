"""Alembic's entry: runs the migrations on the connection that `core/db/migrate.py` hands over."""

from __future__ import annotations

from alembic import context

from core.db.metadata import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot ALTER a constraint
    transaction_per_migration=True,
    compare_type=False,
)
with context.begin_transaction():
    context.run_migrations()
