"""The hyperparameters of Optuna's Gaussian process that are most probable given some results.

The same likelihood and priors as `optuna._gp.gp.fit_kernel_params` (a test compares the two), with the
gradient written out: PyTorch's automatic one takes several times as long for so few numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs
from scipy.optimize import minimize

from katibpy.algo.cancellation import stop_if_cancelled

Array = npt.NDArray[np.float64]

SMALLEST_NOISE = 1e-6
_GRADIENT_TOLERANCE = 1e-2
_MOST_STEPS = 200
_STARTS = (-5.0, 0.0)
"""Logarithms of the noise."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """Hyperparameters.

    Attributes:
        inverse_squares: of the length scales, one for each column.
        scale: prior variance.
        noise: variance of the noise in standardised scores.
    """

    inverse_squares: Array
    scale: float
    noise: float


def fit_kernel(rows: Array, targets: Array, is_categorical: npt.NDArray[np.bool_]) -> Kernel:
    """Climbs from length scales and variance of 1, once with little noise and once with nothing but noise.

    Optuna climbs from the second start alone, which with few results often ends where everything is noise.

    Args:
        rows: one for each result, columns from 0 to 1, or numbers of choices.
        targets: scores with mean 0 and variance 1.
        is_categorical: which columns have choices; two of them are equal or 1 apart.
    """
    posterior = _Posterior(rows, targets, is_categorical)
    best = start = np.zeros(rows.shape[1] + 2)
    lowest = math.inf
    for log_noise in _STARTS:
        start[-1] = log_noise
        found = minimize(
            posterior.negative,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(-18.0, 18.0)] * len(start),
            options={"gtol": _GRADIENT_TOLERANCE, "maxiter": _MOST_STEPS},
        )
        if found.fun < lowest:
            best, lowest = found.x, float(found.fun)
    return posterior.kernel(best)


def log_density(kernel: Kernel, rows: Array, targets: Array, is_categorical: npt.NDArray[np.bool_]) -> float:
    """Logarithm of the posterior density, up to a constant; the data are those of `fit_kernel`."""
    noise = max(kernel.noise - SMALLEST_NOISE, 1e-300)
    theta = np.log([*kernel.inverse_squares, kernel.scale, noise])
    return -_Posterior(rows, targets, is_categorical).negative(theta)[0]


class _Posterior:
    def __init__(self, rows: Array, targets: Array, is_categorical: npt.NDArray[np.bool_]) -> None:
        self._targets = targets
        self._pairs = np.tril_indices(len(rows), -1)
        apart = rows[self._pairs[0]] - rows[self._pairs[1]]
        self._squares = np.where(is_categorical, apart != 0.0, apart**2).T.astype(np.float64)

    def kernel(self, theta: Array) -> Kernel:
        values = np.exp(theta)
        return Kernel(values[:-2], float(values[-2]), float(values[-1]) + SMALLEST_NOISE)

    def negative(self, theta: Array) -> tuple[float, Array]:
        """Negative logarithm of the posterior density, and its gradient; infinite where it is not defined."""
        stop_if_cancelled()
        kernel, size = self.kernel(theta), len(self._targets)
        weights, scale, noise = kernel.inverse_squares, kernel.scale, kernel.noise
        root = np.sqrt(5.0 * (weights @ self._squares))
        decay = scale * np.exp(-root)
        covariances = (1.0 + root + root**2 / 3.0) * decay
        matrix = np.zeros((size, size), order="F")
        matrix[self._pairs] = covariances
        np.fill_diagonal(matrix, scale + noise)
        factor, failed = dpotrf(matrix, lower=1, clean=0, overwrite_a=1)
        if failed:
            return math.inf, np.zeros_like(theta)
        half_determinant = float(np.log(np.diag(factor)).sum())
        solved, _ = dpotrs(factor, self._targets, lower=1)
        inverse, _ = dpotri(factor, lower=1, overwrite_c=1)
        value = 0.5 * float(self._targets @ solved) + half_determinant
        value += 0.1 * float((1.0 / weights + weights).sum())
        value -= math.log(scale) - scale + 0.1 * math.log(noise) - 30.0 * noise
        # Each pair stands for two entries of a symmetric matrix, so the halves cancel.
        pull = solved[self._pairs[0]] * solved[self._pairs[1]] - inverse[self._pairs]
        diagonal_pull = float(solved @ solved - np.trace(inverse))
        gradient = np.empty_like(theta)
        slopes = -5.0 / 6.0 * (1.0 + root) * decay
        gradient[:-2] = -weights * (self._squares @ (pull * slopes)) + 0.1 * (weights - 1.0 / weights)
        gradient[-2] = -(float(pull @ covariances) + 0.5 * scale * diagonal_pull) - 1.0 + scale
        noise_slope = -0.5 * diagonal_pull - 0.1 / noise + 30.0
        gradient[-1] = noise_slope * (noise - SMALLEST_NOISE)
        return value, gradient
