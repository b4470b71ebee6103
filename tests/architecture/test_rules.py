"""Our own rules (`rules.py`) over the whole source, each of them proven on a sample that breaks it, and the comments
that except a line."""

from __future__ import annotations

import pytest

from tests.architecture.rules import RULES, Rule
from tests.architecture.source import Breach, modules, parse

SOURCE = modules()
EVERYTHING = modules("core", "connectors", "hub", "tests")
BY_NAME = {rule.name: rule for rule in RULES}

# rule -> path and text of a file that breaks it once, in the line given
SAMPLES: dict[str, tuple[str, int, str]] = {
    "one-commit": ("core/tasks/x.py", 2, '"""X."""\nawait session.commit()\n'),
    "no-float": ("core/billing/x.py", 2, '"""X."""\nfee = 0.2\n'),
    "one-clock": ("hub/demo/x.py", 3, '"""X."""\nfrom datetime import datetime\nat = datetime.now(UTC)\n'),
    "file-length": ("core/x.py", 0, '"""X."""\n' + "x = 1\n" * 350),
    "function-length": ("hub/x.py", 2, '"""X."""\ndef f():\n' + "    x = 1\n" * 59),
    "nothing-swallowed": ("hub/x.py", 4, '"""X."""\ntry:\n    f()\nexcept Exception:\n    pass\n'),
    "no-print": ("core/x.py", 2, '"""X."""\nprint(1)\n'),
    "state-by-move": ("core/tasks/x.py", 2, '"""X."""\ntask.status = "verified"\n'),
    "docstring": ("core/x.py", 0, "x = 1\n"),
    "reasoned-silence": ("core/x.py", 2, '"""X."""\nx = 1  # noqa: S608\n'),
    "tables-in-tables": ("core/tasks/model.py", 2, '"""X."""\nclass Row(Base):\n    pass\n'),
    "transitions-in-states": ("core/tasks/model.py", 2, '"""X."""\nTRANSITIONS = {}\n'),
}

# More ways to break a rule, and ways that only look like it.
BREAKS = [
    ("one-commit", "core/x.py", "async with connection.begin() as c: ..."),
    ("one-commit", "hub/x.py", 'connection.execution_options(isolation_level="AUTOCOMMIT")'),
    ("no-float", "connectors/rails/x.py", "amount = float(text)"),
    ("no-float", "core/payouts/x.py", "def f(fee: float = 0.5): ..."),
    ("one-clock", "core/x.py", "at = time.monotonic()"),
    ("one-clock", "core/x.py", "from time import time_ns"),
    ("one-clock", "core/x.py", "day = datetime.date.today()"),
    ("one-clock", "core/x.py", "default = time.time"),
    ("nothing-swallowed", "core/x.py", "with contextlib.suppress(Exception): f()"),
    ("nothing-swallowed", "core/x.py", "try: f()\nexcept (ValueError, BaseException): ..."),
    ("nothing-swallowed", "core/x.py", "try: f()\nexcept: ..."),
    ("state-by-move", "hub/x.py", "await s.execute(update(Task).where(a).values(status='failed'))"),
    ("state-by-move", "hub/x.py", "sql = \"UPDATE tasks SET version = 2, status = 'failed'\""),
    ("state-by-move", "hub/x.py", "setattr(task, 'state', 'failed')"),
    ("reasoned-silence", "core/x.py", "x = 1  # noqa"),
    ("reasoned-silence", "core/x.py", "x = 1  # type: ignore"),
    ("reasoned-silence", "core/x.py", "x = 1  # pyright: ignore[reportAny]"),
]
KEEPS = [
    ("one-commit", "core/x.py", 'async with work.begin("tasks.create") as tx: ...'),
    ("one-commit", "core/db/unit_of_work.py", "await session.commit()"),
    ("no-float", "core/routing/x.py", "weight = 0.5"),
    ("one-commit", "core/x.py", "await savepoint.commit()"),
    (
        "no-float",
        "core/payouts/x.py",
        "RETRY_SECONDS = 0.5\ndef f(*, after: float = 2.5): tx.emit(t, s, delay=1.5)",
    ),
    ("one-clock", "core/clock.py", "at = time.time_ns()"),
    ("one-clock", "core/x.py", "at = clock.now()"),
    ("nothing-swallowed", "core/x.py", "try: f()\nexcept Exception as e: raise Invalid() from e"),
    ("nothing-swallowed", "core/x.py", "try: f()\nexcept Exception: log.exception('f')"),
    ("nothing-swallowed", "core/x.py", "try: f()\nexcept ValueError: ..."),
    ("no-print", "hub/cli/x.py", "print(1)"),
    ("state-by-move", "hub/x.py", "if task.status == 'failed': ..."),
    ("state-by-move", "hub/x.py", "sql = \"SELECT id FROM tasks WHERE status = 'failed'\""),
    ("reasoned-silence", "core/x.py", "x = 1  # noqa: S608 - names are ours"),
    ("reasoned-silence", "core/x.py", "x = '# noqa'"),
    ("docstring", "core/__init__.py", ""),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_source_keeps_the_rule(rule: Rule) -> None:
    found = sorted(breach for module in EVERYTHING for breach in rule.breaches(module))
    assert not found, f"{rule.why} (or except the line: tests/architecture/source.py)\n" + "\n".join(
        map(str, found)
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_rule_finds_its_sample(rule: Rule) -> None:
    path, line, text = SAMPLES[rule.name]
    [breach] = rule.breaches(parse(path, text))
    assert (breach.path, breach.line) == (path, line)


@pytest.mark.parametrize(("name", "path", "text"), BREAKS)
def test_it_is_broken_by(name: str, path: str, text: str) -> None:
    assert len(BY_NAME[name].breaches(parse(path, f'"""X."""\n{text}\n'))) == 1


@pytest.mark.parametrize(("name", "path", "text"), KEEPS)
def test_it_is_kept_by(name: str, path: str, text: str) -> None:
    assert BY_NAME[name].breaches(parse(path, f'"""X."""\n{text}\n' if text else "")) == []


def test_a_reasoned_comment_excepts_its_line_alone() -> None:
    text = '"""X."""\na = 0.5  # arch: no-float - a pause in seconds\nb = 0.5\n'
    assert BY_NAME["no-float"].breaches(parse("core/billing/x.py", text)) == [
        Breach("core/billing/x.py", 3, "has the float 0.5")
    ]


def test_a_comment_without_a_reason_excepts_nothing() -> None:
    text = '"""X."""\na = 0.5  # arch: no-float\n'
    assert len(BY_NAME["no-float"].breaches(parse("core/billing/x.py", text))) == 1


def test_every_exception_names_a_rule_gives_a_reason_and_is_needed() -> None:
    wrong: list[str] = []
    for module in SOURCE:
        for one in module.exceptions():
            place = f"{module.path}:{one.line}"
            if one.rule not in BY_NAME:
                wrong.append(f"{place}: there is no rule {one.rule!r}")
            elif not one.reasoned:
                wrong.append(f"{place}: say why, after ` - `")
            elif not BY_NAME[one.rule].excepts_something(module, one.line):
                wrong.append(f"{place}: nothing here breaks {one.rule}; take the comment away")
    assert wrong == []


def test_every_rule_has_a_sample() -> None:
    assert sorted(SAMPLES) == sorted(BY_NAME)
