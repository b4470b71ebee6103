"""`hub simulate --history` and `hub routing shadow` on a hub where something has happened."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from core import clock
from core.access.tables import Organisation
from core.db.engine import Database
from core.db.unit_of_work import UnitOfWork
from core.routing import lists
from core.routing.lists import Word
from core.tasks.tables import Task
from core.workers.tables import Worker
from tests.factories_routing import PAYOUT_MSAT, a_task, a_type, a_worker, an_organisation
from tests.integration.cli.conftest import Answer, Hub, succeed, table

KIND = a_type(name="incident_triage")
SKILLS = frozenset({"incident_triage"})
CHEAP, GOOD = 0, 1


@pytest.fixture
def workers(hub: Hub, tmp_path: Path) -> list[str]:
    """A cheap one and a good one; twelve tasks of the last hour that were answered, two that are open, and one that pays
    nobody enough."""

    async def fill() -> list[str]:
        database = Database(f"sqlite:///{tmp_path}/data/hub.db")
        try:
            async with UnitOfWork(database).begin("test.past") as tx:
                organisation = await an_organisation(tx)
                # Ids of people and tasks, and the moments between tasks, are the dice of a simulation of the past.
                cheap = await a_worker(
                    tx, id="per_cheap", reliability=0.70, price_floor_msat=1_000, skills=SKILLS
                )
                good = await a_worker(
                    tx, id="per_good", reliability=0.95, price_floor_msat=PAYOUT_MSAT, skills=SKILLS
                )
                ids = [f"01900000-0000-7000-8000-{number:012}" for number in range(15)]
                last = clock.now()
                first = last - timedelta(hours=1)
                for number, name in enumerate(ids[:12]):
                    created = first + timedelta(minutes=5 * number)
                    await a_task(tx, organisation, kind=KIND, created_at=created, status="verified", id=name)
                for name in ids[12:14]:
                    await a_task(tx, organisation, kind=KIND, created_at=last, id=name)
                await a_task(
                    tx, organisation, kind=KIND, created_at=last, payout_msat=10, funded=False, id=ids[14]
                )
                return [cheap, good]
        finally:
            await database.close()

    return asyncio.run(fill())


def test_a_policy_against_what_happened(hub: Hub, workers: list[str]) -> None:
    told, why, *lines = succeed(hub("simulate", "--history", "--environment", "test", "--peers"))
    assert told == "15 tasks, 2 people"
    assert why == "1 of the tasks none of these people may take by the policy in force; they fall at: price 1"
    headings, ours, *peers = table(lines)
    assert headings[:4] == ["policy", "in time", "and right", "answered"]
    assert ours[0] == "in force"
    assert [row[0] for row in peers] == ["random", "round_robin", "fifo", "cheapest", "greedy"]
    assert [row[3] for row in [ours, *peers]] == ["0.692", "0.615", "0.692", "0.692", "0.692", "0.692"]
    again = succeed(hub("simulate", "--history", "--environment", "test", "--peers"))
    assert again[2:] == lines


def test_another_policy_asks_for_its_own_trust(hub: Hub, workers: list[str], config_folder: Path) -> None:
    strict = config_folder.parent / "strict.yaml"
    text = (config_folder / "routing.yaml").read_text()
    strict.write_text(text.replace("minimum_tier: {low: 0", "minimum_tier: {low: 4"))
    _, _, headings, ours, theirs = succeed(
        hub("simulate", "--history", "--environment", "test", "--policy", str(strict))
    )
    shown = {row[0]: row[3] for row in table([headings, ours, theirs])}
    assert shown == {"policy": "answered", "in force": "0.692", "strict.yaml": "0.000"}


def test_the_past_knows_of_languages_experts_and_lists(hub: Hub, workers: list[str], tmp_path: Path) -> None:
    async def asked() -> None:
        database = Database(f"sqlite:///{tmp_path}/data/hub.db")
        async with UnitOfWork(database).begin("test.asked") as tx:
            session = tx.session
            owner = (await session.scalars(select(Organisation))).one()
            await session.execute(update(Worker).where(Worker.id == workers[GOOD]).values(languages=["de"]))
            *_, expert, german, welsh = (await session.scalars(select(Task).order_by(Task.id))).all()
            german.language, welsh.language = "de", "cy"
            other = await an_organisation(tx)
            await session.execute(
                update(Organisation).where(Organisation.id == other).values(plan="enterprise")
            )
            expert.organisation_id = other
            for word, who in ((Word.BLOCK, workers[CHEAP]), (Word.ALLOW, workers[GOOD])):
                await lists.say(tx, owner, who, word, reason="", actor="test")
        await database.close()

    asyncio.run(asked())
    _, why, *lines = succeed(hub("simulate", "--history", "--environment", "test"))
    assert why == (
        "2 of the tasks none of these people may take by the policy in force; they fall at: language 1, experts 1"
    )
    assert table(lines)[1][0] == "in force"


def test_the_rules_of_the_tiers(hub: Hub) -> None:
    headings, *lines = succeed(hub("people", "tiers"))
    rows = table([headings, *lines[:5]])
    assert rows[0] == ["tier", "may have", "comes in with", "falls by"]
    assert rows[2] == [
        "1 known",
        "questions of low and medium risk",
        "a lower bound of 65 % right answers; 10 answers to questions whose answer is known",
        "a lower bound under 60 %, from 10 judged answers on; or a sudden run of wrong answers",
    ]
    assert "questions for experts" in rows[4][1]  # a plan asks for them
    assert lines[6] == "Up one tier at a time, at most one in 24 hours."


def test_without_a_past_it_says_where_to_look(hub: Hub, workers: list[str]) -> None:
    answer = hub("simulate", "--history")
    assert answer == Answer(
        1,
        "",
        "no_history: There are no live tasks of the last 30 days, or no workers who are there; take more --days, another "
        "--environment, or leave --history away\n",
    )


def test_whom_another_policy_would_ask(hub: Hub, workers: list[str], config_folder: Path) -> None:
    thrifty = config_folder.parent / "thrifty.yaml"
    text = (config_folder / "routing.yaml").read_text()
    thrifty.write_text(text.replace("price: 0.10 ", "price: 5 "))
    lines = succeed(hub("routing", "shadow", str(thrifty), "--environment", "test"))
    headings, *rows, told = lines
    assert table([headings])[0] == ["task", "type", "in force", "thrifty.yaml"]
    shown = [row[1:] for row in table(rows)]
    assert shown == [["incident_triage", workers[GOOD], workers[CHEAP], "differs"]] * 2
    assert told == (
        "2 open tasks: the same first choice for 0%, 100% of the first three; 0 only the policy in force can give, "
        "0 only thrifty.yaml"
    )
    assert succeed(hub("routing", "shadow", str(config_folder / "routing.yaml"))) == [
        "no task of the live environment is open: nothing to compare"
    ]


def test_a_pool_of_experts_is_asked_by_the_other_policy_too(
    hub: Hub, workers: list[str], config_folder: Path, tmp_path: Path
) -> None:
    async def experts() -> None:
        database = Database(f"sqlite:///{tmp_path}/data/hub.db")
        async with UnitOfWork(database).begin("test.experts") as tx:
            await tx.session.execute(update(Organisation).values(plan="enterprise"))
            await tx.session.execute(update(Worker).where(Worker.id == workers[CHEAP]).values(expert=True))
        await database.close()

    asyncio.run(experts())
    same = str(config_folder / "routing.yaml")
    _, *rows, told = succeed(hub("routing", "shadow", same, "--environment", "test"))
    assert [row[2:] for row in table(rows)] == [[workers[CHEAP], workers[CHEAP]]] * 2
    assert told.startswith("2 open tasks: the same first choice for 100%")


def test_why_and_why_not_this_one(hub: Hub, workers: list[str]) -> None:
    task_id = "01900000-0000-7000-8000-000000000014"  # it waits for funds and pays too little
    assert succeed(hub("task", "why", task_id)) == [
        "Nobody is looked for yet: it waits for funds of its organisation."
    ]
    told = succeed(hub("task", "why", task_id, "--worker", workers[GOOD]))
    assert told[1:] == [
        "  ask for more than the task pays (price)",
        "Nobody may have it yet: it waits for funds of its organisation.",
    ]
    unknown = hub("task", "why", task_id, "--worker", "eve@example.test")
    assert (unknown.code, unknown.err) == (
        1,
        "unknown_worker: No worker has the id or e-mail address eve@example.test\n",
    )
    assert hub("task", "why", "nonsense").err == "task_not_found: There is no task nonsense\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--load", "0"), "Expected `float` > 0.0 - at `$.load`"),
        (("--load", "nan"), "Expected `float` > 0.0 - at `$.load`"),
        (("--load", "-1"), "Expected `float` > 0.0 - at `$.load`"),
        (("--history", "--load", "2"), "--load is of made-up tasks: leave --history away"),
        (("--history", "--tasks", "5"), "--tasks is of made-up tasks: leave --history away"),
        (("--days", "3"), "--days goes with --history"),
        (("--environment", "test"), "--environment goes with --history"),
    ],
)
def test_what_a_simulation_cannot_do_is_said(bare: Hub, words: tuple[str, ...], told: str) -> None:
    answer = bare("simulate", *words)
    assert (answer.code, told in answer.err) == (2, True), answer.err


@pytest.mark.parametrize(
    "wrong",
    [
        "workers: 0", "skills: 0", "online: 0", "declines: 1", "sla_factors: []", "sla_factors: [0]",
        "experience: -1", "session_seconds: 0", "median_seconds: 0", "honesty: 2", "payout_msat: 0",
    ],
)  # fmt: skip
def test_a_population_that_cannot_be_names_the_field(bare: Hub, tmp_path: Path, wrong: str) -> None:
    crowd = tmp_path / "crowd.yaml"
    crowd.write_text(wrong)
    answer = bare("simulate", "--population", str(crowd), "--tasks", "5")
    assert (answer.code, answer.err.startswith("configuration: crowd.yaml: Expected")) == (2, True), (
        answer.err
    )
    assert f"at `$.{wrong.partition(':')[0]}" in answer.err


def test_people_who_are_always_there_and_the_file_yields_to_the_words(bare: Hub, tmp_path: Path) -> None:
    crowd = tmp_path / "crowd.yaml"
    crowd.write_text("{workers: 8, skills: 2, online: 1, tasks: 400, load: 0.3}")
    headings, ours = table(succeed(bare("simulate", "--population", str(crowd), "--tasks", "40")))
    assert (headings[0], ours[0], ours[3]) == ("policy", "in force", "1.000")
