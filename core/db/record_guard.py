"""What money and decisions rest on stays as it was written: answers, verdicts, decisions and passed runs; and nothing more is
earned or paid than a payout says, by nobody else than its worker. DDL for both databases; used by a migration, needed by
nobody else. What `payout_guard.py` began."""

from __future__ import annotations

# (trigger, table, event, when, what is told); `when` empty: always.
_RULES = (
    (
        "ledger_earn_is_the_payouts",
        "ledger_transfers",
        "INSERT",
        "NEW.kind = 'earn'",
        """
        SELECT 1 FROM payouts p WHERE p.id = NEW.subject AND NEW.credit_account = p.worker_id || ':' || 'payable'
        AND NEW.amount_msat + (SELECT COALESCE(SUM(t.amount_msat), 0) FROM ledger_transfers t
                               WHERE t.subject = NEW.subject AND t.kind = 'earn') <= p.amount_msat""",
        "nothing is earned without a payout, nor more than it says, nor by somebody else",
    ),
    (
        "payout_attempts_pay_no_more",
        "payout_attempts",
        "INSERT",
        "",
        "SELECT 1 FROM payouts p WHERE p.id = NEW.payout_id AND NEW.amount_msat <= p.amount_msat",
        "an attempt pays no more than was earned",
    ),
    (
        "payouts_keep_their_amount",
        "payouts",
        "UPDATE OF amount_msat",
        "OLD.state <> 'earned' AND NEW.amount_msat <> OLD.amount_msat",
        "",
        "a payout keeps its amount",
    ),
    (
        "verification_runs_passed_are_kept",
        "verification_runs",
        "DELETE",
        "OLD.state = 'passed'",
        "",
        "a passed verification stays as it is",
    ),
    ("verdicts_no_update", "verdicts", "UPDATE", "", "", "a verdict stays as it is"),
    ("verdicts_no_delete", "verdicts", "DELETE", "", "", "a verdict stays as it is"),
    (
        "verification_decisions_no_update",
        "verification_decisions",
        "UPDATE OF id, task_id, number, record, decision, created_at",
        "",
        "",
        "a decision stays as it is",
    ),
    (
        "verification_decisions_no_delete",
        "verification_decisions",
        "DELETE",
        "",
        "",
        "a decision stays as it is",
    ),
    ("submissions_no_update", "submissions", "UPDATE", "", "", "an answer stays as it was given"),
    ("submissions_no_delete", "submissions", "DELETE", "", "", "an answer stays as it was given"),
)


def _sqlite(name: str, table: str, event: str, when: str, needs: str, told: str) -> str:
    conditions = [when, f"NOT EXISTS ({needs})" if needs else ""]
    where = " AND ".join(one for one in conditions if one)
    return (
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} {f'WHEN {where} ' if where else ''}"
        f"BEGIN SELECT RAISE(ABORT, '{told}'); END"
    )


def _postgresql(name: str, table: str, event: str, when: str, needs: str, told: str) -> tuple[str, str]:
    where = f"WHEN ({when}) " if when else ""
    refuse = f"RAISE EXCEPTION '{told}' USING ERRCODE = 'check_violation';"
    body = f"IF NOT EXISTS ({needs}) THEN {refuse} END IF; RETURN NEW;" if needs else refuse
    return (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$",
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW {where}EXECUTE FUNCTION {name}()",
    )


CREATE = {
    "sqlite": tuple(_sqlite(*rule) for rule in _RULES),
    "postgresql": tuple(statement for rule in _RULES for statement in _postgresql(*rule)),
}
DROP = {
    "sqlite": tuple(f"DROP TRIGGER {name}" for name, *_ in reversed(_RULES)),
    "postgresql": tuple(
        statement
        for name, table, *_ in reversed(_RULES)
        for statement in (f"DROP TRIGGER {name} ON {table}", f"DROP FUNCTION {name}()")
    ),
}
