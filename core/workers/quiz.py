"""The qualification quiz of a skill: a bank of questions from `config/quizzes/*.yaml`, what is drawn of it, and how an
attempt is marked. Pure; `quizzes.py` keeps the attempts. Which answer is right never leaves this module: a page gets
`shown`, an attempt keeps what was chosen, the worker reads how many were right."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from core.errors import Invalid


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One question with one right option. `id` is kept in attempts: change it with the question."""

    id: str
    text: str
    options: list[str]
    right: str


class Quiz(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`draw` questions out of the bank, `needed` of them right, within `minutes`. After a failure the next try is open
    in `cooldown_hours`; after `tries` only an operator grants the skill, which lapses after `valid_days` (0: never)."""

    skill: str
    title: str
    about: str = ""
    draw: Annotated[int, Meta(ge=5, le=10)] = 6
    needed: Annotated[int, Meta(ge=1, le=10)] = 5
    minutes: Annotated[int, Meta(ge=1, le=240)] = 15
    cooldown_hours: Annotated[int, Meta(ge=0, le=2_160)] = 24
    tries: Annotated[int, Meta(ge=1, le=100)] = 3
    valid_days: Annotated[int, Meta(ge=0, le=3_650)] = 365
    questions: list[Question]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A question as a worker sees it; the options in the order drawn."""

    id: str
    text: str
    options: list[str]


Drawn = Sequence[Sequence[Any]]  # [question id, [places of its options in the order shown]] each


def check(quiz: Quiz) -> None:
    """Raises Invalid, which names what to mend in the bank."""
    ids = [one.id for one in quiz.questions]
    wrong: dict[str, str] = {}
    if len(quiz.questions) < quiz.draw:
        wrong["questions"] = (
            f"{quiz.draw} are drawn and there are {len(quiz.questions)}; twice as many are better"
        )
    if quiz.needed > quiz.draw:
        wrong["needed"] = f"No more than draw, which is {quiz.draw}"
    for number, one in enumerate(quiz.questions):
        if ids.count(one.id) > 1:
            wrong[f"questions[{number}].id"] = f"{one.id!r} is used twice"
        if not 2 <= len(one.options) <= 8 or len(set(one.options)) < len(one.options):
            wrong[f"questions[{number}].options"] = "2 to 8 different ones"
        if one.right not in one.options:
            wrong[f"questions[{number}].right"] = "Must be one of the options, to the letter"
    if wrong:
        raise Invalid("quiz", f"The quiz of {quiz.skill} cannot be used", field_errors=wrong)


def draw(quiz: Quiz, dice: random.Random) -> list[list[Any]]:
    """A fresh choice of questions, each with its options in a fresh order."""
    return [
        [one.id, dice.sample(range(len(one.options)), len(one.options))]
        for one in dice.sample(quiz.questions, quiz.draw)
    ]


def shown(quiz: Quiz, drawn: Drawn) -> list[Shown]:
    """In the order drawn. A question that left the bank meanwhile is left out; it counts as right."""
    bank = {one.id: one for one in quiz.questions}
    return [
        Shown(id=name, text=bank[name].text, options=[bank[name].options[place] for place in order])
        for name, order in drawn
        if name in bank and len(order) == len(bank[name].options)
    ]


def mark(quiz: Quiz, drawn: Drawn, chosen: Mapping[str, int | None]) -> int:
    """How many are right; `chosen` is the place of the option as it was shown, by question. Raises Invalid for a place
    that was not shown."""
    asked = {one.id: one for one in shown(quiz, drawn)}
    rights = {one.id: one.right for one in quiz.questions}
    right = len(drawn) - len(asked)
    for name, one in asked.items():
        place = chosen.get(name)
        if place is None:
            continue
        if not 0 <= place < len(one.options):
            raise Invalid(
                "quiz_answer",
                "This is not one of the options",
                field_errors={name: "Choose one that is shown"},
            )
        right += one.options[place] == rights[name]
    return right
