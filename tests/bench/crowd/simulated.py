"""Writes label sets of simulated crowds into a folder, for the benchmark `consensus` on what no real set has:
`python -m tests.bench.crowd.simulated FOLDER`, then `CROWD=FOLDER make bench ONLY=consensus`. Each is hard in its own
way; nothing of consensus was set by them."""

from __future__ import annotations

import csv
import random
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Kind:
    """`right`: the lowest and highest accuracy of a worker; `first`: how often the first option is true; `hard`: the share of
    tasks at which everybody is worse by `worse`; `together`: of the mistakes, how many are the same for all at that task."""

    options: int = 3
    right: tuple[float, float] = (0.6, 0.95)
    first: float = 1 / 3
    hard: float = 0.0
    worse: float = 0.0
    together: float = 0.0
    clique: int = 0  # workers who copy one another, right in half of the tasks


KINDS = {
    "easy": Kind(right=(0.8, 0.98)),
    "poor": Kind(right=(0.35, 0.75)),
    "rare": Kind(options=2, first=0.92, right=(0.6, 0.95)),
    "correlated": Kind(hard=0.3, worse=0.45, together=0.8),
    "just_over": Kind(options=2, first=0.5, right=(0.85, 0.95), hard=0.22, worse=0.4, together=1.0),
    "clique": Kind(options=4, first=0.25, clique=12),
}
TASKS, WORKERS, ANSWERS = 1000, 60, 8


def write(folder: Path, name: str, kind: Kind) -> None:
    dice = random.Random(name)
    options = [f"o{number}" for number in range(kind.options)]
    skill = [dice.uniform(*kind.right) for _ in range(WORKERS)]
    (folder / name).mkdir(parents=True, exist_ok=True)
    with (
        (folder / name / "label.csv").open("w", newline="", encoding="utf-8") as labels,
        (folder / name / "truth.csv").open("w", newline="", encoding="utf-8") as truths,
    ):
        given, true = csv.writer(labels), csv.writer(truths)
        given.writerow(("item", "worker", "label"))
        true.writerow(("item", "truth"))
        for task in range(TASKS):
            truth = options[0] if dice.random() < kind.first else dice.choice(options[1:])
            wrong = [option for option in options if option != truth]
            usual, copied = dice.choice(wrong), truth if dice.random() < 0.5 else dice.choice(wrong)
            less = kind.worse if dice.random() < kind.hard else 0.0
            true.writerow((f"t{task}", truth))
            for worker in dice.sample(range(WORKERS), ANSWERS):
                label = truth
                if worker < kind.clique:
                    label = copied
                elif dice.random() >= skill[worker] - less:
                    label = usual if dice.random() < kind.together else dice.choice(wrong)
                given.writerow((f"t{task}", f"w{worker}", label))


if __name__ == "__main__":
    for each, how in KINDS.items():
        write(Path(sys.argv[1]), each, how)
