"""Finds, reads and checks the files of `config/`. Every error names file, path and fix. Called by `hub/wiring.py`
and `hub check`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import msgspec

from connectors.config import ConnectorConfig, load
from core.billing.plans import Plan, Plans
from core.errors import HubError, Invalid, Misconfigured
from core.forms.profile import check
from core.routing.model import Policy
from core.tasks.model import RiskTier
from core.tasks.types import TaskType, TaskTypes
from core.verification.policy import Checks
from core.verification.stages import check_stages, stage
from core.verification.stages.rules import check_rules
from core.workers.quiz import Quiz
from core.workers.quiz import check as check_quiz
from core.workers.quizzes import Quizzes
from core.workers.tiers import Trust
from core.workers.tiers import check as check_tiers
from hub.services import PeopleFiles
from hub.settings_file import convert, read


def task_types(directory: Path) -> TaskTypes:
    """One file per type. The answer schema, the stages and the rules are checked here, not at the first answer."""
    types: list[TaskType] = []
    for path in sorted((directory / "task_types").glob("*.yaml")):
        kind = convert(read(path), TaskType, path.name, {})
        if kind.name != path.stem:
            raise Misconfigured(
                "task_type_file", f"{path.name}: name is {kind.name!r}; call the file {kind.name}.yaml"
            )
        try:
            check_stages(kind)
            check_rules(kind)
            if kind.output_schema is not None:
                check(kind.output_schema)
        except HubError as error:
            raise Misconfigured(
                error.code, f"{path.name}: {error.message}", field_errors=error.field_errors
            ) from error
        types.append(kind)
    if not types:
        raise Misconfigured(
            "no_task_types", f"{directory / 'task_types'} has no file; the hub takes no task without"
        )
    return TaskTypes(types, checks(directory, [kind.name for kind in types]))


def checks(directory: Path, types: list[str]) -> Checks:
    """`verification.yaml`; the built-in levels without it. Every stage, task type and plan that it names exists."""
    path = directory / "verification.yaml"
    if not path.exists():
        return Checks()
    read_in = checks_file(path)
    known = {"task_types": types, "plans": plans(directory).names}
    for where, names in (("task_types", read_in.task_types), ("plans", read_in.plans)):
        for name in names:
            if name not in known[where]:
                raise Misconfigured(
                    "unknown_name",
                    f"{path.name}: {where}.{name}: there is none; use {', '.join(known[where])}",
                )
    return read_in


def checks_file(path: Path) -> Checks:
    """One file of that form, wherever it lies; its stages exist."""
    read_in = convert(read(path), Checks, path.name, {})
    named = [
        *(name for level in read_in.risk.values() for name in level.stages),
        *(
            name
            for one in (*read_in.plans.values(), *read_in.task_types.values())
            if one.stages is not msgspec.UNSET
            for name in one.stages
        ),
    ]
    for name in named:
        stage(name)
    return read_in


class _PlansFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    plans: list[Plan]


def plans(directory: Path) -> Plans:
    path = directory / "plans.yaml"
    return Plans(convert(read(path), _PlansFile, path.name, {}).plans)


def policy(directory: Path) -> Policy:
    path = directory / "routing.yaml"
    return policy_file(path) if path.exists() else Policy()


def policy_file(path: Path) -> Policy:
    """Raises Misconfigured, which names the file and the key."""
    return convert(read(path), Policy, path.name, {})


def trust(directory: Path) -> Trust:
    """The rules of the tiers. Raises Misconfigured for a file whose tiers cannot work."""
    path = directory / "trust.yaml"
    found = convert(read(path), Trust, path.name, {}) if path.exists() else Trust()
    try:
        check_tiers(found)
    except Invalid as error:
        told = "; ".join(f"{place}: {text}" for place, text in error.field_errors.items())
        raise Misconfigured("trust_file", f"{path.name}: {told}", field_errors=error.field_errors) from error
    return found


def out_of_reach(policy: Policy, trust: Trust) -> list[str]:
    """What routing.yaml asks of tiers that trust.yaml does not have: a sentence for each risk, for `hub check`."""
    highest = len(trust.tiers) - 1
    return [
        f"routing.yaml: minimum_tier.{risk}: {policy.tier_for(risk)}, but the highest tier of trust.yaml is {highest}: "
        "nobody rises so far, and such tasks wait for whom an operator put there"
        for risk in RiskTier
        if policy.tier_for(risk) > highest
    ]


def quizzes(directory: Path) -> Quizzes:
    """One file per skill. Raises Misconfigured for a bank that is too small or a question without its right option."""
    found: list[Quiz] = []
    for path in sorted((directory / "quizzes").glob("*.yaml")):
        quiz = convert(read(path), Quiz, path.name, {})
        if quiz.skill != path.stem:
            raise Misconfigured(
                "quiz_file", f"{path.name}: skill is {quiz.skill!r}; call the file {quiz.skill}.yaml"
            )
        try:
            check_quiz(quiz)
        except Invalid as error:
            told = "; ".join(f"{place}: {text}" for place, text in error.field_errors.items())
            raise Misconfigured(
                error.code, f"{path.name}: {told}", field_errors=error.field_errors
            ) from error
        found.append(quiz)
    return Quizzes(found)


def terms(directory: Path) -> str:
    """The terms that a new worker accepts, as plain text. Raises Misconfigured when there are none."""
    path = directory / "terms.md"
    if not path.exists() or not (text := path.read_text(encoding="utf-8").strip()):
        raise Misconfigured("terms", f"{path} is missing or empty: write what a worker agrees to")
    return text


def people(directory: Path) -> PeopleFiles:
    """Raises Misconfigured as each of the files does."""
    return PeopleFiles(trust=trust(directory), quizzes=quizzes(directory), terms=terms(directory))


def connectors(directory: Path, environ: Mapping[str, str]) -> dict[str, ConnectorConfig]:
    """Every configured connector by its id."""
    found: dict[str, ConnectorConfig] = {}
    for path in sorted((directory / "connectors").glob("*.yaml")):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise Misconfigured(
                "connector_file", f"{path.name}: not UTF-8 text ({error}); save it as UTF-8"
            ) from error
        config = load(text, path.name, environ)
        if config.settings.id in found:
            raise Misconfigured(
                "connector_file", f"{path.name}: id {config.settings.id!r} is used by another file too"
            )
        found[config.settings.id] = config
    return found


def process_environment() -> Mapping[str, str]:
    return os.environ


def day(text: str) -> date:
    """Raises ValueError for anything but YYYY-MM-DD."""
    return date.fromisoformat(text)
