"""`python -m tests.bench [name …]`: runs the named benchmarks (all without a name), one JSON line each. A figure never
fails the run; a broken invariant (rows that do not match the acknowledgements) does."""

from __future__ import annotations

import importlib
import sys

from tests.bench.harness import report

NAMES = (
    "intake",  # one vendor's deliveries, both databases
    "intake_mixed",  # four vendors' deliveries, and messages of a hundred Cases
    "mapping",  # what a delivery means, without I/O
    "create",  # POST /v1/tasks
    "assign",  # a task to its offer
    "claim",  # a task to the best of a thousand to a million workers
    "assign_100k",  # a hundred tasks a second to a hundred thousand workers
    "sla",  # answers in time, against plain ways of routing, in simulation
    "completion",  # how long answers will take, predicted before they are seen
    "callback",  # an event to its receiver
    "postings",  # the ledger beside bare inserts, and its check of a million
    "settle",  # verified to settled, on the sandbox and on real nodes
    "crash",  # kill -9 everywhere between ledger and receiver
    "write_once",  # kill -9 everywhere while the ticket system misbehaves
    "hostile",  # what a hostile schema, answer or body costs
    "pipeline",  # what one answer costs from its coming to its pay, with 100,000 before it
    "attackers",  # who does not do the work: found after how many answers, and what got through
    "consensus",  # answers of real crowds, beside crowd-kit's methods
    "startup",  # what a hub costs before it works
)


def main(wanted: list[str]) -> None:
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        sys.exit(f"no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}")
    for name in wanted or NAMES:
        report(importlib.import_module(f"tests.bench.{name}").run)


if __name__ == "__main__":
    main(sys.argv[1:])
