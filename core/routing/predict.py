"""How long a worker will take for a task of a type, and how likely the answer comes in time. Pure; `times.py` keeps what
is learnt in the database, `score.py`, `sla.py` and the simulator ask.

ln(seconds) is near normal. Its middle is a sum of what all answers, those of the task type, those of the worker and those
of the worker in the type have shown, each drawn towards nothing while there is little of it (shrinkage):

    mu      = m + b n/(n+20) + w n/(n+3) + p n/(n+5) + off(how many answers this worker has given in the type)
    sigma^2 = (n v + 8 s^2)/(n+8) + tau^2 3/(n+3)
    P90     = exp(mu + z sigma),   z += .02 ((t > P90) - .1)      online conformal, by how new the worker is

`off` is the learning curve: on 24,032 real assignments the first answer of a worker took twice as long as the eleventh.
Work that did not end (taken back, answered by somebody else) counts as "at least so long": one step of an online Tobit,
E[y | y > c] = mu + sigma h(a), h the normal hazard at a = (ln c - mu)/sigma; weighed by the chance that the person had not
walked away, which is what the same silence may mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

import msgspec

Z90 = 1.2815515655446004
_NORMAL = NormalDist()
_ROOT_2, _ROOT_2_PI = math.sqrt(2), math.sqrt(2 * math.pi)

# The learning curve starts as it was measured: how much longer the 1st, 2nd, 3rd, 4th-6th, 7th-11th answer takes.
CURVE = (math.log(2.0), math.log(1.4), math.log(1.29), math.log(1.25), math.log(1.11))
_CURVE_FROM = (0, 1, 2, 3, 6, 11)
NEWCOMER = 3  # answers below which somebody is new, to the hub or to the type

# What is believed before anything was seen, and as how many answers it counts.
_LEVEL_WEIGHT, _CURVE_WEIGHT, _SPREAD_WEIGHT = 3.0, 10.0, 20.0
_WITHIN, _BETWEEN = 0.62, 0.23  # variances of ln(seconds): .79^2 within a worker, 27 % of all between them
_GONE, _GONE_WEIGHT = 0.03, 20.0
_TAKES, _TAKES_WEIGHT = 0.75, 8.0
_SHRINK = {"kind": 20.0, "worker": 3.0, "pair": 5.0}
_STEP = 0.02
_MOST_SIGMAS = 4.0  # further out than this an answer says no more than this (a night's sleep in between)


def _half_life(answers: float) -> float:
    return 0.5 ** (1 / answers)


_FORGET = {
    "all": _half_life(2_000),
    "kind": _half_life(500),
    "worker": _half_life(10),
    "pair": _half_life(10),
}
_FORGET_PROMISES = _half_life(50)


class Tally(msgspec.Struct, frozen=True):
    """A sum that forgets: `n` the weight of what was seen, `total` and `square` its sums, `count` all of it, unforgotten."""

    n: float = 0.0
    total: float = 0.0
    square: float = 0.0
    count: int = 0


class Step(msgspec.Struct, frozen=True):
    """What one piece of evidence does to a tally: everything times `keep`, then the rest added. Two steps on one row can
    follow each other in any order without either being lost, which is how the database applies them."""

    keep: float = 1.0
    n: float = 0.0
    total: float = 0.0
    square: float = 0.0
    count: int = 0

    def on(self, tally: Tally) -> Tally:
        return Tally(
            tally.n * self.keep + self.n,
            tally.total * self.keep + self.total,
            tally.square * self.keep + self.square,
            tally.count + self.count,
        )

    def after(self, first: Step) -> Step:
        """Both in one: `first`, then this."""
        total = self.on(Tally(first.n, first.total, first.square, first.count))
        return Step(first.keep * self.keep, total.n, total.total, total.square, total.count)


class State(msgspec.Struct, frozen=True):
    """What is known for one worker and one task type. A part is named `scope:what`; the scope is `all`, `kind` (the task
    type), `worker` or `pair` (both). `typical_seconds` is believed before the first answer."""

    parts: Mapping[str, Tally] = {}
    typical_seconds: float = 180.0

    def of(self, part: str) -> Tally:
        return self.parts.get(part, _NOTHING)


_NOTHING = Tally()


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """ln(seconds from accepting to answering) is normal with `mu` and `sigma`, the latter as the conformal step has
    corrected it. `gone` is the chance that they never answer, `takes` the chance that they accept an offer."""

    mu: float
    sigma: float
    p50_seconds: float
    p90_seconds: float
    gone: float = 0.0
    takes: float = 1.0


def predict(state: State) -> Prediction:
    level, kind, worker, pair, curve = _effects(state)
    mu, sigma = level + kind + worker + pair + curve, _sigma(state)
    sigma *= max(0.2, 1 + state.of(_z_part(state)).total / Z90)
    stays = state.of("worker:stays")
    offers = state.of("worker:offers")
    return Prediction(
        mu=mu,
        sigma=sigma,
        p50_seconds=math.exp(mu),
        p90_seconds=math.exp(mu + Z90 * sigma),
        gone=(stays.total + _GONE * _GONE_WEIGHT) / (stays.n + _GONE_WEIGHT),
        takes=(offers.total + _TAKES * _TAKES_WEIGHT) / (offers.n + _TAKES_WEIGHT),
    )


def typical(state: State) -> float:
    """Seconds that half of all answers of the type take, of people who know it."""
    level, kind, *_ = _effects(state)
    return math.exp(level + kind)


def in_time(prediction: Prediction, seconds_left: float, elapsed: float = 0.0) -> float:
    """The chance that the answer comes within `seconds_left` from now, given that it has not come in `elapsed` seconds of
    work: 1 - S(elapsed + left)/S(elapsed), with the chance that they are gone mixed in. 0 without time."""
    if seconds_left <= 0:
        return 0.0
    still = survival(prediction, elapsed)
    end = survival(prediction, elapsed + seconds_left)
    present = (1 - prediction.gone) * still
    if present <= 0:
        return 0.0
    return (1 - prediction.gone) * (still - end) / (prediction.gone + present)


def survival(prediction: Prediction, seconds: float) -> float:
    """The chance that somebody who stays takes longer than that."""
    if seconds <= 0:
        return 1.0
    return 0.5 * math.erfc((math.log(seconds) - prediction.mu) / (prediction.sigma * _ROOT_2))


def worry_after(prediction: Prediction, seconds_left: float, limit: float) -> float | None:
    """After how many seconds of work the chance to be late, with the deadline `seconds_left` after the start, passes
    `limit` (0 to 1): 0 when it does from the start, None when it does not before the deadline."""
    gone, end = prediction.gone, survival(prediction, seconds_left)
    # P(late | e) = (gone + (1-gone) S(end)) / (gone + (1-gone) S(e)) > limit
    still = ((gone + (1 - gone) * end) / limit - gone) / (1 - gone)
    if still >= 1:
        return 0.0
    if still <= end:
        return None
    return math.exp(prediction.mu + prediction.sigma * _NORMAL.inv_cdf(1 - still))


def learn(state: State, seconds: float, censored: bool) -> dict[str, Step]:
    """What an answer after `seconds` of work says, or work that had not ended by then (`censored`)."""
    level, kind, worker, pair, curve = _effects(state)
    mu, prediction = level + kind + worker + pair + curve, predict(state)
    sigma = prediction.sigma
    y, weight = math.log(min(max(seconds, 1.0), 1e7)), 1.0
    above = y > mu + Z90 * sigma
    square = min(abs(y - mu), _MOST_SIGMAS * sigma) ** 2
    if censored:
        a = (y - mu) / sigma
        weight = 1 - _gone_after(prediction, seconds)
        y, square = (
            mu + sigma * min(_hazard(a), _MOST_SIGMAS),
            sigma**2 * min(1 + a * _hazard(a), _MOST_SIGMAS**2),
        )
    y = min(max(y, mu - _MOST_SIGMAS * sigma), mu + _MOST_SIGMAS * sigma)
    over, count = y - mu, 0 if censored else 1

    def step(scope: str, effect: float) -> Step:
        return Step(_FORGET[scope], weight, weight * (over + effect), weight * square, count)

    steps = {
        "worker:time": step("worker", worker),
        "pair:time": step("pair", pair),
        "kind:time": step("kind", kind),
        "all:time": step("all", level),
        "worker:stays": Step(_FORGET_PROMISES, 1.0, 1 - weight, 0.0, 1),
    }
    number = _bucket(state)
    if number < len(CURVE):
        steps[f"all:curve{number}"] = step("all", curve)
    spread = _spread_part(state)
    if spread is not None:
        steps[spread] = step("all", 0.0)
    if above or not censored:
        steps[_z_part(state)] = Step(1.0, weight, weight * _STEP * (above - 0.1), 0.0, 1)
    return steps


def observe(state: State, seconds: float, censored: bool) -> State:
    """The state after that evidence; `learn` applied in memory, as `times.py` applies it in the database."""
    return apply(state, learn(state, seconds, censored))


def apply(state: State, steps: Mapping[str, Step]) -> State:
    changed = {part: step.on(state.of(part)) for part, step in steps.items()}
    return State({**state.parts, **changed}, state.typical_seconds)


def summary(state: State) -> dict[str, Step]:
    """What routing reads of so much evidence, as rows that replace what was there (`keep` 0): the prediction for this worker
    and type, for the worker whatever the type, and for a newcomer of the type. `n` is mu, `total` sigma, `square` gone."""
    found: dict[str, Step] = {}
    for part, scopes in (
        ("pair:known", ("all", "kind", "worker", "pair")),
        ("worker:known", ("all", "worker")),
        ("kind:known", ("all", "kind")),
    ):
        seen = {name: tally for name, tally in state.parts.items() if name.partition(":")[0] in scopes}
        one = predict(State(seen, state.typical_seconds))
        found[part] = Step(0.0, one.mu, one.sigma, one.gone, 0)
    return found


def read_back(tally: Tally) -> Prediction:
    """A row of `summary`."""
    mu, sigma = tally.n, tally.total
    p50, p90 = math.exp(mu), math.exp(mu + Z90 * sigma)
    return Prediction(mu=mu, sigma=sigma, p50_seconds=p50, p90_seconds=p90, gone=tally.square)


def gave_up() -> dict[str, Step]:
    """They handed it back: nothing about their speed, something about whether they stay."""
    return {"worker:stays": Step(_FORGET_PROMISES, 1.0, 1.0, 0.0, 1)}


def answered_offer(*, accepted: bool) -> dict[str, Step]:
    return {"worker:offers": Step(_FORGET_PROMISES, 1.0, 1.0 if accepted else 0.0, 0.0, 1)}


def _effects(state: State) -> tuple[float, float, float, float, float]:
    everyone, number = state.of("all:time"), _bucket(state)
    typical = math.log(state.typical_seconds)
    level = (everyone.total + _LEVEL_WEIGHT * typical) / (everyone.n + _LEVEL_WEIGHT)
    curve = 0.0
    if number < len(CURVE):
        seen = state.of(f"all:curve{number}")
        curve = (seen.total + _CURVE_WEIGHT * CURVE[number]) / (seen.n + _CURVE_WEIGHT)
    kind, worker, pair = (
        state.of(f"{scope}:time").total / (state.of(f"{scope}:time").n + k) for scope, k in _SHRINK.items()
    )
    return level, kind, worker, pair, curve


def _sigma(state: State) -> float:
    worker, later, first = state.of("worker:time"), state.of("all:later"), state.of("all:first")
    within = (later.square + _WITHIN * _SPREAD_WEIGHT) / (later.n + _SPREAD_WEIGHT)
    both = (first.square + (_WITHIN + _BETWEEN) * _SPREAD_WEIGHT) / (first.n + _SPREAD_WEIGHT)
    between = max(0.02, both - within)
    own = (worker.square + 8 * within) / (worker.n + 8)
    return math.sqrt(max(own, 0.01) + between * 3 / (worker.n + 3))


def _bucket(state: State) -> int:
    answers = state.of("pair:time").count
    return sum(1 for start in _CURVE_FROM if answers >= start) - 1


def _spread_part(state: State) -> str | None:
    """A worker's first answer shows the spread between and within workers, a later one that within."""
    seen = state.of("worker:time").count
    return "all:first" if seen == 0 else "all:later" if seen >= 8 else None


def _z_part(state: State) -> str:
    if state.of("worker:time").count < NEWCOMER:
        return "all:z_new"
    return "all:z_new_to_type" if state.of("pair:time").count < NEWCOMER else "all:z"


def _gone_after(prediction: Prediction, seconds: float) -> float:
    """The chance that somebody who has not answered for so long is gone."""
    gone, still = prediction.gone, (1 - prediction.gone) * survival(prediction, seconds)
    return gone / (gone + still)


def _hazard(a: float) -> float:
    """phi(a)/(1 - Phi(a)); its own asymptote where the fraction has no digits left."""
    if a > 30:
        return a + 1 / a
    return math.exp(-a * a / 2) / _ROOT_2_PI / (0.5 * math.erfc(a / _ROOT_2))
