"""Where a surrogate model says that the next trial should be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import ndtr

from katibpy.algo.cancellation import stop_if_cancelled
from suggestion_services.bayes_columns import Encoding

Array = npt.NDArray[np.float64]

_KAPPA, _XI = 1.96, 0.01
_ROOT_2_PI = math.sqrt(2.0 * math.pi)
_LEAST_DEVIATION = 1e-12
_ANYWHERE, _NEARBY, _CENTRES = 2000, 500, 5
_CLIMBERS = 5
_CLIMBING = {"maxiter": 20}
_SPARE = 50


class Surrogate(Protocol):
    """A fitted model."""

    def given(self, pending: Array) -> Surrogate:
        """The same with results pending at more points."""
        ...

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Mean and standard deviation at some points."""
        ...


@runtime_checkable
class SmoothSurrogate(Surrogate, Protocol):
    """A fitted model with gradients."""

    def predict_slopes(self, rows: Array) -> tuple[Array, Array, Array, Array]:
        """Mean, standard deviation, and the gradients of both, one row for each point."""
        ...


class Acquisition:
    """Acquisition functions over one model; smaller values are better.

    Those of scikit-optimize with its parameters, kappa 1.96 and xi 0.01, where xi is in standard deviations
    of the losses: the lower confidence bound LCB, the probability of improvement PI, the expected
    improvement EI, and PIps and EIps, the same divided by the expected seconds. A test compares values and
    gradients with scikit-optimize's. Theirs take one point at a time, and most of that time for checks.

    Args:
        model: of the losses.
        duration_model: of the logarithm of the seconds a trial takes; None when nothing is known of them.
        best: the lowest loss seen.
    """

    def __init__(self, model: Surrogate, duration_model: Surrogate | None, *, best: float) -> None:
        self._model, self._durations = model, duration_model
        # Looked at once: asking an instance whether it suits a protocol takes as long as a prediction.
        self._smooth = model if isinstance(model, SmoothSurrogate) else None
        self._smooth_durations = duration_model if isinstance(duration_model, SmoothSurrogate) else None
        self._best = best
        self._last: tuple[Array, tuple[Array, Array]] | None = None

    @property
    def has_slopes(self) -> bool:
        """Whether `slopes` can be asked."""
        return self._smooth is not None

    def values(self, name: str, rows: Array) -> Array:
        """Values of the function of that name at some points."""
        if self._last is None or self._last[0] is not rows:
            # All functions of a portfolio look at the same candidates.
            self._last = (rows, self._model.predict(rows))
        mean, deviation = self._last[1]
        values = self._of_losses(name, mean, deviation)[0]
        if name.endswith("ps") and self._durations is not None:
            log_seconds, spread = self._durations.predict(rows)
            values = values * np.exp(-log_seconds + 0.5 * spread**2)
        return values

    def slopes(self, name: str, rows: Array) -> tuple[Array, Array]:
        """Values and gradients at some points.

        Raises:
            TypeError: the model has no gradients.
        """
        if self._smooth is None:
            raise TypeError(f"a model of type {type(self._model).__name__} has no gradients")
        mean, deviation, mean_slopes, deviation_slopes = self._smooth.predict_slopes(rows)
        values, by_mean, by_deviation = self._of_losses(name, mean, deviation)
        slopes = by_mean[:, None] * mean_slopes + by_deviation[:, None] * deviation_slopes
        if name.endswith("ps") and self._smooth_durations is not None:
            log_seconds, spread, log_slopes, spread_slopes = self._smooth_durations.predict_slopes(rows)
            speed = np.exp(-log_seconds + 0.5 * spread**2)
            faster = spread[:, None] * spread_slopes - log_slopes
            slopes = speed[:, None] * (slopes + values[:, None] * faster)
            values = values * speed
        return values, slopes

    def _of_losses(self, name: str, mean: Array, deviation: Array) -> tuple[Array, Array, Array]:
        """Values, and their derivatives by mean and by deviation."""
        if name == "LCB":
            return mean - _KAPPA * deviation, np.ones_like(mean), np.full_like(mean, -_KAPPA)
        sure = np.maximum(deviation, _LEAST_DEVIATION)
        improvement = self._best - _XI - mean
        ratio = improvement / sure
        density, share = np.exp(-0.5 * ratio**2) / _ROOT_2_PI, ndtr(ratio)
        if name.startswith("PI"):
            return -share, density / sure, density * ratio / sure
        return -(improvement * share + sure * density), share, -density


class Candidates:
    """Points from which a search for the best value starts.

    Args:
        encoding: of the space.
        listed: every point that is left, when there are few; else None, and points are drawn.
        centres: the best points so far, best first, near which to look more closely.
        rng: draws them.

    Attributes:
        is_complete: they are every point that is left.
    """

    def __init__(
        self, encoding: Encoding, *, listed: Array | None, centres: Array, rng: np.random.Generator
    ) -> None:
        self._encoding = encoding
        self.is_complete = listed is not None
        if listed is not None:
            self._rows = listed
            return
        around = np.resize(centres[:_CENTRES], (_NEARBY, encoding.width))
        self._rows = np.vstack((encoding.draw(_ANYWHERE, rng), encoding.moved(around, rng)))

    def ranked(self, acquisition: Acquisition, name: str, *, climb: bool) -> Iterator[Array]:
        """Points by their values, best first.

        Args:
            acquisition: what gives the values.
            name: of the acquisition function.
            climb: follow the gradient from the best points, where there is one.
        """
        stop_if_cancelled()
        values = acquisition.values(name, self._rows)
        best = np.argsort(values, kind="stable")[:_SPARE]
        rows, values = self._rows[best], values[best]
        if climb and acquisition.has_slopes and not self.is_complete:
            climbed = self._encoding.snapped(_climbed(acquisition, name, rows[:_CLIMBERS]))
            rows = np.vstack((climbed, rows))
            values = np.concatenate((acquisition.values(name, climbed), values))
            rows = rows[np.argsort(values, kind="stable")]
        yield from rows
        yield from self._rows


def _climbed(acquisition: Acquisition, name: str, rows: Array) -> Array:
    """Where several climbs from these points end, made as one: their sum has the gradients side by side."""
    scale = float(np.abs(acquisition.slopes(name, rows)[1]).max())
    if not scale > 0.0:
        return rows

    def total(flat: Array) -> tuple[float, Array]:
        stop_if_cancelled()
        values, slopes = acquisition.slopes(name, flat.reshape(rows.shape))
        return float(values.sum()) / scale, slopes.ravel() / scale

    found: Array = minimize(
        total, rows.ravel(), jac=True, method="L-BFGS-B", bounds=[(0.0, 1.0)] * rows.size, options=_CLIMBING
    ).x
    return found.reshape(rows.shape)
