"""One request's search with a surrogate model: one point after another, each pending for the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from katibpy.algo.problem import Problem
from katibpy.algo.space import Value
from suggestion_services.bayes_acquisition import Acquisition, Candidates
from suggestion_services.bayes_fits import FitCache
from suggestion_services.bayes_hedge import PORTFOLIO, Hedge
from suggestion_services.bayes_results import Observed, Targets

if TYPE_CHECKING:
    from suggestion_services.bayesian_optimization import BayesianOptimizationSettings

Array = npt.NDArray[np.float64]

HEDGE = "gp_hedge"
_FROM_RESULTS, _FROM_PENDING = 1e-4, 5e-3
"""Least distances in unit coordinates: a sure model finds its optimum again and again, a hair's breadth away.

Once there is a result, to look closer may be worth a trial; before, it is not.
"""


class ModelSearch:
    """Points that a model recommends.

    Args:
        problem: what is searched.
        observed: what is known; at least one usable loss.
        settings: as the user wrote them.
        seen: keys of everything that was proposed; grows while proposals are made.
        memory: what the last saved reply gave.
        cache: of fits.
        rng: draws candidates and choices.
    """

    def __init__(
        self,
        problem: Problem,
        observed: Observed,
        settings: BayesianOptimizationSettings,
        *,
        seen: set[tuple[Value, ...]],
        memory: bytes | None,
        cache: FitCache,
        rng: np.random.Generator,
    ) -> None:
        terrain = cache.terrain(problem)
        targets = Targets.of(observed, terrain.encoding)
        self._space, self._encoding = problem.space, terrain.encoding
        self._settings, self._rng = settings, rng
        self._fitted = cache.fitted(
            problem,
            targets,
            base_estimator=settings.base_estimator,
            per_second=settings.acq_func.endswith("ps"),
        )
        self._best = float(targets.losses.min())
        self._points = targets.points
        self._model = self._fitted.losses
        self._pending = self._encoding.write([entry.assignment for entry in observed.pending])
        self._taken_in = 0
        order = np.argsort(targets.losses, kind="stable")
        listing = terrain.listing
        is_left = None if listing is None else [key not in seen for key in listing.keys]
        self._candidates = Candidates(
            self._encoding,
            listed=None if listing is None else listing.rows[is_left],
            centres=targets.points[order],
            rng=rng,
        )
        self._results = len(observed.finished)
        self._hedge: Hedge | None = None
        if settings.acq_func == HEDGE:
            kept = Hedge.from_bytes(memory, self._space, width=self._encoding.width)
            self._hedge = kept.rewarded(self._fitted.losses, results=self._results)

    @property
    def memory(self) -> bytes | None:
        """What is to be kept of this request."""
        return None if self._hedge is None else self._hedge.to_bytes(self._space)

    def ranked(self, *, is_first: bool) -> Iterator[dict[str, Value]]:
        """Assignments for the next proposal, best first.

        Args:
            is_first: the proposal is the first of this request; then the portfolio nominates.
        """
        self._take_in_pending()
        acquisition = Acquisition(self._model, self._fitted.durations, best=self._best)
        rows = self._rows(acquisition, is_first=is_first)
        if not self._candidates.is_complete:
            rows = _apart(rows, self._points, least=_FROM_RESULTS)
            rows = _apart(rows, self._pending, least=_FROM_PENDING)
        return (self._encoding.read(row) for row in rows)

    def await_result(self, assignment: Mapping[str, Value]) -> None:
        """Counts an assignment among the pending ones."""
        self._pending = np.vstack((self._pending, self._encoding.write([assignment])))

    def _take_in_pending(self) -> None:
        rows = self._pending[self._taken_in :]
        self._taken_in = len(self._pending)
        if len(rows):
            # What is believed of a pending point counts like a result, or its promise would be sought again.
            self._best = min(self._best, float(self._model.predict(rows)[0].min()))
            self._model = self._model.given(rows)

    def _rows(self, acquisition: Acquisition, *, is_first: bool) -> Iterator[Array]:
        if self._hedge is None:
            return self._climbed(acquisition, self._settings.acq_func)
        choice = int(self._rng.choice(len(PORTFOLIO), p=self._hedge.chances()))
        if not is_first:
            return self._climbed(acquisition, PORTFOLIO[choice])
        nominated = [self._climbed(acquisition, name) for name in PORTFOLIO]
        nominees = [next(rows) for rows in nominated]
        self._hedge = Hedge(self._hedge.gains, np.array(nominees), self._results)
        return _again(nominees[choice], nominated[choice])

    def _climbed(self, acquisition: Acquisition, name: str) -> Iterator[Array]:
        return self._candidates.ranked(acquisition, name, climb=self._settings.acq_optimizer != "sampling")


def _apart(rows: Iterator[Array], known: Array, *, least: float) -> Iterator[Array]:
    """Rows at that distance from all known points, then the others."""
    close: list[Array] = []
    for row in rows:
        if (((known - row) ** 2).sum(axis=1) < least**2).any():
            close.append(row)
        else:
            yield row
    yield from close


def _again(row: Array, rows: Iterator[Array]) -> Iterator[Array]:
    yield row
    yield from rows
