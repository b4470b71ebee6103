"""The peers' accuracy on all labels of one set: majority vote, Dawid-Skene, one-coin and MACE of crowd-kit. Run by
`peers_of` with the Python of crowd-kit's own venv, one method a process, so that a slow one can be stopped:
`python peers.py FOLDER METHOD` prints one JSON line."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PYTHON = HERE / ".venv-crowdkit" / "bin" / "python"
METHODS = ("majority", "dawid_skene", "one_coin", "mace")
# One thread each, so that the limit means the same on every machine.
_ALONE = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
LIMIT_SECONDS = 240  # of processor time for one method on one set


def install() -> None:
    if not PYTHON.exists():
        subprocess.run([str(HERE / "install.sh"), sys.executable], check=True)


def peers_of(folder: Path) -> dict[str, float | str]:
    """Accuracy by method; a word in its place where it was stopped."""
    found: dict[str, float | str] = {}
    for method in METHODS:
        command = [str(PYTHON), str(Path(__file__)), str(folder), method]
        done = subprocess.run(command, capture_output=True, text=True, env=_ALONE)
        if done.returncode == -signal.SIGXCPU:
            found[method] = f"stopped after {LIMIT_SECONDS} s"
        elif done.returncode:
            raise RuntimeError(f"{method} on {folder.name}: {done.stderr[-500:]}")
        else:
            found[method] = json.loads(done.stdout.splitlines()[-1])["accuracy"]
    return found


def _method(name: str) -> Any:
    from crowdkit.aggregation import MACE, DawidSkene, MajorityVote, OneCoinDawidSkene

    return {
        "majority": lambda: MajorityVote(),
        "dawid_skene": lambda: DawidSkene(n_iter=100),
        "one_coin": lambda: OneCoinDawidSkene(n_iter=100),
        "mace": lambda: MACE(n_restarts=10, n_iter=50, random_state=0),
    }[name]()


def _main(folder: str, name: str) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_SECONDS, LIMIT_SECONDS + 5))
    import pandas

    labels = pandas.read_csv(f"{folder}/label.csv", dtype=str)[["item", "worker", "label"]]
    labels.columns = ["task", "worker", "label"]
    truth = pandas.read_csv(f"{folder}/truth.csv", dtype=str).set_index("item")["truth"]
    result = _method(name).fit_predict(labels.drop_duplicates(["task", "worker"]))
    truth = truth[truth.index.isin(result.index)]
    sys.stdout.write(json.dumps({"accuracy": float((result.reindex(truth.index) == truth).mean())}) + "\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
