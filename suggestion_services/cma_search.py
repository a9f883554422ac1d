"""One request's work on the state of CMA-ES: use results, start runs, draw."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from katibpy.algo.cancellation import stop_if_cancelled
from katibpy.algo.law import below_one
from katibpy.algo.space import Dimension
from suggestion_services.cma_cells import cells_of, margin_of, with_margin
from suggestion_services.cma_restarts import Restarts, next_run
from suggestion_services.cma_state import Distribution, Point, State, Vector

_LARGEST_LOSS = 1e300
_MOST_POINTS = 10_000
_SETTLED = 1e-3
"""Share of each range below which a search that may restart has nothing left to find where it is."""
_SETTLED_SHARE = 1e-2
"""The same as a share of the first step, for those who choose a small one."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a draw.

    Attributes:
        number: of the draw.
        loss: None when the trial failed to give a usable one.
    """

    number: int
    loss: float | None


class CmaSearch:
    """CMA-ES over some dimensions, for the time of one request.

    Updates take results in the order of their draws as soon as a population of them is there, from
    whichever generations: with trials that run in parallel, more is drawn than one population while the
    last of it still runs, and what comes in late is neither waited for nor thrown away. A result that is
    not from the present distribution is shortened to a length that a draw from it may have, as
    Hansen (2011, "Injecting external solutions into CMA-ES") does.

    Attributes:
        state: as it is now.
    """

    def __init__(
        self, dimensions: Sequence[Dimension], state: State, *, sigma: float, restarts: Restarts | None
    ) -> None:
        self.state = state
        self._sigma = sigma
        self._restarts = restarts
        self._cells = [cells_of(dimension) for dimension in dimensions]
        self._bounds = np.array(
            [(0.0, 1.0) if cells is None else (-math.inf, math.inf) for cells in self._cells]
        )
        self._is_stepped = np.array([cells is not None for cells in self._cells])
        self._resume()

    def learn(self, results: Sequence[Result], rng: np.random.Generator) -> None:
        """Updates the distribution once for each population of results; what is left over stays for later."""
        waiting = sorted(results, key=lambda result: result.number)
        while not self.state.run.is_over:
            waiting = [result for result in waiting if result.number in self.state.points]
            population = self.state.distribution.population
            if len(waiting) < population:
                break
            stop_if_cancelled()
            self._update(waiting[:population], rng)

    def drop(self, number: int) -> None:
        """Forgets a draw whose result will never come; another one takes its place in due course."""
        self.state.points.pop(number, None)

    def reseed(self, seed: int) -> None:
        """Makes the next draws those of `seed`."""
        self._optimizer.reseed_rng(seed)

    def draw(self) -> tuple[Vector, list[float]]:
        """A draw: as the distribution gave it, and as unit coordinates."""
        drawn: Vector = self._optimizer.ask()
        mean, stretch = self._optimizer.mean, self._stretch
        stretched = np.where(self._is_stepped, mean + stretch * (drawn - mean), drawn)
        return drawn, [below_one(unit) for unit in stretched.tolist()]

    def placed(self, units: Sequence[float]) -> Vector:
        """The draw that would have given these unit coordinates."""
        mean = self._optimizer.mean
        place = np.asarray(units)
        return np.where(self._is_stepped, mean + (place - mean) / self._stretch, place)

    def await_result(self, draw: Vector, *, is_foreign: bool) -> int:
        """Remembers a draw that is proposed, unless the search is over; gives its number."""
        state = self.state
        number = state.next_point
        state.next_point += 1
        if state.run.is_over:
            return number
        state.points[number] = Point(draw, state.distribution.generation, is_foreign)
        while len(state.points) > _MOST_POINTS:
            del state.points[min(state.points)]
        return number

    def _resume(self) -> None:
        self._optimizer = self.state.distribution.optimizer(self._bounds)
        self._stretch = self.state.distribution.stretch.copy()
        self._keep_margin()
        self._save()

    def _save(self) -> None:
        first_sigma = self.state.distribution.first_sigma
        self.state.distribution = Distribution.of(
            self._optimizer, first_sigma=first_sigma, stretch=self._stretch
        )

    def _update(self, results: Sequence[Result], rng: np.random.Generator) -> None:
        state = self.state
        losses = [result.loss for result in results if result.loss is not None]
        state.run = dataclasses.replace(state.run, evaluations=state.run.evaluations + len(results))
        if not losses:
            # All failed: that tells no direction, and an update in a random one would cost step size.
            for result in results:
                self.drop(result.number)
            return
        worst = _bounded(max(losses))
        ranked = sorted(
            results,
            key=lambda each: (each.loss is None, 0.0 if each.loss is None else each.loss, each.number),
        )
        # The package sorts by loss and keeps the order of equals, so failed ones stay last.
        self._optimizer.tell(
            [
                (
                    self._usable(state.points.pop(result.number)),
                    worst if result.loss is None else _bounded(result.loss),
                )
                for result in ranked
            ]
        )
        if self._optimizer.should_stop() or (self._restarts is not None and self._has_settled()):
            self._end_run(rng)
        else:
            self._keep_margin()
            self._save()

    def _has_settled(self) -> bool:
        # The package's own tolerances are those of numerical analysis: hundreds of trials beyond what any
        # training run could tell apart.
        deviations = self._optimizer._sigma * np.sqrt(np.diag(self._optimizer._C))
        settled = min(_SETTLED, _SETTLED_SHARE * self.state.distribution.first_sigma)
        return bool(np.max(deviations) < settled)

    def _end_run(self, rng: np.random.Generator) -> None:
        if self._restarts is None:
            # A distribution that has converged would only lose its shape to rounding errors, so it stays
            # as it was before the last update.
            self.state.run = dataclasses.replace(self.state.run, is_over=True)
            self.state.points.clear()
        else:
            # Points of the ended run mean nothing to the next, which searches elsewhere.
            self.state.points.clear()
            self.state.run, population, sigma = next_run(
                self.state.run, self._restarts, dimensions=len(self._cells), sigma=self._sigma, rng=rng
            )
            mean = rng.random(len(self._cells))
            self.state.distribution = Distribution.first(mean, sigma=sigma, population=population)
        self._resume()

    def _usable(self, point: Point) -> Vector:
        if point.generation == self._optimizer.generation and not point.is_foreign:
            return point.draw
        distribution = self.state.distribution
        away = (point.draw - distribution.mean) / distribution.sigma
        length = math.sqrt(max(float(away @ np.linalg.solve(distribution.covariance, away)), 0.0))
        size = len(away)
        longest = math.sqrt(size) + 2.0 * size / (size + 2.0)
        if length <= longest:
            return point.draw
        shortened: Vector = distribution.mean + distribution.sigma * away * (longest / length)
        return shortened

    def _keep_margin(self) -> None:
        optimizer = self._optimizer
        margin = margin_of(len(self._cells), optimizer.population_size)
        deviations = optimizer._sigma * np.sqrt(np.diag(optimizer._C))
        for place, cells in enumerate(self._cells):
            if cells is None:
                continue
            deviation = float(deviations[place])
            mean, stretched = with_margin(
                cells, float(optimizer._mean[place]), deviation * float(self._stretch[place]), margin=margin
            )
            optimizer._mean[place] = mean
            self._stretch[place] = stretched / deviation


def _bounded(loss: float) -> float:
    # Differences of two losses have to be finite.
    return min(max(loss, -_LARGEST_LOSS), _LARGEST_LOSS)
