"""No money before a passed verification: a payout is written only for a worker whose answer to that task has a passed
run, and only while the database agrees. DDL for both databases; used by a migration, needed by nobody else."""

from __future__ import annotations

_PASSED = """
    SELECT 1 FROM verification_runs r JOIN submissions s ON s.id = r.submission_id
    WHERE r.task_id = NEW.task_id AND s.task_id = NEW.task_id AND s.worker_id = NEW.worker_id AND r.state = 'passed'"""
_MESSAGE = "no payout without a passed verification of this worker''s answer to this task"

CREATE = {
    "sqlite": (
        (
            f"CREATE TRIGGER payouts_need_a_passed_run BEFORE INSERT ON payouts WHEN NOT EXISTS ({_PASSED}) "
            f"BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END"
        ),
        (
            "CREATE TRIGGER payouts_keep_their_answer BEFORE UPDATE OF task_id, worker_id ON payouts "
            "WHEN NEW.task_id <> OLD.task_id OR NEW.worker_id <> OLD.worker_id "
            "BEGIN SELECT RAISE(ABORT, 'a payout stays with its task and its worker'); END"
        ),
        (
            "CREATE TRIGGER ledger_earn_needs_a_payout BEFORE INSERT ON ledger_transfers WHEN NEW.kind = 'earn' "
            "AND NOT EXISTS (SELECT 1 FROM payouts p WHERE p.id = NEW.subject) "
            "BEGIN SELECT RAISE(ABORT, 'nothing is earned without a payout'); END"
        ),
        (
            "CREATE TRIGGER verification_runs_stay_passed BEFORE UPDATE OF state, task_id, submission_id "
            "ON verification_runs WHEN OLD.state = 'passed' AND (NEW.state <> 'passed' OR NEW.task_id <> OLD.task_id "
            "OR NEW.submission_id <> OLD.submission_id) "
            "BEGIN SELECT RAISE(ABORT, 'a passed verification stays as it is'); END"
        ),
    ),
    "postgresql": (
        (
            "CREATE FUNCTION payout_needs_a_passed_run() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF NOT EXISTS ({_PASSED}) THEN RAISE EXCEPTION '{_MESSAGE}' USING ERRCODE = 'check_violation'; END IF; "
            "RETURN NEW; END $$"
        ),
        (
            "CREATE TRIGGER payouts_need_a_passed_run BEFORE INSERT ON payouts "
            "FOR EACH ROW EXECUTE FUNCTION payout_needs_a_passed_run()"
        ),
        (
            "CREATE FUNCTION payout_keeps_its_answer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'a payout stays with its task and its worker' USING ERRCODE = 'check_violation'; END $$"
        ),
        (
            "CREATE TRIGGER payouts_keep_their_answer BEFORE UPDATE OF task_id, worker_id ON payouts FOR EACH ROW "
            "WHEN (NEW.task_id <> OLD.task_id OR NEW.worker_id <> OLD.worker_id) "
            "EXECUTE FUNCTION payout_keeps_its_answer()"
        ),
        (
            "CREATE FUNCTION earn_needs_a_payout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF NOT EXISTS (SELECT 1 FROM payouts p WHERE p.id = NEW.subject) THEN "
            "RAISE EXCEPTION 'nothing is earned without a payout' USING ERRCODE = 'check_violation'; END IF; "
            "RETURN NEW; END $$"
        ),
        (
            "CREATE TRIGGER ledger_earn_needs_a_payout BEFORE INSERT ON ledger_transfers FOR EACH ROW "
            "WHEN (NEW.kind = 'earn') EXECUTE FUNCTION earn_needs_a_payout()"
        ),
        (
            "CREATE FUNCTION verification_stays_passed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'a passed verification stays as it is' USING ERRCODE = 'check_violation'; END $$"
        ),
        (
            "CREATE TRIGGER verification_runs_stay_passed BEFORE UPDATE OF state, task_id, submission_id "
            "ON verification_runs FOR EACH ROW WHEN (OLD.state = 'passed' AND (NEW.state <> 'passed' "
            "OR NEW.task_id <> OLD.task_id OR NEW.submission_id <> OLD.submission_id)) "
            "EXECUTE FUNCTION verification_stays_passed()"
        ),
    ),
}

DROP = {
    "sqlite": (
        "DROP TRIGGER payouts_need_a_passed_run",
        "DROP TRIGGER payouts_keep_their_answer",
        "DROP TRIGGER ledger_earn_needs_a_payout",
        "DROP TRIGGER verification_runs_stay_passed",
    ),
    "postgresql": (
        "DROP TRIGGER payouts_need_a_passed_run ON payouts",
        "DROP FUNCTION payout_needs_a_passed_run()",
        "DROP TRIGGER payouts_keep_their_answer ON payouts",
        "DROP FUNCTION payout_keeps_its_answer()",
        "DROP TRIGGER ledger_earn_needs_a_payout ON ledger_transfers",
        "DROP FUNCTION earn_needs_a_payout()",
        "DROP TRIGGER verification_runs_stay_passed ON verification_runs",
        "DROP FUNCTION verification_stays_passed()",
    ),
}
