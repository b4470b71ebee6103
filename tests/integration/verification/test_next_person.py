"""Who is asked for a further answer is drawn by what is known of each candidate at the task's type, on both databases, and the
decision says so. The first person is the best by score."""

from __future__ import annotations

from sqlalchemy import select

from core.db.unit_of_work import UnitOfWork
from core.routing.decisions import Decision, of_task
from core.routing.drawing import in_order
from core.routing.model import Policy
from core.routing.tables import Assignment
from core.tasks.model import Environment, RiskTier
from core.tasks.types import TaskTypes
from core.verification import asking, book
from core.verification.consensus import Changes
from core.verification.consensus.counts import BAD, GOOD
from core.verification.policy import Checks, Level, Otherwise
from hub.observe import why
from tests.factories_routing import PAYOUT_MSAT, Hub, a_task, a_type, a_worker, an_organisation

TASKS = 12
CHECKS = Checks(
    risk={RiskTier.LOW: Level(answers_min=2, answers_max=3, undecided=Otherwise.RELEASE, spot_check=0.0)}
)


async def drawn_decisions(work: UnitOfWork, task_id: str) -> list[tuple[Decision, str]]:
    """The decisions on further people, with who was asked."""
    async with work.read() as session:
        found = [pair for pair in await of_task(session, task_id) if pair[0].kind == "redundant"]
        turns = {one.id: one.worker_id for one in await session.scalars(select(Assignment))}
        return [(decision, turns[row.assignment_id]) for row, decision in found if row.assignment_id]


async def test_a_further_person_is_drawn_and_the_proven_careless_are_not(work: UnitOfWork) -> None:
    kind = a_type()
    hub = Hub(work, kind)
    hub.types = TaskTypes([kind], CHECKS)
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        careless, *others = [
            await a_worker(tx, reliability=share, capacity=TASKS) for share in (0.85, 0.9, 0.6, 0.6, 0.6, 0.6)
        ]
        learnt = [(careless, BAD, 200.0), *((one, GOOD, 20.0) for one in others)]
        await book.learn(tx, kind.name, str(Environment.TEST), Changes(add=tuple(learnt)))
        tasks = [
            await a_task(
                tx,
                organisation,
                answers_wanted=2,
                answers_max=3,
                reserved_msat=4 * PAYOUT_MSAT,
            )
            for _ in range(TASKS)
        ]
    await hub.drain()
    asked: set[str] = set()
    for task_id in tasks:
        [(decision, chosen)] = await drawn_decisions(work, task_id)
        assert decision.how in ("thompson", "random")
        assert chosen == decision.candidates[0].worker_id
        assert set(decision.draws) == {one.worker_id for one in decision.candidates}
        if decision.how == "thompson":
            assert chosen != careless
        asked.add(chosen)
    assert len(asked) > 1  # not always the one with the best score

    async with work.begin("test.again") as tx:  # the same question gives the same draw
        task = await hub.task(tasks[0])
        [(decision, _)] = await drawn_decisions(work, tasks[0])
        names = [one.worker_id for one in decision.candidates]
        again = await asking.drawn(tx, task, names[::-1])
    assert (again.how, dict(again.by_worker)) == (decision.how, decision.draws)
    assert in_order(decision.candidates[::-1], again, Policy().weights.late) == decision.candidates

    async with work.read() as session:
        text = why.render_text(await why.of_task(session, tasks[0]))
    assert f"in the order of a draw ({decision.how}), not of the scores: " in text
