"""People who answer one question are blind to each other: neither the worker API nor the pages show that there are others,
who they are or what they said, before and after the end; who differs reads where, and what was established."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import text

from core.tasks.model import RiskTier
from core.tasks.types import TaskTypes
from core.verification.policy import Checks, Level, Otherwise
from tests.factories_routing import FEE_MSAT, PAYOUT_MSAT
from tests.integration.pages.conftest import Stage, Who, words

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["animal", "remark"],
    "properties": {"animal": {"enum": ["zebra", "okapi"]}, "remark": {"type": "string"}},
}
TWO = Level(answers_min=2, answers_max=2, undecided=Otherwise.RELEASE, spot_check=0.0)


async def seen_by(who: Who, turn: str) -> str:
    """Everything that this worker is shown, as one text."""
    paths = ("/offers", "/work", "/history", "/me", "/queue", f"/assignments/{turn}")
    said = [(await who.api("GET", path)).text for path in paths]
    pages = (
        "/worker",
        "/worker/desk",
        "/worker/history",
        "/worker/payouts",
        "/worker/queue",
        f"/worker/assignments/{turn}",
    )
    said += [(await who.http.get(path)).text for path in pages]
    return "\n".join(said)


async def test_nobody_sees_who_else_answers_or_what_they_said(stage: Stage) -> None:
    stage.hub.types = TaskTypes(list(stage.hub.types), Checks(risk={RiskTier.LOW: TWO}))
    async with stage.services.work.begin("test.both") as tx:
        await tx.session.execute(text("UPDATE workers SET available = :yes"), {"yes": True})
    task_id = await stage.offer(
        "question",
        output_schema=SCHEMA,
        answers_wanted=2,
        answers_max=2,
        reserved_msat=2 * PAYOUT_MSAT + FEE_MSAT,
    )
    turns = {one.worker_id: one for one in await stage.hub.assignments(task_id)}
    people = {who.id: (who, name) for who, name in ((stage.worker, "Ana"), (stage.other, "Vic"))}
    assert set(turns) == set(people)
    answers = {
        stage.worker.id: {"animal": "zebra", "remark": "Stripes of Ana's own words"},
        stage.other.id: {"animal": "okapi", "remark": "Legs that only Vic wrote of"},
    }

    async def nothing_of_the_other() -> dict[str, str]:
        shown: dict[str, str] = {}
        for mine, (who, _) in people.items():
            [other] = set(people) - {mine}
            shown[mine] = await seen_by(who, turns[mine].id)
            hidden = (
                other,
                people[other][1],
                turns[other].id,
                answers[other]["remark"],
                "redundant",
                "consensus_",
            )
            assert [one for one in hidden if one in shown[mine].replace("&#39;", "'")] == []
        return shown

    for worker, (who, _) in people.items():
        turn = turns[worker].id
        assert (await who.api("POST", f"/assignments/{turn}/accept")).status_code == 200
        sent = await who.api("POST", f"/assignments/{turn}/answer", json={"output": answers[worker]})
        assert sent.status_code == 201
        await stage.hub.drain()
        await nothing_of_the_other()
    assert (await stage.hub.task(task_id)).status == "verified"
    shown = await nothing_of_the_other()
    ended = {one.worker_id: one.state for one in await stage.hub.assignments(task_id)}
    assert sorted(ended.values()) == ["counted", "refused"]
    [refused] = [worker for worker, state in ended.items() if state == "refused"]
    [counted] = set(ended) - {refused}
    given, right = answers[refused]["animal"], answers[counted]["animal"]
    told = f'/animal: you gave "{given}", the result is "{right}"'
    assert told in words(shown[refused])
    assert msgspec.json.encode(told).decode()[1:-1] in shown[refused]  # the API says the same
    assert "the result is" not in shown[counted]

    who, _ = people[refused]
    here = f"/assignments/{turns[refused].id}"
    refusal = (await who.api("GET", f"{here}/refusal")).json()
    assert refusal["reasons"] == [
        {"code": "consensus_differs", "message": told.removeprefix("/animal: "), "pointer": "/animal"}
    ]
    assert refusal["appeal"] == "possible"
    async with stage.services.work.begin("test.plan") as tx:  # the API knows the plans of the shipped file
        await tx.session.execute(text("UPDATE organisations SET plan = 'pay_as_you_go'"))
    first = await who.api("POST", f"{here}/appeal", json={"said": "It was striped"})
    assert (first.status_code, first.json()["state"]) == (200, "open")
    assert (await who.api("POST", f"{here}/appeal", json={})).json() == first.json()
    assert (await who.api("GET", f"{here}/refusal")).json()["appeal"] == "open"
    other, _ = people[counted]
    assert (await other.api("POST", f"{here}/appeal", json={})).status_code == 404
    assert (await other.api("GET", f"/assignments/{turns[counted].id}/refusal")).status_code == 409
