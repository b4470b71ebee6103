"""Writes the tables of states into `core/README.md` from the transition tables of the code:

    python -m tests.architecture.core_map

`test_core_map.py` compares."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.architecture.source import ROOT
from tests.architecture.state_tables import StateTable, state_tables

README = ROOT / "core" / "README.md"
BEGIN = "<!-- from the code: python -m tests.architecture.core_map -->"
END = "<!-- end of what is from the code -->"
_PART = re.compile(re.escape(BEGIN) + ".*" + re.escape(END), re.DOTALL)

# The rows whose life a table tells, and the table's own words.
TITLES = {
    "core.bank.states.TRANSITIONS": "Batch of bank payments",
    "core.billing.states.TRANSITIONS": "Top-up: one invoice of ours to an organisation",
    "core.callbacks.states.TRANSITIONS": "Callback: one event on its way to one address",
    "core.intake.states.TRANSITIONS": "Inbound event",
    "core.payouts.states.TRANSITIONS": "Payout",
    "core.payouts.states.ATTEMPT_TRANSITIONS": "Payout attempt: one invoice",
    "core.replies.states.TRANSITIONS": "Reply: one write into one ticket",
    "core.routing.states.TRANSITIONS": "Assignment: one worker's turn at one task",
    "core.tasks.states.TRANSITIONS": "Task",
    "core.workers.states.SUSPENSION_TRANSITIONS": "Suspension of a worker",
    "core.workers.states.APPEAL_TRANSITIONS": "Appeal of a worker",
    "core.workers.states.QUIZ_TRANSITIONS": "Attempt at a quiz",
    "core.verification.states.TRANSITIONS": "Verification of one submission",
    "core.verification.states.REVIEW_TRANSITIONS": "Review: what a person has to decide",
    "core.verification.states.GOLD_TRANSITIONS": "Gold item: a question whose answer is known",
    "core.verification.states.EXPOSURE_TRANSITIONS": "One worker's turn at a gold item",
}
_ORDER = (
    "intake",
    "tasks",
    "routing",
    "verification",
    "payouts",
    "bank",
    "billing",
    "replies",
    "callbacks",
    "workers",
)


def written(text: str) -> str:
    """`text` with the part from the code as the code is now."""
    tables = sorted(state_tables(), key=lambda table: (_ORDER.index(table.concept), len(table.name)))
    part = "".join(line for table in tables for line in _table(table))
    return _PART.sub(lambda _: f"{BEGIN}\n{part}\n{END}", text)


def _table(table: StateTable) -> Iterator[str]:
    yield f"\n### {TITLES[table.name]}\n\nBegins as `{table.start}`, ends as {_list(table.terminal)}.\n"
    yield "\n| state | meaning | may become |\n|---|---|---|\n"
    for state in table.used:
        after = [str(one) for one in table.states if one in table.moves[table.states(state)]]
        yield f"| `{state}` | {table.meanings[state]} | {_list(after) or '—'} |\n"


def _list(states: list[str]) -> str:
    return ", ".join(f"`{state}`" for state in states)


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
