"""The Gaussian process of scikit-optimize: the same model, evaluated several times as fast.

A Matern kernel of smoothness 5/2 with one length scale for each column, an amplitude and a noise level
(Rasmussen and Williams, 2006, chapters 2, 4 and 5), the targets standardised. A test compares likelihood,
gradient and predictions with those of scikit-optimize's `GaussianProcessRegressor`. That one spends most
of its time in checks and generic kernel code, and cannot take in pending points without a new fit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs, dtrtrs
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from katibpy.algo.cancellation import stop_if_cancelled

Array = npt.NDArray[np.float64]

_ROOT_5 = math.sqrt(5.0)
_JITTER = 1e-10
_FACTOR_TRIES = 16
_PENDING_NOISE = 1e-6
"""Of the amplitude: little, so that a batch does not gather at one point when results are noisy."""
_BOUNDS = {"amplitude": (1e-2, 1e3), "length": (1e-2, 1e2), "noise": (1e-5, 1e5)}
_USUAL = {"amplitude": (0.3, 10.0), "length": (0.1, 30.0), "noise": (1e-5, 1.0)}
_DRAWN_STARTS, _CLIMBED_STARTS = 20, 2
_CLIMBING = {"maxiter": 200, "ftol": 1e-8, "gtol": 1e-3}
"""Likelihoods have plateaus, on which looser limits stop before the climb to a better one begins."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """Hyperparameters.

    Attributes:
        amplitude: prior variance.
        lengths: length scale of each column.
        noise: variance of the noise in standardised targets.
    """

    amplitude: float
    lengths: Array
    noise: float

    @classmethod
    def of(cls, theta: Array) -> Kernel:
        """From the logarithms of amplitude, lengths and noise, in this order."""
        values = np.exp(theta)
        return cls(float(values[0]), values[1:-1], float(values[-1]))

    def between(self, left: Array, right: Array) -> Array:
        """Covariances without noise, one row for each row of `left`."""
        root = _ROOT_5 * cdist(left / self.lengths, right / self.lengths)
        covariance: Array = self.amplitude * (1.0 + root + root**2 / 3.0) * np.exp(-root)
        return covariance

    def with_weights(self, left: Array, right: Array) -> tuple[Array, Array]:
        """Covariances, and the factors that distances over squared lengths have in their slopes."""
        root = _ROOT_5 * cdist(left / self.lengths, right / self.lengths)
        decay = self.amplitude * np.exp(-root)
        return (1.0 + root + root**2 / 3.0) * decay, -5.0 / 3.0 * (1.0 + root) * decay


class Likelihood:
    """The marginal likelihood of some results as a function of the hyperparameters' logarithms."""

    def __init__(self, points: Array, targets: Array) -> None:
        self._targets = targets
        self._size, self.columns = points.shape
        self._pairs = np.tril_indices(self._size, -1)
        self._squares = ((points[self._pairs[0]] - points[self._pairs[1]]) ** 2).T.copy()

    def negative(self, theta: Array) -> tuple[float, Array]:
        """Negative logarithm and its gradient (equations 5.8 and 5.9); infinite where it is not defined."""
        kernel = Kernel.of(theta)
        size = self._size
        inverse_squares = kernel.lengths**-2.0
        root = np.sqrt(5.0 * (inverse_squares @ self._squares))
        decay = kernel.amplitude * np.exp(-root)
        covariances = (1.0 + root + root**2 / 3.0) * decay
        matrix = np.zeros((size, size), order="F")
        matrix[self._pairs] = covariances
        np.fill_diagonal(matrix, kernel.amplitude + kernel.noise + _JITTER)
        factor, failed = dpotrf(matrix, lower=1, clean=0, overwrite_a=1)
        if failed:
            return math.inf, np.zeros_like(theta)
        half_determinant = float(np.log(np.diag(factor)).sum())
        weights, _ = dpotrs(factor, self._targets, lower=1)
        inverse, _ = dpotri(factor, lower=1, overwrite_c=1)
        value = 0.5 * float(self._targets @ weights) + half_determinant
        value += 0.5 * size * math.log(2.0 * math.pi)
        # Each pair stands for two entries of a symmetric matrix, so the halves of equation 5.9 cancel.
        pull = weights[self._pairs[0]] * weights[self._pairs[1]] - inverse[self._pairs]
        diagonal_pull = float(weights @ weights - np.trace(inverse))
        gradient = np.empty_like(theta)
        gradient[0] = -(float(pull @ covariances) + 0.5 * kernel.amplitude * diagonal_pull)
        gradient[1:-1] = -inverse_squares * (self._squares @ (pull * decay * (1.0 + root))) * 5.0 / 3.0
        gradient[-1] = -0.5 * kernel.noise * diagonal_pull
        return value, gradient


