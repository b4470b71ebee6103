"""`python -m tests.bench [name …]`: runs the named benchmarks (all without a name), one JSON line each. A figure never
fails the run; a broken invariant (rows that do not match the acknowledgements) does."""

from __future__ import annotations

import importlib
import sys

from tests.bench.harness import report

NAMES = ("intake", "create", "assign", "callback", "startup")


def main(wanted: list[str]) -> None:
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        sys.exit(f"no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}")
    for name in wanted or NAMES:
        report(importlib.import_module(f"tests.bench.{name}").run())


if __name__ == "__main__":
    main(sys.argv[1:])
