"""`hub receipt` as it is typed: keys, show, verify without a network, check."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from core import clock
from core.receipts import actions
from hub.cli.common import hub as opened
from tests.factories import DOLLAR, organisation, task
from tests.integration.cli.conftest import Hub, succeed, table

ANSWER = {"eligible": True}


async def _verified() -> str:
    """A verified task with its receipt, in the hub that the command line sees."""
    async with opened() as wiring, wiring.services.work.begin("receipts.issue") as tx:
        services = wiring.services
        owner = await organisation(tx, balance_msat=DOLLAR)
        made = await task(tx, owner, status="verified", output=ANSWER, ended_at=clock.now())
        await actions.of_verified(
            tx, made.id, actions.Issuer(hub=services.settings.public_url, sealer=services.sealer)
        )
        return made.id


def test_a_receipt_is_shown_and_verified(hub: Hub, tmp_path: Path) -> None:
    task_id = asyncio.run(_verified())
    receipt, public, answer = tmp_path / "receipt.json", tmp_path / "keys.json", tmp_path / "answer.json"
    receipt.write_text("\n".join(succeed(hub("receipt", "show", task_id))))
    public.write_text("\n".join(succeed(hub("receipt", "keys", "list", "--json"))))
    answer.write_text(json.dumps(ANSWER))
    good = ["the receipt is good"]
    assert succeed(hub("receipt", "verify", str(receipt))) == good
    given = ("receipt", "verify", str(receipt), "--keys", str(public), "--answer", str(answer))
    assert succeed(hub(*given)) == good
    answer.write_text(json.dumps({"eligible": False}))
    wrong = hub(*given)
    assert (wrong.code, wrong.lines) == (1, ["1 faults"])
    assert wrong.err.endswith(": the answer is not the one that was verified\n")
    receipt.write_text(receipt.read_text().replace('"workers": 0', '"workers": 3'))
    forged = hub("receipt", "verify", str(receipt), "--keys", str(public))
    assert forged.code == 1
    assert "the signature does not fit" in forged.err
    receipt.write_text("{")
    assert hub("receipt", "verify", str(receipt)).code == 1


def test_the_chain_and_the_keys(hub: Hub) -> None:
    asyncio.run(_verified())
    [new] = succeed(hub("receipt", "keys", "rotate"))
    asyncio.run(_verified())
    assert succeed(hub("receipt", "check")) == ["2 receipts follow each other"]
    [heading, signs, retired] = table(succeed(hub("receipt", "keys", "list")))
    assert heading == ["id", "since", "until"]
    assert (signs[0], signs[-1]) == (new, "signs")
    assert len(retired) == 3


def test_a_task_without_a_receipt(hub: Hub) -> None:
    assert hub("receipt", "show", "x").err.startswith("receipt_not_issued: ")
