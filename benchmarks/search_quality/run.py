"""Runs searches and appends one JSON line for each to a file; what is there already is not run again.

    python benchmarks/search_quality/run.py --out results.jsonl --set judging --methods auto optuna-tpe \
        --seeds 10 --budget 50

One process, one thread. Stop it at any time; the same command goes on where it was.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    # Read when the libraries are loaded, so they are set before.
    os.environ.setdefault(_name, "1")

import argparse  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import optuna  # noqa: E402
import tasks  # noqa: E402
from methods import method  # noqa: E402
from task import Task, seed_of  # noqa: E402


def search(name: str, task: Task, *, budget: int, seed: int) -> dict[str, Any] | None:
    """One run; None when the method does not take the task."""
    noise = np.random.default_rng(seed_of(f"{task.name} {seed}"))
    started = time.process_time()
    running = method(name, task, budget=budget, seed=seed)
    if running is None:
        return None
    shown: list[float] = []
    truths: list[float] = []
    while len(shown) < budget:
        assignment = running.ask()
        if assignment is None:
            break
        shown.append(task.observe(assignment, noise))
        truths.append(task.truth(assignment))
        running.tell(assignment, shown[-1])
    return {
        "method": name,
        "task": task.name,
        "budget": budget,
        "seed": seed,
        "cpu_seconds": round(time.process_time() - started, 2),
        "note": running.note,
        "shown": [float(f"{value:.8g}") for value in shown],
        "truths": [float(f"{value:.8g}") for value in truths],
    }


def main() -> None:
    """Runs what is asked for and not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="results, one JSON object a line")
    parser.add_argument("--set", choices=("tuning", "judging"), required=True, help="which tasks")
    parser.add_argument("--tasks", nargs="*", help="only these")
    parser.add_argument("--methods", nargs="+", required=True, help="names of algorithms, optuna-*, skopt-gp")
    parser.add_argument("--seeds", type=int, default=20, help="seeds 0 to N - 1")
    parser.add_argument("--budget", type=int, default=100, help="trials of each run")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    done = set()
    if arguments.out.exists():
        lines = arguments.out.read_text(encoding="utf-8").splitlines()
        done = {
            tuple(json.loads(line)[key] for key in ("method", "task", "budget", "seed")) for line in lines
        }
    chosen = tasks.tuning() if arguments.set == "tuning" else tasks.judging()
    wanted = [task for task in chosen if not arguments.tasks or task.name in arguments.tasks]
    with arguments.out.open("a", encoding="utf-8") as out:
        # Seed by seed, so that a run that is stopped early has every method on every task.
        for seed in range(arguments.seeds):
            for task in wanted:
                for name in arguments.methods:
                    if (name, task.name, arguments.budget, seed) in done:
                        continue
                    line = search(name, task, budget=arguments.budget, seed=seed)
                    if line is not None:
                        out.write(json.dumps(line) + "\n")
                        out.flush()


if __name__ == "__main__":
    main()
