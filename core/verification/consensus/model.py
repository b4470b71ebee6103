"""The shapes that go in and out of consensus; every other file here works on them. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

# One counter of one owner: (field, truth, answer). `field` is the JSON pointer of a leaf of the answer, "" for a count that all
# fields share. The words in the second place are in `counts.py`; options are canonical JSON texts ("true", "\"high\"").
Key = tuple[str, str, str]
Counts = Mapping[Key, float]
POOL = ""  # the owner of the counters of the whole task type; every other owner is a worker's id


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's answer to the task that is judged. `output` is the JSON value as the worker gave it (schema and
    rules have passed). One answer per worker: `judge` raises ValueError otherwise."""

    worker: str
    output: Any


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a task type before this task: counters of the pool and of those workers who answered (a worker
    that is not in it is new). Load one task type's rows of the owners POOL and the answerers."""

    pool: Counts = {}
    workers: Mapping[str, Counts] = {}
    certificate: Certificate | None = None  # None: the task type is not certified (or is not to be)


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """From the audited tasks of one task type: answers of raw confidence >= `threshold` are wrong at most with
    probability `bound` (certain to `ConsensusPolicy.certainty`). Made by `certify`."""

    threshold: float
    bound: float
    audits: int  # audited tasks at or above the threshold
    wrong: int  # how many of those were wrong


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """One finished task that was drawn at random for QA (never picked because it looked doubtful): its raw confidence
    when it was judged, and whether QA found its answer wrong in what counts (see `agreed.wrong`)."""

    confidence: float
    wrong: bool


class ConsensusPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator or the plan decides. Probabilities in 0..1; `loss` and `price` in one unit (only their ratio
    counts): what a wrong answer costs, what one more answer costs."""

    rho: float | None = (
        0.05  # promised upper bound of error; None: released by raw confidence, without a promise
    )
    certainty: float = 0.95  # how sure a certificate is
    release: float = 0.95  # raw confidence at which an answer is released when `rho` is None
    least: int = 2  # answers before anything is decided
    most: int = 5  # answers at most; then QA
    loss: float = 150.0
    price: float = 1.0
    random_share: float = 0.1  # of the next workers, drawn evenly among the eligible
    text_likeness: float = 0.8  # a free text agrees with the result from this token similarity on


class Kind(StrEnum):
    VERIFIED = "verified"
    ANOTHER = "another"  # ask one more worker
    QA = "qa"  # a person of QA decides (or a worker of a higher tier)


class FieldResult(msgspec.Struct, frozen=True, kw_only=True):
    """The consensus of one leaf. `pointer` is its JSON pointer (members of keyed arrays: /lines/{"sku":"7"}/qty)."""

    pointer: str
    value: Any  # None when `present` is false
    present: bool
    confidence: float  # probability that value (within tolerance) and presence are right
    critical: bool
    options: dict[str, float] = {}  # posterior by option (canonical JSON), for closed fields; largest 8


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a worker's answer agrees with the output; those who do are paid. `differs` says in words, by pointer,
    what does not (for the worker: it names no other worker and shows no other answer but the result)."""

    worker: str
    agreed: bool
    share: float  # of the fields, how many agree
    differs: dict[str, str] = {}


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done now, and everything it rests on; stored as it is, so that a replay can be compared."""

    kind: Kind
    reason: (
        str  # stable code: certified, confident, too_few, worth_more, uncertified, not_confident, unassembled
    )
    output: Any  # the assembled answer; also for `another` and `qa`, as the best so far
    confidence: float  # raw: probability that all critical fields are right
    bound: float | None  # calibrated upper bound of error at this confidence; None: uncertified
    audits: int  # audited tasks behind the bound
    fields: tuple[FieldResult, ...]
    agreements: tuple[Agreement, ...]  # with `output`, sorted by worker
    value: float  # of one more answer, in units of `loss`: > price means that it is worth it
    source: str = "fields"  # put together field by field; "worker": one worker's whole answer; "none": it satisfies nothing


class Alone(msgspec.Struct, frozen=True, kw_only=True):
    """How likely a worker's answer is right by all but itself (the others, gold, a reviewer), the mean over its fields;
    `chance` is what a guess would be, `usual` what anybody's answer is."""

    worker: str
    right: float
    chance: float
    usual: float


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """Additive changes of the counters of one task type, sorted: (owner, key, delta). Apply each as `value = value + delta`,
    in any order. Keep them with the task: `undo` gives what takes them back when QA or an appeal finds another truth.
    `alone` is for the alarms over the workers, by worker; it is no counter and is not kept."""

    add: tuple[tuple[str, Key, float], ...] = ()
    alone: tuple[Alone, ...] = ()
