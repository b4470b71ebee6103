"""The operator's page of marks: how somebody was caught, in words, and an operator's word that ends it."""

from __future__ import annotations

from core.tasks.model import Environment
from core.verification import marked
from core.verification.anomaly import marks
from core.verification.anomaly.suspicion import MarkKind, Suspicion
from core.verification.policy import Marks
from tests.integration.pages.conftest import Stage, words


async def test_a_mark_says_how_and_is_closed_with_a_word(stage: Stage) -> None:
    worker = stage.worker.id
    why = Suspicion(
        kind=MarkKind.CONSTANT,
        p=3e-9,
        words="the same choice in 40 of 40 answers; the questions explain 22",
        evidence={"times": 40, "of": 40},
    )
    async with stage.services.work.begin("anomaly.workers") as tx:
        mark = await marks.opened(tx, worker, "triage", why)
    assert mark is not None
    page = await stage.operator.http.get("/operator/marks")
    assert page.status_code == 200
    text = words(page.text)
    assert "the same choice in 40 of 40 answers; the questions explain 22" in text
    assert "3e-09" in text
    silent = await stage.operator.post(f"/operator/marks/{mark.id}/close", note=" ")
    assert silent.status_code == 422
    assert "Say in a sentence what you found." in words(silent.text)
    done = await stage.operator.post(f"/operator/marks/{mark.id}/close", note="A test account")
    assert done.status_code == 303
    assert "Nothing odd." in words((await stage.operator.http.get("/operator/marks")).text)
    theirs = await stage.operator.http.get(f"/operator/marks/{worker}")
    assert "A test account" in words(theirs.text)


async def test_a_worker_does_not_see_it(stage: Stage) -> None:
    assert (await stage.worker.http.get("/operator/marks")).status_code in (403, 404)


async def test_pay_that_waits_is_seen_by_both_and_refused_with_a_word(stage: Stage) -> None:
    worker = stage.worker.id
    why = Suspicion(kind=MarkKind.FAST, p=1e-9, words="10 of the last 10 answers: too fast", evidence={})
    task = await stage.offer("question")
    await stage.hub.accept((await stage.hub.assignments(task))[0])
    [turn] = await stage.hub.assignments(task)
    await stage.hub.submit(turn, {"answer": "It was the cache"})
    await stage.hub.drain()
    everywhere = Marks(hold_pay=[Environment.TEST])
    async with stage.services.work.begin("anomaly.workers") as tx:
        mark = await marks.opened(tx, worker, "question", why)
        [payout] = await marked.hold_unpaid(tx, worker, "test", everywhere)
    assert mark is not None
    listed = words((await stage.operator.http.get("/operator/marks")).text)
    assert "Pay that waits for a look" in listed
    assert payout in listed
    assert "marked: fast" in listed
    assert "1 payout waits until somebody has looked" in words(
        (await stage.operator.http.get("/operator/payouts")).text
    )
    theirs = words((await stage.worker.http.get("/worker/money")).text)
    assert "Held while somebody looks at it" in theirs
    assert "1 payout waits until somebody has looked" in theirs
    assert "fast" not in theirs  # what gave them away is the operator's to know
    assert (await stage.worker.post(f"/operator/marks/{mark.id}/confirm", note="Me")).status_code in (
        403,
        404,
    )
    assert (await stage.operator.post(f"/operator/marks/{mark.id}/confirm", note=" ")).status_code == 422
    done = await stage.operator.post(f"/operator/marks/{mark.id}/confirm", note="Not read at all")
    assert done.status_code == 303
    after = words((await stage.operator.http.get("/operator/marks")).text)
    assert "confirmed" in after
    assert "Pay that waits for a look" not in after
    theirs = words((await stage.worker.http.get("/worker/money")).text)
    assert "Not paid: the answer was not accepted" in theirs
    assert "Not read at all" in theirs
    assert f"/worker/assignments/{turn.id}" in (await stage.worker.http.get("/worker/history")).text
    assert "Ask for another look" in (await stage.worker.http.get(f"/worker/assignments/{turn.id}")).text
    trail = words((await stage.operator.http.get(f"/operator/payouts/{payout}")).text)
    assert "marked: fast: withheld" in trail
