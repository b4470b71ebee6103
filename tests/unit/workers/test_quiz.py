"""Drawing and marking, and that a page never gets what is right."""

from __future__ import annotations

import random

import msgspec
import pytest

from core.errors import Invalid
from core.workers.quiz import Question, Quiz, check, draw, mark, shown

QUIZ = Quiz(
    skill="law",
    title="Law",
    questions=[
        Question(id=f"q{n}", text=f"What is {n}?", options=["a", "b", f"right {n}"], right=f"right {n}")
        for n in range(12)
    ],
)


def test_a_draw_is_part_of_the_bank_and_another_each_time() -> None:
    draws = [draw(QUIZ, random.Random(seed)) for seed in range(50)]
    assert all(len({name for name, _ in one}) == 6 for one in draws)
    assert len({msgspec.json.encode(one) for one in draws}) == 50
    assert {name for one in draws for name, _ in one} == {one.id for one in QUIZ.questions}


def test_marking_goes_by_the_order_that_was_shown() -> None:
    drawn = draw(QUIZ, random.Random(1))
    asked = shown(QUIZ, drawn)
    right = {
        one.id: next(n for n, text in enumerate(one.options) if text.startswith("right")) for one in asked
    }
    assert mark(QUIZ, drawn, right) == 6
    assert mark(QUIZ, drawn, {}) == 0
    assert mark(QUIZ, drawn, dict(list(right.items())[:4]) | {"other": 0}) == 4
    with pytest.raises(Invalid):
        mark(QUIZ, drawn, {asked[0].id: 3})


def test_what_is_shown_has_no_answer_in_it() -> None:
    assert set(msgspec.structs.asdict(shown(QUIZ, draw(QUIZ, random.Random(1)))[0])) == {
        "id",
        "text",
        "options",
    }


def test_a_question_that_left_the_bank_counts_as_right() -> None:
    drawn = draw(QUIZ, random.Random(1))
    gone = msgspec.structs.replace(QUIZ, questions=[one for one in QUIZ.questions if one.id != drawn[0][0]])
    assert len(shown(gone, drawn)) == 5
    assert mark(gone, drawn, {}) == 1


def test_a_bank_that_cannot_work_is_told() -> None:
    bad = Quiz(
        skill="law",
        title="Law",
        needed=7,
        questions=[Question(id="q", text="?", options=["a", "a"], right="c")] * 2,
    )
    with pytest.raises(Invalid) as refused:
        check(bad)
    assert set(refused.value.field_errors) >= {"questions", "needed", "questions[0].id", "questions[1].right"}
    check(QUIZ)
