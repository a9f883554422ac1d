"""Fitted surrogate models, and those of the last requests."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from katibpy.algo.problem import Problem
from katibpy.algo.randomness import generator
from katibpy.algo.space import Space, Value
from suggestion_services.bayes_acquisition import Surrogate
from suggestion_services.bayes_columns import Encoding
from suggestion_services.bayes_gaussian import fit_gaussian
from suggestion_services.bayes_results import MOST_FOR_KERNEL, Targets
from suggestion_services.bayes_trees import fit_trees

Array = npt.NDArray[np.float64]

_FITS = 1 << 64
"""Streams from here on are those of fits; requests have those below."""
_MOST_NUMBERS = 8_000_000
_MOST_LISTED = 1024


@dataclass(frozen=True, slots=True)
class Listing:
    """Every assignment of a small space.

    Attributes:
        keys: of the assignments.
        rows: of the same, encoded.
    """

    keys: list[tuple[Value, ...] | None]
    rows: Array

    @classmethod
    def of(cls, space: Space, encoding: Encoding) -> Listing | None:
        """None when the space is too large to be listed."""
        if space.cardinality is None or space.cardinality > _MOST_LISTED:
            return None
        assignments = [space.at(index) for index in range(space.cardinality)]
        return cls([space.key(assignment) for assignment in assignments], encoding.write(assignments))


@dataclass(frozen=True, slots=True)
class Terrain:
    """A space as models see it.

    Attributes:
        space: the space.
        encoding: its columns.
        listing: all of it, when it is small.
    """

    space: Space
    encoding: Encoding
    listing: Listing | None

    @classmethod
    def of(cls, space: Space) -> Terrain:
        """Of a typed space."""
        encoding = Encoding(space)
        return cls(space, encoding, Listing.of(space, encoding))


@dataclass(frozen=True, slots=True)
class Fitted:
    """Models of what finished trials showed.

    Attributes:
        mark: equal for equal targets and settings.
        losses: the model of the losses.
        durations: the model of the logarithm of the seconds; None when it is not wanted or nothing is known.
        size: numbers that it holds, about.
    """

    mark: tuple[Any, ...]
    losses: Surrogate
    durations: Surrogate | None
    size: int


class FitCache:
    """Spaces and fits of the Experiments asked for last.

    Between two results the model stays the same, however many proposals are asked for. A fit depends on
    targets, settings and seed alone, all compared, so dropping it changes nothing but time. `_lock` guards
    the tables.
    """

    def __init__(self, capacity: int = _MOST_NUMBERS) -> None:
        self._capacity = capacity
        self._terrains: OrderedDict[str, Terrain] = OrderedDict()
        self._fits: OrderedDict[str, Fitted] = OrderedDict()
        self._lock = threading.Lock()

    def terrain(self, problem: Problem) -> Terrain:
        """The problem's space as models see it."""
        with self._lock:
            kept = self._terrains.get(problem.uid)
        if kept is not None and kept.space == problem.space:
            return kept
        made = Terrain.of(problem.space)
        if problem.uid:
            with self._lock:
                self._terrains[problem.uid] = made
                _shrink(self._terrains, lambda each: each.encoding.width * 1024, self._capacity)
        return made

    def fitted(self, problem: Problem, targets: Targets, *, base_estimator: str, per_second: bool) -> Fitted:
        """The models of these targets, fitted now if they are not at hand."""
        mark = (base_estimator, per_second, problem.seed, *targets.fingerprint())
        with self._lock:
            kept = self._fits.get(problem.uid)
        if kept is not None and kept.mark == mark:
            return kept
        rng = generator(problem.seed, _FITS + len(targets.losses))
        model = _fit(base_estimator, targets.points, targets.losses, rng)
        durations = _fit_durations(base_estimator, targets, rng) if per_second else None
        made = Fitted(mark, model, durations, len(targets.losses) ** 2 + targets.points.size)
        if problem.uid:
            with self._lock:
                self._fits[problem.uid] = made
                self._fits.move_to_end(problem.uid)
                _shrink(self._fits, lambda each: each.size, self._capacity)
        return made

    def clear(self) -> None:
        """Drops everything; changes nothing but time."""
        with self._lock:
            self._terrains.clear()
            self._fits.clear()


def _shrink(table: OrderedDict[str, Any], size: Any, capacity: int) -> None:
    total = sum(size(each) for each in table.values())
    while total > capacity and len(table) > 1:
        total -= size(table.popitem(last=False)[1])


def _fit(base_estimator: str, points: Array, targets: Array, rng: np.random.Generator) -> Surrogate:
    if base_estimator == "GP":
        return fit_gaussian(points, targets, rng, most_for_kernel=MOST_FOR_KERNEL)
    return fit_trees(base_estimator, points, targets, rng)


def _fit_durations(base_estimator: str, targets: Targets, rng: np.random.Generator) -> Surrogate | None:
    is_known = np.isfinite(targets.seconds)
    if not is_known.any():
        return None
    return _fit(base_estimator, targets.points[is_known], np.log(targets.seconds[is_known]), rng)
