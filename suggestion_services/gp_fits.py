"""The models of the Experiments asked for last; needs PyTorch."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from katibpy.algo.problem import Problem
from katibpy.algo.space import Space
from suggestion_services.gp_model import Cube, Model
from suggestion_services.gp_results import Results

_MOST_NUMBERS = 8_000_000


@dataclass(frozen=True, slots=True)
class _Kept:
    space: Space
    results: Results
    model: Model


class FitCache:
    """Fits of the Experiments asked for last, so that between two results nothing is fitted again.

    What is kept is compared with the space and the results, so it can neither be stale nor change a reply.
    `_lock` guards the table.
    """

    def __init__(self, capacity: int = _MOST_NUMBERS) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def model(self, problem: Problem, results: Results) -> Model:
        """The model of these results, fitted now if it is not at hand."""
        with self._lock:
            kept = self._kept.get(problem.uid)
        if kept is not None and kept.space == problem.space and _are_equal(kept.results, results):
            return kept.model
        model = Model(Cube(problem.space), results)
        if problem.uid:
            with self._lock:
                self._kept[problem.uid] = _Kept(problem.space, results, model)
                self._kept.move_to_end(problem.uid)
                total = sum(each.model.size for each in self._kept.values())
                while total > self._capacity and len(self._kept) > 1:
                    total -= self._kept.popitem(last=False)[1].model.size
        return model

    def clear(self) -> None:
        """Drops everything; changes nothing but time."""
        with self._lock:
            self._kept.clear()


def _are_equal(one: Results, other: Results) -> bool:
    return (
        one.total == other.total
        and one.losses.tobytes() == other.losses.tobytes()
        and one.assignments == other.assignments
    )
