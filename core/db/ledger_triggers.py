"""The rules of the ledger that the database itself keeps, as DDL for both databases. Used by the first migration."""

from __future__ import annotations

_APPLY = """
    UPDATE ledger_accounts SET debits_msat = debits_msat + NEW.amount_msat WHERE id = NEW.debit_account;
    UPDATE ledger_accounts SET credits_msat = credits_msat + NEW.amount_msat WHERE id = NEW.credit_account;
"""

CREATE = {
    "sqlite": (
        f"CREATE TRIGGER ledger_transfers_apply AFTER INSERT ON ledger_transfers BEGIN {_APPLY} END",
        (
            "CREATE TRIGGER ledger_transfers_no_update BEFORE UPDATE ON ledger_transfers "
            "BEGIN SELECT RAISE(ABORT, 'ledger_transfers is append only'); END"
        ),
        (
            "CREATE TRIGGER ledger_transfers_no_delete BEFORE DELETE ON ledger_transfers "
            "BEGIN SELECT RAISE(ABORT, 'ledger_transfers is append only'); END"
        ),
        (
            "CREATE TRIGGER ledger_accounts_no_delete BEFORE DELETE ON ledger_accounts "
            "BEGIN SELECT RAISE(ABORT, 'a ledger account is never deleted'); END"
        ),
    ),
    "postgresql": (
        f"CREATE FUNCTION ledger_apply() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_APPLY} RETURN NEW; END $$",
        (
            "CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION '% is append only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$"
        ),
        (
            "CREATE TRIGGER ledger_transfers_apply AFTER INSERT ON ledger_transfers "
            "FOR EACH ROW EXECUTE FUNCTION ledger_apply()"
        ),
        (
            "CREATE TRIGGER ledger_transfers_append_only BEFORE UPDATE OR DELETE ON ledger_transfers "
            "FOR EACH ROW EXECUTE FUNCTION ledger_refuse()"
        ),
        (
            "CREATE TRIGGER ledger_transfers_no_truncate BEFORE TRUNCATE ON ledger_transfers "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()"
        ),
        (
            "CREATE TRIGGER ledger_accounts_no_delete BEFORE DELETE ON ledger_accounts "
            "FOR EACH ROW EXECUTE FUNCTION ledger_refuse()"
        ),
    ),
}

DROP = {
    "sqlite": (
        "DROP TRIGGER ledger_transfers_apply",
        "DROP TRIGGER ledger_transfers_no_update",
        "DROP TRIGGER ledger_transfers_no_delete",
        "DROP TRIGGER ledger_accounts_no_delete",
    ),
    "postgresql": (
        "DROP TRIGGER ledger_transfers_apply ON ledger_transfers",
        "DROP TRIGGER ledger_transfers_append_only ON ledger_transfers",
        "DROP TRIGGER ledger_transfers_no_truncate ON ledger_transfers",
        "DROP TRIGGER ledger_accounts_no_delete ON ledger_accounts",
        "DROP FUNCTION ledger_apply()",
        "DROP FUNCTION ledger_refuse()",
    ),
}