@dataclass(frozen=True, slots=True)
class GaussianProcess:
    """A process given some results.

    Attributes:
        kernel: its hyperparameters.
        points: of the results, then of what is pending.
        factor: lower Cholesky factor of their covariance, column after column in memory, as LAPACK has it.
        weights: of the points in the mean; none for what is pending.
        offset: mean of the targets.
        scale: standard deviation of the targets.
    """

    kernel: Kernel
    points: Array
    factor: Array
    weights: Array
    offset: float
    scale: float

    def given(self, pending: Array) -> GaussianProcess:
        """The same with results pending at more points: as sure there, its mean unchanged.

        This is what fantasised results at the predicted mean do (kriging believer, Ginsbourger et al.,
        2010; hallucinated feedback, Desautels et al., 2014).
        """
        if not len(pending):
            return self
        kernel = self.kernel
        cross = _solved(self.factor, kernel.between(self.points, pending))
        own = kernel.between(pending, pending) - cross.T @ cross
        known, more = len(self.points), len(pending)
        factor = np.zeros((known + more, known + more), order="F")
        factor[:known, :known] = self.factor
        factor[known:, :known] = cross.T
        # A point that is pending twice, or was observed already, leaves nothing that is not rounding.
        factor[known:, known:] = lower_factor(own, _PENDING_NOISE * kernel.amplitude)
        weights = np.concatenate((self.weights, np.zeros(more)))
        points = np.vstack((self.points, pending))
        return GaussianProcess(kernel, points, factor, weights, self.offset, self.scale)

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Mean and standard deviation at some points."""
        covariances = self.kernel.between(rows, self.points)
        explained = _solved(self.factor, covariances.T)
        variance = self.kernel.amplitude - np.einsum("ij,ij->j", explained, explained)
        mean = self.offset + self.scale * (covariances @ self.weights)
        return mean, self.scale * np.sqrt(np.maximum(variance, 0.0))

    def predict_slopes(self, rows: Array) -> tuple[Array, Array, Array, Array]:
        """Mean, standard deviation, and the gradients of both, one row for each point."""
        covariances, weighing = self.kernel.with_weights(rows, self.points)
        explained = _solved(self.factor, covariances.T)
        variance = self.kernel.amplitude - np.einsum("ij,ij->j", explained, explained)
        deviation = np.sqrt(np.maximum(variance, 0.0))
        mean = self.offset + self.scale * (covariances @ self.weights)
        mean_slopes = self.scale * self._slopes(rows, weighing * self.weights)
        solved = _solved(self.factor, explained, transposed=True)
        slopes = -self.scale * self._slopes(rows, weighing * solved.T)
        is_sure = deviation <= 0.0
        deviation_slopes = (
            np.where(is_sure[:, None], 0.0, slopes) / np.where(is_sure, 1.0, deviation)[:, None]
        )
        return mean, self.scale * deviation, mean_slopes, deviation_slopes

    def _slopes(self, rows: Array, pulls: Array) -> Array:
        slopes: Array = (rows * pulls.sum(axis=1)[:, None] - pulls @ self.points) / self.kernel.lengths**2
        return slopes


def fit_gaussian(
    points: Array, targets: Array, rng: np.random.Generator, *, most_for_kernel: int
) -> GaussianProcess:
    """The process with the likeliest hyperparameters that a few climbs find.

    Args:
        points: one row for each result, at least one.
        targets: the results.
        rng: where the climbs start.
        most_for_kernel: with more results than that, hyperparameters follow from so many of them: the
            first rows, so the caller puts the telling ones first.
    """
    offset = float(np.mean(targets))
    scale = float(np.std(targets)) or 1.0
    standard = (targets - offset) / scale
    kernel = _likeliest(Likelihood(points[:most_for_kernel], standard[:most_for_kernel]), rng)
    factor = lower_factor(kernel.between(points, points), kernel.noise + _JITTER)
    weights, _ = dpotrs(factor, standard, lower=1)
    return GaussianProcess(kernel, points, factor, weights, offset, scale)


def _likeliest(likelihood: Likelihood, rng: np.random.Generator) -> Kernel:
    columns = likelihood.columns
    limits = _logarithms(_BOUNDS, columns)

    def negative(theta: Array) -> tuple[float, Array]:
        stop_if_cancelled()
        return likelihood.negative(theta)

    # Scikit-optimize climbs from zero and from two random places between the bounds; to look at more of
    # them, where hyperparameters usually are, and climb from the best two finds as much in less time.
    low, high = _logarithms(_USUAL, columns).T
    drawn: list[Array] = [rng.uniform(low, high) for _ in range(_DRAWN_STARTS)]
    drawn.sort(key=lambda start: negative(start)[0])
    starts = [np.zeros(columns + 2), *drawn[:_CLIMBED_STARTS]]
    found = [
        minimize(negative, start, jac=True, method="L-BFGS-B", bounds=limits, options=_CLIMBING)
        for start in starts
    ]
    return Kernel.of(min(found, key=lambda climb: climb.fun).x)


def _logarithms(ranges: Mapping[str, tuple[float, float]], columns: int) -> Array:
    limits: Array = np.log([ranges["amplitude"], *[ranges["length"]] * columns, ranges["noise"]])
    return limits


def lower_factor(covariance: Array, noise: float) -> Array:
    """Lower Cholesky factor of a covariance with noise on its diagonal.

    Where rounding leaves no positive definite matrix, the noise is taken ten times as large, again and
    again: a less sure model is better than none.

    Raises:
        numpy.linalg.LinAlgError: no noise helps, so it is no covariance.
    """
    diagonal = np.diag_indices_from(covariance)
    for power in range(_FACTOR_TRIES):
        noisy = covariance.copy()
        noisy[diagonal] += noise * 10.0**power
        factor, failed = dpotrf(noisy, lower=1, clean=1)
        if not failed:
            return np.asarray(factor)
    raise np.linalg.LinAlgError("a covariance has no Cholesky factor")


def _solved(factor: Array, right: Array, *, transposed: bool = False) -> Array:
    # Scipy's `solve_triangular` spends most of its time on checks.
    solved: Array = dtrtrs(factor, right, lower=1, trans=1 if transposed else 0)[0]
    return solved
