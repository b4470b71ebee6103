"""`hub gold`, `hub verification backtest` and `hub task replay` on a hub in which people have answered; `hub task-types test`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select

from core.db.unit_of_work import Transaction
from core.tasks.model import RiskTier
from core.tasks.tables import Task
from core.verification.history import Past, take_in
from hub.cli.common import run
from hub.wiring import Wiring
from tests.factories_routing import a_task, a_worker
from tests.integration.cli.conftest import Hub, succeed, table

SCHEMA = {"type": "object", "required": ["sentiment"], "properties": {"sentiment": {"enum": ["good", "bad"]}}}
GOOD, BAD = {"sentiment": "good"}, {"sentiment": "bad"}
LINE: dict[str, Any] = {
    "task_type": "sentiment_analysis",
    "payload": {"text": "I love it"},
    "output_schema": SCHEMA,
    "answer": GOOD,
    "environment": "test",
    "most_exposures": 3,
}
POLICY = """
risk:
  high: {answers_min: 3, answers_max: 3, undecided: qa, short: qa}
"""


PARCEL = """
name: parcel
title: How heavy is it?
payout: {currency: SATS, max_amount: 100}
output_schema: {type: object, required: [kg], properties: {kg: {type: number}}}
rules:
  - {name: positive, expect: "output.kg > `0`", message: It weighs something}
  - {name: heavy, expect: "output.kg < `1000`", message: Very heavy, severity: unsure}
examples:
  - {name: light, output: {kg: 2}, expect: pass}
  - {name: heavy ones are looked at, output: {kg: 2000}, expect: unsure, reasons: [rule_heavy]}
  - {name: no weight, output: {}, expect: pass}
  - {name: nothing weighs less than nothing, output: {kg: -1}, expect: fail, reasons: [rule_heavy]}
"""


async def _fill(wiring: Wiring, owner: str) -> None:
    """Three questions of high risk, each answered by three people; the last one differs on one of them."""
    types, plans = wiring.services.types, wiring.services.plans
    kind = types.of("sentiment_analysis")

    async def asked(tx: Transaction, owner: str) -> str:
        return await a_task(
            tx, owner, kind=kind, output_schema=SCHEMA, payout_amount=0, funded=False, answers_wanted=3, answers_max=3,
            risk_tier=str(RiskTier.HIGH),
        )  # fmt: skip

    async with wiring.services.work.begin("test.fill") as tx:
        names = [await a_worker(tx) for _ in range(3)]
        for last in (GOOD, GOOD, BAD):
            given = [
                Past(worker=name, output=one, seconds=30.0)
                for name, one in zip(names, (GOOD, GOOD, last), strict=True)
            ]
            await take_in(tx, await asked(tx, owner), given, types, plans)


def test_a_policy_is_tried_on_what_was_answered(hub: Hub, tmp_path: Path) -> None:
    owner, _ = succeed(hub("organisations", "create", "acme"))
    run(lambda wiring: _fill(wiring, owner))
    policy = tmp_path / "three.yaml"
    policy.write_text(POLICY, encoding="utf-8")
    heading, recorded, configured, three = table(
        succeed(hub("verification", "backtest", str(policy), "--type", "sentiment_analysis"))
    )
    assert [row[0] for row in (recorded, configured, three)] == ["as recorded", "as configured", "three.yaml"]
    per_task = heading.index("answers/task")
    assert [row[1] for row in (recorded, configured, three)] == ["3", "3", "3"]
    assert three[per_task] == "3.00"
    assert all(
        2 <= float(row[per_task]) < 3 for row in (recorded, configured)
    )  # two who agree are enough there
    policy.write_text("nonsense: 1", encoding="utf-8")
    answer = hub("verification", "backtest", str(policy))
    assert (answer.code, answer.out) == (2, "")
    assert "three.yaml: nonsense: unknown key" in answer.err


async def _tasks(wiring: Wiring) -> list[str]:
    async with wiring.services.work.read() as session:
        return list(await session.scalars(select(Task.id).order_by(Task.id)))


async def _forge(wiring: Wiring) -> None:
    """Whoever owns the schema takes the guard away and makes a decision surer than it was."""
    async with wiring.services.work.begin("test.forge") as tx:
        await tx.execute("DROP TRIGGER verification_decisions_no_update")
        await tx.execute(
            "UPDATE verification_decisions SET decision = replace(decision, '\"short\":false', '\"short\":true')"
        )


def test_every_decision_is_made_again_and_a_forged_one_is_found(hub: Hub, config_folder: Path) -> None:
    owner, _ = succeed(hub("organisations", "create", "acme"))
    run(lambda wiring: _fill(wiring, owner))
    task, *_ = run(_tasks)
    before = succeed(hub("task", "replay", task))
    assert before[0] == "decision 1: the same, byte for byte"
    (config_folder / "verification.yaml").write_text(POLICY, encoding="utf-8")  # of another day
    assert succeed(hub("task", "replay", task)) == before
    run(_forge)
    forged = hub("task", "replay", task)
    assert (forged.code, forged.lines[0]) == (1, "decision 1: DIFFERENT")
    assert [line.split()[0] for line in forged.lines[1:3]] == ["stored", "again"]
    assert forged.lines[2].replace("again  ", "stored ") == before[1]
    assert hub("task", "replay", "no").err.startswith("task_not_found")


def test_the_examples_of_a_task_type_are_run_and_a_wrong_one_is_told(hub: Hub, config_folder: Path) -> None:
    assert all(line.startswith("ok  ") for line in succeed(hub("task-types", "test")))
    (config_folder / "task_types" / "parcel.yaml").write_text(PARCEL, encoding="utf-8")
    answer = hub("task-types", "test", "parcel")
    assert (answer.code, answer.err) == (1, "")
    assert answer.lines == [
        "ok   parcel: light",
        "ok   parcel: heavy ones are looked at",
        "FAIL parcel: no weight",
        "     said fail: schema_required /kg",
        "FAIL parcel: nothing weighs less than nothing",
        "     said fail: rule_positive",
    ]
    assert hub("task-types", "test", "nope").err.startswith("unknown_task_type")
    (config_folder / "task_types" / "parcel.yaml").write_text(
        PARCEL.replace("output.kg >", "kg >"), encoding="utf-8"
    )
    answer = hub("task-types", "test", "parcel")
    assert answer.code != 0
    assert "there is no `kg` to read from" in answer.err


def test_gold_goes_in_and_out_and_is_retired(hub: Hub, tmp_path: Path) -> None:
    file = tmp_path / "gold.jsonl"
    file.write_bytes(msgspec.json.encode(LINE) + b"\n\n")
    assert succeed(hub("gold", "import", str(file))) == ["1 items added"]
    _, row = table(succeed(hub("gold", "list")))
    assert row[1:] == ["sentiment_analysis", "test", "active", "0/3", "hub"]
    [exported] = succeed(hub("gold", "export"))
    assert msgspec.json.decode(exported) == LINE
    wrong = {**LINE, "answer": {"sentiment": "so so"}}
    file.write_bytes(msgspec.json.encode(LINE) + b"\n" + msgspec.json.encode(wrong))
    answer = hub("gold", "import", str(file))
    assert (answer.code, answer.out) == (1, "")
    assert "gold.jsonl, line 2" in answer.err
    assert len(succeed(hub("gold", "list"))) == 2  # all of a file or nothing
    assert succeed(hub("gold", "retire", row[0])) == [f"retired {row[0]}"]
    assert succeed(hub("gold", "export")) == []
    assert hub("gold", "retire", "gld_no").err.startswith("unknown_gold")
