"""The ledger's rules since transfers have two phases, as DDL for both databases. Used by the migration `2026_11_24_02`.

A transfer is `single` (moves at once), `pend` (holds an amount on both accounts without moving it), `post` (moves at
most what its pend held; the rest returns) or `void` (gives all of it back). The model is TigerBeetle's. The database
keeps: a pend is resolved at most once (unique `pending_id`), by a transfer between the same two accounts and for no more
than it held; what is held counts against the floor; transfers and the chain are never changed."""

from __future__ import annotations

_MOVED = "CASE WHEN NEW.phase IN ('single', 'post') THEN NEW.amount_msat ELSE 0 END"
_HELD = """CASE NEW.phase WHEN 'single' THEN 0 WHEN 'pend' THEN NEW.amount_msat
        ELSE -(SELECT p.amount_msat FROM ledger_transfers p WHERE p.id = NEW.pending_id) END"""
_ADD_UP = f"""
    UPDATE ledger_accounts SET debits_msat = debits_msat + {_MOVED}, debits_pending_msat = debits_pending_msat + {_HELD}
        WHERE id = NEW.debit_account;
    UPDATE ledger_accounts SET credits_msat = credits_msat + {_MOVED}, credits_pending_msat = credits_pending_msat + {_HELD}
        WHERE id = NEW.credit_account;
"""  # noqa: S608 - text of ours
_NO_PHASE = """NEW.phase NOT IN ('single', 'pend', 'post', 'void')
        OR (NEW.phase IN ('post', 'void')) <> (NEW.pending_id IS NOT NULL)"""
_NO_PEND = """NEW.pending_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM ledger_transfers p WHERE p.id = NEW.pending_id AND p.phase = 'pend'
        AND p.debit_account = NEW.debit_account AND p.credit_account = NEW.credit_account
        AND (NEW.amount_msat = p.amount_msat OR (NEW.phase = 'post' AND NEW.amount_msat < p.amount_msat)))"""
_OVERDRAWN = """SELECT 1 FROM ledger_accounts WHERE id = NEW.debit_account
        AND credits_msat - debits_msat - debits_pending_msat < floor_msat"""
_FLOOR = "ck_ledger_accounts_floor"  # the name that the constraint has too, see core/ledger/post.py

CREATE = {
    "sqlite": (
        "DROP TRIGGER ledger_transfers_apply",
        f"""CREATE TRIGGER ledger_transfers_apply AFTER INSERT ON ledger_transfers BEGIN
    SELECT RAISE(ABORT, 'ledger_phase: no such phase') WHERE {_NO_PHASE};
    SELECT RAISE(ABORT, 'ledger_phase: nothing is held for this') WHERE {_NO_PEND};
    {_ADD_UP}
    SELECT RAISE(ABORT, '{_FLOOR}') WHERE NEW.phase IN ('single', 'pend') AND EXISTS ({_OVERDRAWN});
END""",
        *(
            f"""CREATE TRIGGER ledger_chain_no_{verb.lower()} BEFORE {verb} ON ledger_chain
    BEGIN SELECT RAISE(ABORT, 'ledger_chain is append only'); END"""
            for verb in ("UPDATE", "DELETE")
        ),
    ),
    "postgresql": (
        f"""CREATE OR REPLACE FUNCTION ledger_apply() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.phase <> 'single' OR NEW.pending_id IS NOT NULL THEN
        IF {_NO_PHASE} THEN RAISE EXCEPTION 'ledger_phase: no such phase' USING ERRCODE = 'check_violation'; END IF;
        IF {_NO_PEND} THEN
            RAISE EXCEPTION 'ledger_phase: nothing is held for this' USING ERRCODE = 'check_violation'; END IF;
    END IF;
    {_ADD_UP}
    IF NEW.phase IN ('single', 'pend') AND EXISTS ({_OVERDRAWN}) THEN
        RAISE EXCEPTION '{_FLOOR}' USING ERRCODE = 'check_violation'; END IF;
    RETURN NEW;
END $$""",
        (
            "CREATE TRIGGER ledger_chain_append_only BEFORE UPDATE OR DELETE ON ledger_chain "
            "FOR EACH ROW EXECUTE FUNCTION ledger_refuse()"
        ),
        (
            "CREATE TRIGGER ledger_chain_no_truncate BEFORE TRUNCATE ON ledger_chain "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse()"
        ),
    ),
}

_SINGLE = """
    UPDATE ledger_accounts SET debits_msat = debits_msat + NEW.amount_msat WHERE id = NEW.debit_account;
    UPDATE ledger_accounts SET credits_msat = credits_msat + NEW.amount_msat WHERE id = NEW.credit_account;
"""

# Back to transfers of one phase: the text of the first migration's trigger.
DROP = {
    "sqlite": (
        "DROP TRIGGER ledger_transfers_apply",
        f"CREATE TRIGGER ledger_transfers_apply AFTER INSERT ON ledger_transfers BEGIN {_SINGLE} END",
    ),
    "postgresql": (
        f"CREATE OR REPLACE FUNCTION ledger_apply() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_SINGLE} RETURN NEW; END $$",
    ),
}
