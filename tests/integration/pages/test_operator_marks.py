"""The operator's page of marks: how somebody was caught, in words, and an operator's word that ends it."""

from __future__ import annotations

from core.verification.anomaly import marks
from core.verification.anomaly.suspicion import MarkKind, Suspicion
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
