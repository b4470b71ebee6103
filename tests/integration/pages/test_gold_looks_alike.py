"""A worker cannot tell gold from a real question: in everything that the worker API and the pages show of an offer, of the task
in hand and of the history, the two have the same fields, the same timing and ids of one make; and the draw is made again from
what is kept."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from sqlalchemy import select, text

from core.routing.house import GOLD_ORGANISATION
from core.tasks.model import Environment, RiskTier
from core.tasks.tables import Task
from core.tasks.types import TaskTypes
from core.verification import gold_items
from core.verification.gold_items import NewItem
from core.verification.policy import Checks, Gold, Level
from core.verification.replay import replay
from core.verification.tables import GoldItem, Review
from tests.integration.pages.conftest import Stage, words

ALWAYS = Checks(
    risk={RiskTier.LOW: Level(gold_floor=1.0, spot_check=0.0)},
    gold=Gold(highest=1.0, slope=0.0, early=0, longest_gap=1, most_exposures=5, reveal_hours=24),
)
DETAILS = "Order 81 arrived on Monday, the customer writes on Friday."
AGE = 20.0  # seconds that the real one waited for its worker
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def shape(value: Any) -> Any:
    """Keys and kinds of a JSON value, without what it says; ids by their make."""
    match value:
        case dict():
            return {key: shape(inner) for key, inner in sorted(value.items())}
        case list():
            return [shape(inner) for inner in value]
        case str() if UUID7.fullmatch(value):
            return "uuid7"
        case str() if re.fullmatch(r"asg_[0-9a-f]{32}", value):
            return "asg"
        case str() if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value):
            return "time"
        case str():
            return "text"
        case _:
            return type(value).__name__


async def answered(stage: Stage, task_id: str, output: Any) -> dict[str, Any]:
    """Everything that the worker is shown of one turn from offer to history, as the API and the pages have it."""
    turn = await stage.assignment(task_id)
    seen: dict[str, Any] = {}
    [seen["offer"]] = (await stage.worker.api("GET", "/offers")).json()["data"]
    seen["offer page"] = words((await stage.worker.http.get("/worker/desk")).text)
    assert (await stage.worker.api("POST", f"/assignments/{turn}/accept")).status_code < 300
    seen["task"] = (await stage.worker.api("GET", f"/assignments/{turn}")).json()
    [seen["work"]] = (await stage.worker.api("GET", "/work")).json()["data"]
    seen["page"] = (await stage.worker.http.get(f"/worker/assignments/{turn}")).text
    sent = await stage.worker.api("POST", f"/assignments/{turn}/answer", json={"output": output})
    assert sent.status_code < 300
    seen["sent"] = sent.json()
    await stage.hub.drain()
    history = (await stage.worker.api("GET", "/history")).json()["data"]
    seen["history"] = next(one for one in history if one["id"] == turn)
    return seen


def seconds(turn: dict[str, Any], since: str, until: str) -> int:
    return round((datetime.fromisoformat(turn[until]) - datetime.fromisoformat(turn[since])).total_seconds())


async def asked(stage: Stage) -> tuple[str, dict[str, Any], str]:
    """A real question, what was shown of it until it was answered, and the gold question that followed."""
    stage.hub.types = TaskTypes(list(stage.hub.types), ALWAYS)
    async with stage.services.work.begin("test.gold") as tx:
        new = NewItem(
            task_type="question",
            payload={"question": "Is Friday within five days?", "details": DETAILS},
            answer={"answer": "yes"},
            environment=Environment.TEST,
        )
        await gold_items.add(tx, new, stage.hub.types, actor="test")
    real_id = await stage.offer(
        "question",
        payload={"question": "Is it late?", "details": DETAILS},
        output_schema={"type": "object"},
        age=AGE,
    )
    real = await answered(stage, real_id, {"answer": "yes"})
    async with stage.services.work.begin("test.soon") as tx:
        await tx.session.execute(text("UPDATE outbox SET due_at = created_at WHERE topic = 'gold.offer'"))
    await stage.hub.drain()
    async with stage.services.work.read() as session:
        gold_id = (
            await session.scalars(select(Task.id).where(Task.organisation_id == GOLD_ORGANISATION))
        ).one()
    return real_id, real, gold_id


async def test_gold_shows_nothing_that_a_real_question_does_not(stage: Stage) -> None:
    real_id, real, gold_id = await asked(stage)
    gold = await answered(stage, gold_id, {"answer": "no"})  # wrong, and that shows nowhere either

    for part in ("offer", "task", "work", "sent", "history"):
        assert shape(gold[part]) == shape(real[part]), part
    for part in ("offer", "work", "history"):
        for name in ("taskType", "title", "kind", "state", "outcome", "why", "pay"):
            assert gold[part][name] == real[part][name], (part, name)
        assert seconds(gold[part], "offeredAt", "expiresAt") == seconds(real[part], "offeredAt", "expiresAt")
        late = seconds(gold[part], "offeredAt", "dueAt") - seconds(real[part], "offeredAt", "dueAt")
        assert abs(late) <= AGE / 4 + 1, part  # it is as old as the real one was, more or less
    # The moment in a task's id is that of its making, not of the offer.
    for part in ("offer", "work", "history"):
        made = int(gold[part]["taskId"].replace("-", "")[:12], 16)
        given = datetime.fromisoformat(gold[part]["offeredAt"]).timestamp() * 1000
        assert AGE * 700 <= given - made <= AGE * 1300, part
    for name in ("instructions", "schema", "messages", "draft", "pay"):
        assert gold["task"][name] == real["task"][name], name
    assert "gold" not in (gold["page"] + gold["offer page"]).lower()
    tags = [re.findall(r"<(\w+)", one["page"]) for one in (real, gold)]
    assert tags[0] == tags[1]  # the same page, element by element

    async with stage.services.work.read() as session:
        made = await replay(session, real_id)
    draws = [one for one in made if one.what == "gold draw"]
    assert len(draws) == 1
    assert all(one.equal for one in made)


async def test_what_was_missed_is_told_a_day_later_and_disputed_with_one_click(stage: Stage) -> None:
    _, _, gold_id = await asked(stage)
    await answered(stage, gold_id, {"answer": "no"})
    page = "/worker/checks"
    assert "no check that you missed" in words((await stage.worker.http.get(page)).text)
    day = 25 * 3_600_000
    async with stage.services.work.begin("test.tomorrow") as tx:
        await tx.session.execute(text(f"UPDATE gold_exposures SET judged_at = judged_at - {day}"))
        # The pages know the plans of the shipped file.
        await tx.session.execute(text("UPDATE organisations SET plan = 'pay_as_you_go'"))
        exposure = (await tx.session.execute(text("SELECT id FROM gold_exposures"))).scalar_one()
    shown = words((await stage.worker.http.get(page)).text)
    assert "Is Friday within five days?" in shown
    assert "The known answer is wrong" in shown
    assert "Is Friday" not in words((await stage.other.http.get(page)).text)
    assert (await stage.other.post(f"{page}/{exposure}/dispute")).status_code == 404
    [check] = (await stage.worker.api("GET", "/checks")).json()["data"]
    assert (check["id"], check["given"], check["known"]) == (exposure, {"answer": "no"}, {"answer": "yes"})
    assert (await stage.other.api("GET", "/checks")).json()["data"] == []
    assert (await stage.other.api("POST", f"/checks/{exposure}/dispute", json={})).status_code == 404
    for _ in range(2):  # a second click changes nothing
        assert (
            await stage.worker.post(f"{page}/{exposure}/dispute", said="It is a holiday")
        ).status_code == 303
    assert "You said that the known answer is wrong" in words((await stage.worker.http.get(page)).text)
    async with stage.services.work.read() as session:
        [review] = await session.scalars(select(Review))
    assert (review.kind, review.said) == ("dispute", "It is a holiday")
    again = await stage.worker.api("POST", f"/checks/{exposure}/dispute", json={"said": 7})
    assert again.status_code == 400
    again = await stage.worker.api("POST", f"/checks/{exposure}/dispute", json={})
    assert (again.status_code, again.json()["id"]) == (200, review.id)
    seen = words((await stage.operator.http.get(f"/reviews/{review.id}")).text)
    assert "The known answer" in seen
    assert (await stage.worker.post(f"/reviews/{review.id}", verdict="uphold")).status_code == 403
    assert (await stage.operator.post(f"/reviews/{review.id}", verdict="uphold")).status_code == 303
    assert "It does not count against you" in words((await stage.worker.http.get(page)).text)
    async with stage.services.work.read() as session:
        [item] = await session.scalars(select(GoldItem))
    assert (item.state, item.exposures) == ("retired", 1)
