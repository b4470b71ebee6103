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
from core.verification.anomaly import marks
from core.verification.anomaly.suspicion import MarkKind, Suspicion
from core.verification.consensus import Answer, Book, Changes, ConsensusPolicy
from core.verification.consensus.choose import next_worker
from core.verification.consensus.counts import BAD, GOOD
from core.verification.consensus.model import POOL
from core.verification.fold import counts_of
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


YES_OR_NO = {"type": "object", "required": ["yes"], "properties": {"yes": {"type": "boolean"}}}


async def test_an_answer_that_is_doubted_has_no_say_in_whom_to_ask_next(work: UnitOfWork) -> None:
    """The draw is that over the clean answer alone: the marked worker's contradiction tells nothing of the task."""
    kind = a_type(output_schema=YES_OR_NO)
    hub = Hub(work, kind)
    level = Level(
        answers_min=2, answers_max=4, stages=["anomaly"], undecided=Otherwise.RELEASE, spot_check=0.0
    )
    hub.types = TaskTypes([kind], Checks(risk={RiskTier.LOW: level}))
    async with work.begin("test.seed") as tx:
        organisation = await an_organisation(tx)
        people = [await a_worker(tx) for _ in range(6)]
        learnt = [(one, GOOD, 4.0 * n) for n, one in enumerate(people, 1)]
        await book.learn(tx, kind.name, str(Environment.TEST), Changes(add=tuple(learnt)))
        task_id = await a_task(
            tx,
            organisation,
            output_schema=YES_OR_NO,
            answers_wanted=2,
            answers_max=4,
            reserved_msat=5 * PAYOUT_MSAT,
        )
    await hub.drain()
    clean, doubted = await hub.assignments(task_id)
    async with work.begin("test.mark") as tx:
        why_marked = Suspicion(kind=MarkKind.CONSTANT, p=1e-9, words="always no", evidence={})
        assert await marks.opened(tx, doubted.worker_id, kind.name, why_marked) is not None
    for turn, answer in ((doubted, False), (clean, True)):
        await hub.accept(turn)
        await hub.submit(turn, {"yes": answer})
        await hub.drain("submission.received")
    await hub.drain("task.more")
    asked = {one.worker_id for one in await hub.assignments(task_id)} - {clean.worker_id, doubted.worker_id}
    assert len(asked) == 1  # what the doubted one said is none of the two answers that are wanted
    rest = [one for one in people if one not in (clean.worker_id, doubted.worker_id)]
    async with work.begin("test.draw") as tx:
        found = await asking.drawn(tx, await hub.task(task_id), rest)
        counters, _ = await book.counters(tx, kind.name, str(Environment.TEST), people)
    known = Book(
        pool=counts_of(counters.pop(POOL, [])),
        workers={worker: counts_of(rows) for worker, rows in counters.items()},
    )

    def draws(*answers: tuple[str, bool]) -> dict[str, float]:
        given = [Answer(worker=worker, output={"yes": said}) for worker, said in answers]
        return dict(next_worker(task_id, given, rest, known, ConsensusPolicy(), YES_OR_NO).draws)

    assert found.by_worker == draws((clean.worker_id, True))
    assert found.by_worker != draws((clean.worker_id, True), (doubted.worker_id, False))
