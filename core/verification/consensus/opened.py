"""The consensus of what has no list of options: exact strings, short texts, lists. Equal after normalisation is the
same; where no two are the same, the answer that lies closest to the others, weighted by reliability (medoid by token
Levenshtein). Called by `fields.py` and `close.py`.

Hypotheses: one of the given answers is right, or none of them is. A worker gives the right one with probability a_j;
two wrong ones coincide with probability COINCIDENCE. One answer alone is then as sure as its worker is reliable."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from core.verification.consensus.leaves import normal
from core.verification.consensus.plan import FieldKind, canonical
from core.verification.consensus.posterior import softmax

COINCIDENCE = 0.1  # that two wrong answers are the same one


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """`groups`: which answers are the same, by worker; `options`: the posterior by group."""

    value: Any
    confidence: float
    second: float
    options: dict[str, float]
    groups: dict[str, str]


def consensus(
    kind: FieldKind, votes: Mapping[str, Any], right: Mapping[str, float], likeness: float
) -> Opened:
    """`right`: each worker's accuracy in the field, strictly between 0 and 1."""
    forms = {worker: text(kind, value) for worker, value in votes.items()}
    groups = forms
    if kind in (FieldKind.TEXT, FieldKind.LIST) and len(set(forms.values())) > 1:
        groups = _gathered(kind, votes, forms, right, likeness)
    options = posterior(groups, right)
    best = min(options, key=lambda group: (-options[group], group))
    if kind is FieldKind.WHOLE:  # all of a group are the same
        value = next(votes[worker] for worker in sorted(votes) if forms[worker] == best)
    else:
        value = _representative(votes, forms, right, best)
    second = max((p for group, p in options.items() if group != best), default=1.0 - options[best])
    return Opened(value=value, confidence=options[best], second=second, options=options, groups=groups)


def posterior(groups: Mapping[str, str], right: Mapping[str, float]) -> dict[str, float]:
    """P(group is right) by group; what is missing to 1 is that none of them is."""
    names = sorted(set(groups.values()))
    sizes = {name: sum(group == name for group in groups.values()) for name in names}
    coincide = {name: (size - 1) * math.log(COINCIDENCE) for name, size in sizes.items()}
    wrong = {worker: math.log1p(-right[worker]) for worker in groups}
    none = math.fsum([*wrong.values(), *coincide.values()])
    logs = [
        math.fsum(
            [math.log(right[worker]) if group == name else wrong[worker] for worker, group in groups.items()]
            + [one for other, one in coincide.items() if other != name]
        )
        for name in names
    ]
    return dict(zip(names, softmax([*logs, none])[:-1], strict=True))


def text(kind: FieldKind, value: Any) -> str:
    """Equal texts, equal answers."""
    if kind is FieldKind.TEXT and isinstance(value, str):
        return normal(value)
    if kind is FieldKind.WHOLE:
        return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()
    return value.strip() if isinstance(value, str) else canonical(value)


def likeness_of(kind: FieldKind, one: Any, other: Any) -> float:
    """1 for the same, 0 for nothing in common: 1 - token Levenshtein / longer length (words of a text, members of
    a list)."""
    return _alike(tokens(kind, one), tokens(kind, other))


def _alike(one: list[str], other: list[str]) -> float:
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.normalized_similarity(one, other)


def tokens(kind: FieldKind, value: Any) -> list[str]:
    if kind is FieldKind.LIST and isinstance(value, list):
        return [canonical(member) for member in cast("list[Any]", value)]
    return text(kind, value).split()


def _gathered(
    kind: FieldKind,
    votes: Mapping[str, Any],
    groups: Mapping[str, str],
    right: Mapping[str, float],
    likeness: float,
) -> dict[str, str]:
    """Answers that are like the medoid count as the same as it; the others stay by themselves."""
    value_of = {group: votes[worker] for worker, group in sorted(groups.items(), reverse=True)}
    names = sorted(value_of)
    words = {name: tokens(kind, value_of[name]) for name in names}
    like = {(a, b): _alike(words[a], words[b]) for a in names for b in names if a < b}

    def between(a: str, b: str) -> float:
        return 1.0 if a == b else like[(a, b) if a < b else (b, a)]

    support = {
        name: math.fsum(right[worker] * between(name, group) for worker, group in groups.items())
        for name in names
    }
    medoid = min(names, key=lambda name: (-support[name], name))
    return {
        worker: medoid if between(medoid, group) >= likeness else group for worker, group in groups.items()
    }


def _representative(
    votes: Mapping[str, Any], groups: Mapping[str, str], right: Mapping[str, float], group: str
) -> Any:
    """How most (by reliability) of those wrote it who gave just this; ties by the text."""
    weight: dict[str, float] = {}
    value: dict[str, Any] = {}
    for worker in sorted(votes):
        if groups[worker] == group:
            form = canonical(votes[worker])
            weight[form] = weight.get(form, 0.0) + right[worker]
            value[form] = votes[worker]
    return value[min(weight, key=lambda form: (-weight[form], form))]
