"""Optuna's Gaussian process and acquisition functions, for one request; needs PyTorch.

Only this module sees what Optuna's `GPSampler` is made of. That sampler keeps its last fit as the start of
the next, so what it proposes depends on what the process was asked before; here a fit follows from the
results alone.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from katibpy.algo.cancellation import stop_if_cancelled
from katibpy.algo.space import Space, Value
from suggestion_services.gp_fit import fit_kernel
from suggestion_services.gp_results import Array, Results, scores
from suggestion_services.optuna_space import OptunaSpace

for _name in ("gp", "optim_mixed", "batched_lbfgsb"):
    # They tell of fits that fell back to their start and of a missing accelerator: nothing to act on.
    logging.getLogger(f"optuna._gp.{_name}").setLevel(logging.ERROR)

from optuna._gp import acqf, gp, optim_mixed, search_space  # noqa: E402 - silenced first

_FANTASIES = 128
_CLIMB_TOLERANCE = 1e-4
_INCUMBENTS = 5
_STEPS = (0.02, 0.1)
_LEAST_GAIN = math.log(3e-3)
_LITTLE_NOISE = 1e-2
_SAME_PLACE = 5e-3
_APART = 0.03
_CONFIDENCE = 2.0
_FAR = 1e6
_STABILISING = 1e-12
_JITTERS = (1e-8, 1e-6, 1e-4, 1e-2)
_MOST_LEVELS = 16
_SEEDS = 1 << 30

_Made = TypeVar("_Made")


class Cube:
    """A space as the process sees it: numbers from 0 to 1, and categorical parameters by their choice.

    Attributes:
        is_categorical: one flag for each column.
    """

    def __init__(self, space: Space) -> None:
        self._translated = OptunaSpace.of(space)
        self._varying = {
            name: distribution
            for name, distribution in self._translated.distributions.items()
            if not distribution.single()
        }
        self.optuna = search_space.SearchSpace(
            {name: _relaxed(distribution) for name, distribution in self._varying.items()}
        )
        self.is_categorical: npt.NDArray[np.bool_] = self.optuna.is_categorical
        choices = iter(self.optuna.get_choices_of_discrete_params())
        discrete = set(self.optuna.discrete_indices.tolist())
        self._levels = [next(choices) if place in discrete else None for place in range(self.width)]

    @property
    def width(self) -> int:
        """Number of columns: parameters that have several values."""
        return len(self._varying)

    def rows(self, assignments: Sequence[Mapping[str, Value]]) -> Array:
        """One row for each assignment."""
        parameters = [self._translated.to_optuna(assignment) for assignment in assignments]
        stand_ins: list[Any] = [None] * len(parameters)
        rows: Array = self.optuna.get_normalized_params(stand_ins, parameters)  # type: ignore[arg-type]
        return rows

    def assignment(self, row: Array) -> dict[str, Value]:
        """The assignment that a row stands for."""
        parameters = self.optuna.get_unnormalized_param(row)
        for name, distribution in self._varying.items():
            if isinstance(distribution, IntDistribution):
                # Half a step beyond the ends belongs to them.
                parameters[name] = min(max(round(parameters[name]), distribution.low), distribution.high)
        return self._translated.from_optuna({**self._translated.constants, **parameters})

    def spread(self, count: int, rng: np.random.Generator) -> Array:
        """Rows of a scrambled Sobol sequence."""
        random = np.random.RandomState(int(rng.integers(_SEEDS)))
        rows: Array = self.optuna.sample_normalized_params(count, random)
        return rows

    def around(self, centres: Array, count: int, rng: np.random.Generator) -> Array:
        """Rows that differ from one of the centres by a small step in some columns."""
        rows = centres[np.arange(count) % len(centres)].copy()
        moved = rng.random(rows.shape) < max(1.0 / self.width, 0.3)
        moved[np.arange(count), rng.integers(self.width, size=count)] = True
        steps = (
            rng.normal(size=rows.shape) * np.asarray(_STEPS)[rng.integers(len(_STEPS), size=count)][:, None]
        )
        draws = rng.random(rows.shape)
        for place, levels in enumerate(self._levels):
            column = rows[:, place]
            if levels is None:
                changed = np.clip(column + steps[:, place], 0.0, 1.0)
            elif self.is_categorical[place]:
                changed = levels[(draws[:, place] * len(levels)).astype(int)]
            else:
                places = np.searchsorted(levels, column - 1e-9)
                far = np.rint(steps[:, place] * len(levels))
                far += np.where(far == 0.0, np.where(draws[:, place] < 0.5, -1.0, 1.0), 0.0)
                changed = levels[np.clip(places + far, 0, len(levels) - 1).astype(int)]
            rows[:, place] = np.where(moved[:, place], changed, column)
        return rows


class Model:
    """A process fitted to some results.

    Attributes:
        cube: its columns.
        size: numbers that it holds, about.
    """

    def __init__(self, cube: Cube, results: Results) -> None:
        """Fits the hyperparameters that are most probable given the results and Optuna's priors."""
        self.cube = cube
        self._rows = cube.rows(results.assignments)
        # By turns: each form hides from the model what the other one shows, and neither is always better.
        self._scores = scores(results.losses, is_compressed=bool(results.total % 2))
        self._turn = results.total
        self.size = len(self._scores) ** 2
        self._kernel = fit_kernel(self._rows, self._scores, cube.is_categorical)
        self._process = self._regressor(torch.from_numpy(self._rows), torch.from_numpy(self._scores))
        with torch.no_grad():
            self._means = self._process.posterior(torch.from_numpy(self._rows))[0].numpy()

    def ranked(
        self,
        pending: Sequence[Mapping[str, Value]],
        rng: np.random.Generator,
        *,
        candidates: int,
        climbs: int,
    ) -> Iterator[dict[str, Value]]:
        """Assignments by what is to be expected of them, the best first.

        Args:
            pending: what is being tried; its results are averaged over (Wilson et al., 2018).
            rng: which candidates are looked at.
            candidates: how many, a power of two.
            climbs: from how many of them a local search starts.
        """
        acquisition = self._acquisition(pending, rng)
        incumbents = self._rows[np.argsort(-self._means, kind="stable")[:_INCUMBENTS]]
        rows = np.vstack(
            (
                self.cube.spread(candidates, rng),
                self.cube.around(incumbents, candidates // 2, rng),
            )
        )
        values = acquisition.eval_acqf_no_grad(rows)
        order = np.argsort(-values, kind="stable")
        best = rows[order[:1]]
        if climbs:
            starts = np.vstack((rows[order[:climbs]], incumbents[:1]))
            found, heights = optim_mixed.local_search_mixed_batched(acquisition, starts, tol=_CLIMB_TOLERANCE)
            best = found[np.argsort(-heights, kind="stable")]
        if self._is_spent(best[:1]):
            order = np.argsort(-self._promise(rows, candidates, pending), kind="stable")
        else:
            for row in best:
                yield self.cube.assignment(row)
        for place in order:
            yield self.cube.assignment(rows[place])

    def best_of(
        self,
        assignments: Sequence[dict[str, Value]],
        pending: Sequence[Mapping[str, Value]],
        rng: np.random.Generator,
    ) -> Iterator[dict[str, Value]]:
        """The given assignments by what is to be expected of them, the best first."""
        values = self._acquisition(pending, rng).eval_acqf_no_grad(self.cube.rows(assignments))
        return (assignments[place] for place in np.argsort(-values, kind="stable"))

    def _is_spent(self, row: Array) -> bool:
        """Whether hardly any improvement is to be expected at the best point, or none that is not known.

        A model that is too sure of itself would try the same place again and again.
        """
        # Over the best mean: with noise the best result is the luckiest one, and all would seem spent.
        acquisition = _LogEi(self._process, self.cube.optuna, float(self._means.max()))
        if float(acquisition.eval_acqf_no_grad(row)[0]) < _LEAST_GAIN:
            return True
        return self._kernel.noise < _LITTLE_NOISE and bool(self._apart(row, self._rows)[0] < _SAME_PLACE)

    def _promise(self, rows: Array, spread: int, pending: Sequence[Mapping[str, Value]]) -> Array:
        """Upper confidence bounds (Srinivas et al., 2010) away from what is known, sure of what is pending.

        By turns they look everywhere, and only around the incumbents: the rows after the first `spread`.
        """
        known, process = self._rows, self._process
        if pending:
            known = np.vstack((known, self.cube.rows(pending)))
            more = torch.from_numpy(known[len(self._rows) :])
            process = self._regressor(
                torch.from_numpy(known),
                torch.cat((torch.from_numpy(self._scores), process.posterior(more)[0])),
            )
        with torch.no_grad():
            mean, variance = process.posterior(torch.from_numpy(rows))
        bounds: Array = (mean + _CONFIDENCE * variance.sqrt()).numpy()
        bounds[self._apart(rows, known) < _APART] -= _FAR
        if (self._turn // 2 + len(pending)) % 2:
            bounds[:spread] -= 2.0 * _FAR
        return bounds

    def _apart(self, rows: Array, known: Array) -> Array:
        """The largest difference in any column to the nearest of the known points."""
        largest = np.zeros((len(rows), len(known)))
        for place in range(self.cube.width):
            # Column by column: all at once may be a gigabyte.
            np.maximum(largest, np.abs(rows[:, place, None] - known[None, :, place]), out=largest)
        nearest: Array = largest.min(axis=1)
        return nearest

    def _regressor(self, rows: torch.Tensor, targets: torch.Tensor) -> gp.GPRegressor:
        kernel = self._kernel

        def with_noise(noise: float) -> gp.GPRegressor:
            process = gp.GPRegressor(
                is_categorical=torch.from_numpy(self.cube.is_categorical),
                X_train=rows,
                y_train=targets,
                inverse_squared_lengthscales=torch.from_numpy(kernel.inverse_squares),
                kernel_scale=torch.tensor(kernel.scale, dtype=torch.float64),
                noise_var=torch.tensor(noise, dtype=torch.float64),
            )
            process._cache_matrix()
            return process

        return _first_that_is_definite(
            with_noise, (kernel.noise, *(kernel.scale * each for each in _JITTERS))
        )

    def _acquisition(
        self, pending: Sequence[Mapping[str, Value]], rng: np.random.Generator
    ) -> acqf.BaseAcquisitionFunc:
        threshold = float(self._scores.max())
        seed = int(rng.integers(_SEEDS))
        if not pending:
            return _LogEi(self._process, self.cube.optuna, threshold)
        rows = self.cube.rows(pending)

        def with_noise(noise: float) -> acqf.BaseAcquisitionFunc:
            return _PendingLogEi(
                self._process,
                self.cube.optuna,
                threshold,
                n_qmc_samples=_FANTASIES,
                qmc_seed=seed,
                normalized_params_of_running_trials=rows,
                stabilizing_noise=noise,
            )

        return _first_that_is_definite(with_noise, (_STABILISING, *_JITTERS))


def _first_that_is_definite(make: Callable[[float], _Made], noises: Sequence[float]) -> _Made:
    """What `make` gives for the least noise with which rounding leaves its matrices positive definite."""
    for noise in noises[:-1]:
        with suppress(torch.linalg.LinAlgError):  # type: ignore[attr-defined] # it is, but not by name
            return make(noise)
    return make(noises[-1])


class _LogEi(acqf.LogEI):
    def eval_acqf(self, x: torch.Tensor) -> torch.Tensor:
        stop_if_cancelled()
        return super().eval_acqf(x)


class _PendingLogEi(acqf.qLogEI):
    def eval_acqf(self, x: torch.Tensor) -> torch.Tensor:
        stop_if_cancelled()
        return super().eval_acqf(x)


def _relaxed(distribution: BaseDistribution) -> BaseDistribution:
    """Without gaps where there are so many whole numbers that a search value by value takes longest."""
    if not isinstance(distribution, IntDistribution):
        return distribution
    low, high = distribution.low - 0.5, distribution.high + 0.5
    if high - low <= _MOST_LEVELS:
        return distribution
    return FloatDistribution(low, high, log=distribution.log)
