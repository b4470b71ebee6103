"""money: transfers of two phases, the chain, rates, bank accounts and batches, controls, top-ups, statements"""

import sqlalchemy as sa
from alembic import op

from core.db import ledger_phases

revision = "2026_11_24_02"
down_revision = "2026_11_24_01"
branch_labels = None
depends_on = None

_OPEN = sa.text("removed_at IS NULL")


def upgrade() -> None:
    _ledger()
    _payouts()
    _billing()


def _ledger() -> None:
    op.add_column(
        "ledger_accounts",
        sa.Column("debits_pending_msat", sa.BigInteger(), server_default="0", nullable=False),
    )
    op.add_column(
        "ledger_accounts",
        sa.Column("credits_pending_msat", sa.BigInteger(), server_default="0", nullable=False),
    )
    op.add_column("ledger_transfers", sa.Column("phase", sa.Text(), server_default="single", nullable=False))
    op.add_column("ledger_transfers", sa.Column("pending_id", sa.Text(), nullable=True))
    op.create_index("uq_ledger_transfers_pending_id", "ledger_transfers", ["pending_id"], unique=True)
    op.create_index("ix_ledger_transfers_created_at", "ledger_transfers", ["created_at", "id"])
    op.create_table(
        "ledger_chain",
        sa.Column("number", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("transfer_id", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_ledger_chain")),
        sa.UniqueConstraint("transfer_id", name=op.f("uq_ledger_chain_transfer_id")),
    )
    for statement in ledger_phases.CREATE[op.get_bind().dialect.name]:
        op.execute(statement)
    _hold_what_is_on_its_way()


def _hold_what_is_on_its_way() -> None:
    """A payout on its way had moved its amount into clearing; from now on the amount is held there until it settles."""
    columns = "id, debit_account, credit_account, amount_msat, kind, subject, created_at, phase"
    living = "FROM payout_attempts a JOIN payouts p ON p.id = a.payout_id WHERE a.state IN ('ready', 'sending', 'unknown')"
    clearing, payable = "'hub:' || p.environment || ':clearing'", "p.worker_id || ':payable'"
    network = "'hub:' || p.environment || ':network_fees'"
    # The former code opened it with the first fee that was paid, which there need not have been.
    op.get_bind().exec_driver_sql(
        f"INSERT INTO ledger_accounts (id, kind, created_at) SELECT {network}, 'network_fees', min(a.created_at) "  # noqa: S608 - text of ours
        f"{living} GROUP BY p.environment ON CONFLICT (id) DO NOTHING"
    )
    for name, kind, debit, credit, amount, phase in (
        ("return", "return", clearing, payable, "a.amount_msat", "single"),
        ("send", "send", payable, clearing, "a.amount_msat", "pend"),
        ("fee", "fee_limit", network, clearing, "a.max_fee_msat", "pend"),
    ):
        op.get_bind().exec_driver_sql(  # colons are of account names, not of parameters
            f"INSERT INTO ledger_transfers ({columns}) SELECT 'payout:' || p.id || ':{name}:' || a.number, "  # noqa: S608 - text of ours
            f"{debit}, {credit}, {amount}, '{kind}', p.id, a.created_at, '{phase}' {living}"
        )


def _payouts() -> None:
    op.add_column("payouts", sa.Column("invoice", sa.Text(), nullable=True))
    op.add_column("payouts", sa.Column("rate_samples", sa.Text(), nullable=True))
    op.add_column("payouts", sa.Column("spread_msat", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("payouts", sa.Column("remainder_msat", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("tasks", sa.Column("spread_msat", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column(
        "payout_attempts", sa.Column("reference", sa.Text(), server_default=sa.text("''"), nullable=False)
    )
    op.add_column("payout_attempts", sa.Column("cents", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("payout_attempts", sa.Column("bank_account_id", sa.Text(), nullable=True))
    op.add_column("payout_attempts", sa.Column("batch_id", sa.Text(), nullable=True))
    op.create_index("ix_payout_attempts_state", "payout_attempts", ["state", "id"])
    op.create_index("ix_payout_attempts_reference", "payout_attempts", ["rail", "reference"])
    op.create_index("ix_payouts_state", "payouts", ["state", "id"])
    op.add_column("workers", sa.Column("payout_address_usable_at", sa.BigInteger(), nullable=True))
    op.create_table(
        "bank_accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("worker_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("usable_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"], name=op.f("fk_bank_accounts_worker_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_accounts")),
    )
    op.create_index(
        "uq_bank_accounts_worker",
        "bank_accounts",
        ["worker_id"],
        unique=True,
        postgresql_where=_OPEN,
        sqlite_where=_OPEN,
    )
    op.create_table(
        "bank_batches",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("payments", sa.Integer(), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_by", sa.Text(), nullable=True),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_batches")),
    )
    op.create_table(
        "payout_controls",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("subject", "cause", name=op.f("pk_payout_controls")),
    )
    op.create_table(
        "reconciliations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("rail", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.Column("payments", sa.Integer(), nullable=False),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliations")),
    )
    op.create_index("ix_reconciliations_rail", "reconciliations", ["rail", "id"])
    op.create_table(
        "explained_payments",
        sa.Column("rail", sa.Text(), nullable=False),
        sa.Column("payment_hash", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("rail", "payment_hash", name=op.f("pk_explained_payments")),
    )
    op.create_table(
        "rates",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("usd_per_btc", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("samples", sa.Text(), nullable=False),
        sa.Column("refusal", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rates")),
    )


def _billing() -> None:
    op.create_table(
        "top_ups",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("rail", sa.Text(), nullable=False),
        sa.Column("invoice", sa.Text(), nullable=False),
        sa.Column("payment_hash", sa.Text(), nullable=False),
        sa.Column("amount_msat", sa.BigInteger(), nullable=False),
        sa.Column("received_msat", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("paid_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_top_ups_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_top_ups")),
        sa.UniqueConstraint("payment_hash", name=op.f("uq_top_ups_payment_hash")),
    )
    op.create_index("ix_top_ups_organisation_id", "top_ups", ["organisation_id", "environment", "id"])
    op.create_table(
        "billing_statements",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_billing_statements_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_statements")),
        sa.UniqueConstraint(
            "organisation_id",
            "environment",
            "month",
            name=op.f("uq_billing_statements_organisation_id_environment_month"),
        ),
    )


def downgrade() -> None:
    """Only before the first transfer of two phases: the former ledger would count a pend, and what resolves it, as two
    movements of money, and transfers cannot be taken out."""
    phased = "SELECT count(*) FROM ledger_transfers WHERE phase <> 'single'"
    if op.get_bind().exec_driver_sql(phased).scalar_one():
        raise RuntimeError(
            "the ledger holds transfers of two phases: there is no way back but a backup from before"
        )
    for name in (
        "billing_statements",
        "top_ups",
        "rates",
        "explained_payments",
        "reconciliations",
        "payout_controls",
        "bank_batches",
        "bank_accounts",
        "ledger_chain",
    ):
        op.drop_table(name)
    op.drop_column("workers", "payout_address_usable_at")
    op.drop_index("ix_payouts_state", "payouts")
    op.drop_index("ix_payout_attempts_reference", "payout_attempts")
    op.drop_index("ix_payout_attempts_state", "payout_attempts")
    for column in ("batch_id", "bank_account_id", "cents", "reference"):
        op.drop_column("payout_attempts", column)
    op.drop_column("tasks", "spread_msat")
    for column in ("remainder_msat", "spread_msat", "rate_samples", "invoice"):
        op.drop_column("payouts", column)
    dialect = op.get_bind().dialect.name
    for statement in ledger_phases.DROP[dialect]:
        op.execute(statement)
    op.drop_index("ix_ledger_transfers_created_at", "ledger_transfers")
    op.drop_index("uq_ledger_transfers_pending_id", "ledger_transfers")
    op.drop_column("ledger_transfers", "pending_id")
    op.drop_column("ledger_transfers", "phase")
    op.drop_column("ledger_accounts", "credits_pending_msat")
    op.drop_column("ledger_accounts", "debits_pending_msat")
