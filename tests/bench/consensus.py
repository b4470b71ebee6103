"""`consensus`: what adaptive consensus makes of real crowds' labels, beside crowd-kit's methods on all labels. The sets
(a folder each: label.csv, truth.csv) are not part of the repository: CROWD=folder, ../shared/crowd by default.

    make bench ONLY=consensus [CROWD=folder] [SEEDS=3] [LARGE_SEEDS=1]

SEEDS are streams of each set (another order of tasks, other gold, other draws); sets of more than LARGE labels have
LARGE_SEEDS. The promise of an error in 95 % of the seeds wants SEEDS=20 LARGE_SEEDS=20 or more: with fewer, `within_aim` is
false. Nothing is set per set."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tests.bench.crowd import peers
from tests.bench.crowd.sets import found, read
from tests.bench.crowd.stream import GOLD_PER_OPTION, POLICY, Released, Run, Stream, released
from tests.bench.harness import percentile, say

ROOT = Path(__file__).parents[2]
LARGE = 50_000  # labels
PROMISES = (0.10, 0.05)
AIM_ACCURACY, AIM_LABELS = (
    0.861,
    3.73 + 0.56,
)  # what the best online method reached over twelve sets, gold included
AIM_SEEDS = 20  # fewer cannot tell 95 % from less
# What research on these methods reached with a tenth of gold: accuracy, labels + gold per task (Thompson, stop at .99).
REFERENCE = {
    "bluebird": (0.843, 6.9 + 1.99),
    "temp": (0.933, 2.4 + 0.45),
    "rte": (0.920, 3.7 + 0.59),
    "cf_amt": (0.843, 3.8 + 1.16),
    "ms": (0.790, 2.6 + 0.17),
    "dog": (0.829, 5.0 + 0.45),
    "face": (0.639, 5.3 + 0.18),
    "sp_amt": (0.936, 2.1 + 1.06),
    "sentiment": (0.951, 3.0 + 0.36),
    "web": (0.847, 5.0 + 0.18),
    "zencrowd_us": (0.871, 3.0 + 0.09),
    "product": (0.926, 1.9 + 0.07),
}


def run() -> dict[str, Any]:
    folder = Path(os.environ.get("CROWD") or ROOT / "../shared/crowd").resolve()
    if not folder.is_dir():
        sys.exit(
            f"consensus: no folder of label sets at {folder}; name one: make bench ONLY=consensus CROWD=folder"
        )
    paths, skipped = found(folder)
    if not paths:
        sys.exit(f"consensus: no label set in {folder}: a set is a folder with label.csv and truth.csv")
    peers.install()
    sets: dict[str, dict[str, Any]] = {}
    with ProcessPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        asked = {path.name: pool.submit(peers.peers_of, path) for path in paths}
        streams = {
            path.name: [pool.submit(one_seed, path, seed) for seed in range(_seeds(path))] for path in paths
        }
        for path in paths:
            runs = [future.result() for future in streams[path.name]]
            sets[path.name] = _of_set(runs, asked[path.name].result())
            say(_line(path.name, sets[path.name]))
    return _summary(sets, skipped)


def one_seed(path: Path, seed: int) -> tuple[Run, dict[float, Released]]:
    done = Stream(read(path), seed).run()
    return done, {rho: released(done.seen, rho, seed) for rho in PROMISES}


def _seeds(path: Path) -> int:
    with (path / "label.csv").open(encoding="utf-8") as file:
        large = sum(1 for _ in file) > LARGE
    return int(os.environ.get("LARGE_SEEDS") or 1) if large else int(os.environ.get("SEEDS") or 3)


def _of_set(runs: list[tuple[Run, dict[float, Released]]], methods: dict[str, float | str]) -> dict[str, Any]:
    streams = [one for one, _ in runs]
    count = len(streams)
    best = max(value for value in methods.values() if isinstance(value, float))
    accuracy = sum(one.accuracy for one in streams) / count
    found: dict[str, Any] = {
        "accuracy": accuracy,
        "stated": sum(one.stated for one in streams) / count,
        "labels": sum(one.labels / one.tasks for one in streams) / count,
        "gold": sum(one.gold / one.tasks for one in streams) / count,
        "peers": methods,
        "best_peer": best,
        "points_to_best": 100 * (accuracy - best),
        "judge_p50_us": 1e6 * percentile([s for one in streams for s in one.judged_seconds], 50),
        "judge_p99_us": 1e6 * percentile([s for one in streams for s in one.judged_seconds], 99),
        "seeds": count,
    }
    for rho in PROMISES:
        promised = [by_rho[rho] for _, by_rho in runs]
        out = sum(one.released for one in promised)
        found[f"rho_{rho:.2f}"] = {
            "kept_seeds": sum(one.kept for one in promised) / count,
            "seeds_with_release": sum(one.released > 0 for one in promised),
            "released_share": out / sum(one.tasks for one in promised),
            "real_error": sum(one.wrong for one in promised) / out if out else None,
            "audited_share": sum(one.audits for one in promised) / sum(one.tasks for one in promised),
        }
    return found


def _line(name: str, one: dict[str, Any]) -> str:
    kept = " ".join(f"rho {rho:.2f} kept {one[f'rho_{rho:.2f}']['kept_seeds']:.2f}" for rho in PROMISES)
    return (
        f"{name}: {one['accuracy']:.3f} (stated {one['stated']:.3f}) @ {one['labels']:.2f} + {one['gold']:.2f} gold, "
        f"best peer {one['best_peer']:.3f}, {kept}"
    )


def _summary(sets: dict[str, dict[str, Any]], skipped: dict[str, str]) -> dict[str, Any]:
    def mean(value: Any) -> float:
        values = [value(one) for one in sets.values()]
        return sum(values) / len(values)

    known = [name for name in sets if name in REFERENCE]
    bought = {name: sets[name]["labels"] + sets[name]["gold"] for name in sets}
    compared = (
        {
            "sets": known,
            "accuracy": sum(sets[name]["accuracy"] for name in known) / len(known),
            "labels": sum(bought[name] for name in known) / len(known),
            "reference_accuracy": sum(REFERENCE[name][0] for name in known) / len(known),
            "reference_labels": sum(REFERENCE[name][1] for name in known) / len(known),
        }
        if known
        else {}
    )
    ours, theirs = mean(lambda one: one["accuracy"]), mean(lambda one: _of(one, "dawid_skene"))
    labels = mean(lambda one: one["labels"] + one["gold"])
    fewest = min(one["seeds"] for one in sets.values())
    within = {
        "accuracy": ours >= AIM_ACCURACY,
        "labels_with_gold": labels <= AIM_LABELS,
        "no_set_below": all(one["points_to_best"] >= -1.5 for one in sets.values()),
        **{
            f"promise_{rho:.2f}": all(one[f"rho_{rho:.2f}"]["kept_seeds"] >= 0.95 for one in sets.values())
            for rho in PROMISES
        },
        "seeds_enough_to_tell": fewest >= AIM_SEEDS,
    }
    return {
        "name": "consensus",
        "value": ours,
        "unit": f"mean accuracy over {len(sets)} sets",
        "reference": theirs,
        "ratio": ours / theirs,
        "labels_with_gold": labels,
        "aim": f"mean accuracy at least {AIM_ACCURACY} at no more than {AIM_LABELS} labels incl. gold; no set more than 1.5 points "
        f"below the best peer; released error at most rho in 95 % of seeds, {AIM_SEEDS} or more",
        "within_aim": all(within.values()),
        "aims": within,
        "against_reference": compared,
        "sets": sets,
        "skipped": skipped,
        "method": f"streams of single tasks through judge/close/next_worker; 10 % of tasks with truth are gold, who is drawn "
        f"answers one of it first until they have had {GOLD_PER_OPTION} per option; loss {POLICY.loss:g} prices, at least {POLICY.least} answers; accuracy at "
        "the moment of closing, on the other tasks; the reference value is crowd-kit's Dawid-Skene on all labels",
    }


def _of(one: dict[str, Any], method: str) -> float:
    value = one["peers"][method]
    return value if isinstance(value, float) else one["best_peer"]
