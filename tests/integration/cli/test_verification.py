"""`hub gold` and `hub verification backtest` on a hub in which people have answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from core.db.unit_of_work import Transaction
from core.tasks.model import RiskTier
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
