"""What several people's answers to one task are worth together: stop, ask another person, or ask QA. Pure: no database,
no clock, no dice. `core/verification/actions.py` loads the book, calls `judge`, and writes what `close` gives.

    judge(answers, book, policy, schema, valid)    -> Decision     verified | another | qa, with everything behind it
    close(answers, book, policy, schema)           -> Changes      of the counters, once, when the consensus is final
    known(answers, truth, book, policy, schema)    -> Changes      the same where the truth is known: gold, QA, appeals
    undo(changes)                                  -> Changes      takes an earlier one back
    certify(audits, policy)                        -> Certificate  of a task type; None while nothing can be promised
    wrong(output, truth, policy, schema)           -> bool         what an audit records
    next_worker(task, answers, candidates, book, policy) -> Pick   who is asked next
    agreements(answers, output, policy, schema)    -> who is paid, and why somebody is not (for QA's answer; a Decision
                                                      of `judge` has them already)

Stored per task type: counters (owner, field, truth, answer) -> value (`model.Key`), written only as `value + delta`;
audits in their order (`model.Audit`); per task the Decision and the Changes that it made.
"""

from core.verification.consensus.agreed import agreements, wrong
from core.verification.consensus.certify import certify
from core.verification.consensus.choose import Pick, next_worker
from core.verification.consensus.close import close, known
from core.verification.consensus.counts import apply, undo
from core.verification.consensus.judge import judge
from core.verification.consensus.model import (
    Agreement,
    Answer,
    Audit,
    Book,
    Certificate,
    Changes,
    ConsensusPolicy,
    Decision,
    FieldResult,
    Kind,
)
from core.verification.consensus.plan import widest_choice

__all__ = [
    "Agreement",
    "Answer",
    "Audit",
    "Book",
    "Certificate",
    "Changes",
    "ConsensusPolicy",
    "Decision",
    "FieldResult",
    "Kind",
    "Pick",
    "agreements",
    "apply",
    "certify",
    "close",
    "judge",
    "known",
    "next_worker",
    "undo",
    "widest_choice",
    "wrong",
]
