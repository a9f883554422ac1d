"""The tree models of scikit-optimize, made to work with current scikit-learn and NumPy.

Built directly rather than by `skopt.utils.cook_estimator` and asked directly rather than through
`skopt.Optimizer`: version 0.10.2 takes its boosted trees for no regressor since scikit-learn 1.7, calls
`numpy.in1d`, which NumPy 2.4 has dropped, for their deviation, and believes that forests have gradients once
they are wrapped for a per-second acquisition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from katibpy.errors import MissingExtra

Array = npt.NDArray[np.float64]

_SEEDS = 1 << 31
_REACH = 0.2
"""Distance over which a pending point makes a forest surer, as a share of the root of the columns."""


Prediction = Callable[[Array], tuple[Array, Array]]


class Remembered:
    """A prediction that remembers the last two: all of a batch and a portfolio look at the same candidates.

    In between, each proposal of a batch looks at what is pending.
    """

    def __init__(self, predict: Prediction) -> None:
        self._predict = predict
        self._last: tuple[tuple[Array, tuple[Array, Array]], ...] = ()

    def __call__(self, rows: Array) -> tuple[Array, Array]:
        """Mean and standard deviation at some points, which must not be changed afterwards."""
        kept = [(known, predicted) for known, predicted in self._last if known is not rows]
        found = next((predicted for known, predicted in self._last if known is rows), None)
        if found is None:
            found = self._predict(rows)
        self._last = ((rows, found), *kept[:1])
        return found


@dataclass(frozen=True, slots=True)
class TreeModel:
    """Fitted trees.

    Attributes:
        mean_and_deviation: prediction of the trees alone.
        pending: points whose results are awaited.
    """

    mean_and_deviation: Prediction
    pending: Array | None = None

    def given(self, pending: Array) -> TreeModel:
        """The same with results pending at more points.

        Trees know no distance, so a fantasised result would move nothing but one leaf. Instead the
        deviation vanishes at a pending point and comes back with the distance, as that of a Gaussian
        process would, and the mean stays.
        """
        if not len(pending):
            return self
        known = pending if self.pending is None else np.vstack((self.pending, pending))
        return TreeModel(self.mean_and_deviation, known)

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Mean and standard deviation at some points."""
        mean, deviation = self.mean_and_deviation(rows)
        if self.pending is not None:
            reach = _REACH * np.sqrt(rows.shape[1])
            alike = np.exp(-0.5 * (cdist(rows, self.pending) / reach) ** 2).max(axis=1)
            deviation = deviation * np.sqrt(np.maximum(1.0 - alike**2, 0.0))
        return mean, deviation


def fit_trees(name: str, points: Array, targets: Array, rng: np.random.Generator) -> TreeModel:
    """Fits RF, ET or GBRT with scikit-optimize's own settings of them.

    Raises:
        MissingExtra: scikit-optimize is not installed.
    """
    try:
        import skopt.learning  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            f"the model {name} is scikit-optimize's, which cannot be loaded: {error}; "
            "run: pip install 'katibpy[skopt]'"
        ) from error
    seed = int(rng.integers(_SEEDS))
    if name == "GBRT":
        return TreeModel(Remembered(_boosted(points, targets, seed)))
    return TreeModel(Remembered(_forest(name, points, targets, seed)))


def _forest(name: str, points: Array, targets: Array, seed: int) -> Prediction:
    from skopt.learning import ExtraTreesRegressor, RandomForestRegressor

    kind = {"RF": RandomForestRegressor, "ET": ExtraTreesRegressor}[name]
    model = kind(n_estimators=100, min_samples_leaf=3, n_jobs=1, random_state=seed).fit(points, targets)

    def predict(rows: Array) -> tuple[Array, Array]:
        mean, deviation = model.predict(rows, return_std=True)
        return mean, deviation

    return predict


def _boosted(points: Array, targets: Array, seed: int) -> Prediction:
    from sklearn.ensemble import GradientBoostingRegressor
    from skopt.learning import GradientBoostingQuantileRegressor

    trees = GradientBoostingRegressor(n_estimators=30, loss="quantile")
    model = GradientBoostingQuantileRegressor(
        quantiles=[0.16, 0.5, 0.84], base_estimator=trees, n_jobs=1, random_state=seed
    ).fit(points, targets)

    def predict(rows: Array) -> tuple[Array, Array]:
        low, middle, high = model.predict(rows, return_quantiles=True).T
        # The three are fitted apart, so they may cross.
        return middle, np.maximum(high - low, 0.0) / 2.0

    return predict
