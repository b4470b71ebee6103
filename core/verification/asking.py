"""Who is asked for a further answer: the draw of consensus over what is known of each candidate at the task's type and over the
answers that are there. `hub/jobs/topics.py` hands it to routing (`core/routing/drawing.py`)."""

from __future__ import annotations

from collections.abc import Sequence

from core.db.unit_of_work import Transaction
from core.routing.drawing import Draws
from core.tasks.tables import Task
from core.verification import book
from core.verification.anomaly.voices import voices
from core.verification.consensus import Answer, Book, ConsensusPolicy
from core.verification.consensus.choose import next_worker
from core.verification.consensus.model import POOL
from core.verification.fold import counts_of, doubts_of
from core.verification.loading import answers_of, turns

_SHARE = ConsensusPolicy()  # of even draws; nothing else of it is asked here


async def drawn(tx: Transaction, task: Task, workers: Sequence[str]) -> Draws:
    """The dice are the task's id and how many answers it has that count (`voices`): asked twice, the same."""
    answers, _ = answers_of(await turns(tx, task.id), task)
    vouching = voices({one.assignment.worker_id: doubts_of(one.verdicts) for one in answers})
    given = [
        Answer(worker=one.assignment.worker_id, output=one.submission.output)
        for one in answers
        if one.assignment.worker_id in vouching
    ]
    everybody = sorted({*workers, *(one.worker for one in given)})
    counters, _ = await book.counters(tx, task.task_type, task.environment, everybody)
    known = Book(
        pool=counts_of(counters.pop(POOL, [])),
        workers={worker: counts_of(rows) for worker, rows in counters.items()},
    )
    pick = next_worker(task.id, given, workers, known, _SHARE, task.output_schema)
    return Draws(how=pick.how, by_worker=dict(pick.draws))
