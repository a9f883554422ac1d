from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from skopt.acquisition import gaussian_acquisition_1D
from skopt.utils import cook_estimator

from katibpy.algo.cancellation import cancellable
from katibpy.errors import DeadlineExceeded
from suggestion_services.bayes_acquisition import Acquisition
from suggestion_services.bayes_gaussian import GaussianProcess, Kernel, Likelihood, fit_gaussian, lower_factor
from suggestion_services.single_thread import single_thread

Array = npt.NDArray[np.float64]


@pytest.fixture(autouse=True)
def _on_one_thread() -> Iterator[None]:
    with single_thread():
        yield


def _data(columns: int, count: int, seed: int = 1) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    points = rng.random((count, columns))
    return points, 40 + 7 * np.sin(3 * points).sum(axis=1) + rng.normal(0, 0.3, count)


def _by_skopt(points: Array, targets: Array, *, climbs: int = 1) -> Any:
    """Fitted by scikit-optimize with its own settings of a Gaussian process, which makes three climbs."""
    theirs = cook_estimator(
        "GP", space=[(0.0, 1.0)] * points.shape[1], random_state=3, n_restarts_optimizer=climbs - 1
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as scikit-optimize's optimiser does: lengths may end at a bound
        theirs.fit(points, targets)
    return theirs


def _theta(fitted: Any) -> Array:
    kernel = fitted.kernel_.k1
    amplitude, lengths = kernel.k1.constant_value, np.atleast_1d(kernel.k2.length_scale)
    theta: Array = np.log(np.concatenate(([amplitude], lengths, [fitted.noise_])))
    return theta


def _same_as(fitted: Any, points: Array, targets: Array) -> GaussianProcess:
    """Ours with the hyperparameters of theirs."""
    standard = (targets - targets.mean()) / targets.std()
    kernel = Kernel.of(_theta(fitted))
    factor = lower_factor(kernel.between(points, points), kernel.noise + 1e-10)
    weights = np.linalg.solve(factor @ factor.T, standard)
    return GaussianProcess(kernel, points, factor, weights, float(targets.mean()), float(targets.std()))


@pytest.mark.parametrize(("columns", "count"), [(1, 3), (2, 12), (5, 30)])
def test_the_likelihood_and_its_gradient_are_scikit_optimizes(columns: int, count: int) -> None:
    points, targets = _data(columns, count)
    standard = (targets - targets.mean()) / targets.std()
    theirs = cook_estimator("GP", space=[(0.0, 1.0)] * columns, random_state=3)
    theirs.optimizer = None
    theirs.fit(points, targets)
    ours = Likelihood(points, standard)
    for theta in np.random.default_rng(2).uniform(-2, 1, (5, columns + 2)):
        value, gradient = theirs.log_marginal_likelihood(theta, eval_gradient=True)
        negative, slopes = ours.negative(theta)
        assert negative == pytest.approx(-value, rel=1e-7)
        np.testing.assert_allclose(slopes, -gradient, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("columns", "count", "seed"), [(1, 6, 1), (2, 15, 2), (4, 25, 3)])
def test_the_fit_is_about_as_likely_as_scikit_optimizes(columns: int, count: int, seed: int) -> None:
    points, targets = _data(columns, count, seed)
    theirs = _by_skopt(points, targets, climbs=3)
    kernel = fit_gaussian(points, targets, np.random.default_rng(3), most_for_kernel=1000).kernel
    likelihood = Likelihood(points, (targets - targets.mean()) / targets.std())
    theta = np.log(np.concatenate(([kernel.amplitude], kernel.lengths, [kernel.noise])))
    assert likelihood.negative(theta)[0] <= -theirs.log_marginal_likelihood_value_ + 0.05


def test_predictions_and_their_gradients_are_scikit_optimizes() -> None:
    points, targets = _data(3, 25)
    theirs = _by_skopt(points, targets)
    ours = _same_as(theirs, points, targets)
    asked = np.random.default_rng(5).random((20, 3))
    mean, deviation = theirs.predict(asked, return_std=True)
    np.testing.assert_allclose(ours.predict(asked)[0], mean, rtol=1e-6)
    np.testing.assert_allclose(ours.predict(asked)[1], deviation, rtol=1e-4)
    _, _, mean_slopes, deviation_slopes = ours.predict_slopes(asked)
    for place, row in enumerate(asked):
        expected = theirs.predict(row[None, :], return_std=True, return_mean_grad=True, return_std_grad=True)
        np.testing.assert_allclose(mean_slopes[place], expected[2], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(deviation_slopes[place], expected[3], rtol=1e-3, atol=1e-5)


def test_pending_points_take_away_uncertainty_and_leave_the_mean() -> None:
    points, targets = _data(2, 20)
    process = fit_gaussian(points, targets, np.random.default_rng(3), most_for_kernel=1000)
    pending = np.array([[0.1, 0.9], [0.8, 0.2], [0.1, 0.9]])
    asked = np.vstack((pending, np.random.default_rng(5).random((10, 2))))
    given = process.given(pending)
    mean, deviation = process.predict(asked)
    after_mean, after_deviation = given.predict(asked)
    np.testing.assert_allclose(after_mean, mean)
    assert (after_deviation <= deviation + 1e-9).all()
    assert (after_deviation[:3] < 2e-3 * np.sqrt(process.kernel.amplitude) * process.scale).all()
    one_by_one = process.given(pending[:1]).given(pending[1:])
    np.testing.assert_allclose(one_by_one.predict(asked)[1], after_deviation, rtol=1e-3, atol=1e-6)
    every = np.vstack((points, pending[:2]))
    noise = np.diag([process.kernel.noise] * 20 + [1e-6 * process.kernel.amplitude] * 2)
    cross = process.kernel.between(asked, every)
    explained = cross @ np.linalg.solve(process.kernel.between(every, every) + noise, cross.T)
    variance = process.kernel.amplitude - np.diag(explained)
    np.testing.assert_allclose(
        after_deviation[3:] / process.scale, np.sqrt(np.maximum(variance, 0))[3:], rtol=1e-3, atol=1e-4
    )


def test_gradients_hold_beside_pending_points_too() -> None:
    points, targets = _data(2, 20)
    process = fit_gaussian(points, targets, np.random.default_rng(3), most_for_kernel=1000)
    given = process.given(np.array([[0.4, 0.6]]))
    row, step = np.array([[0.35, 0.5]]), 1e-5
    slopes = given.predict_slopes(row)[3][0]
    for column in range(2):
        move = np.zeros((1, 2))
        move[0, column] = step
        rise = (given.predict(row + move)[1] - given.predict(row - move)[1]) / (2 * step)
        assert slopes[column] == pytest.approx(float(rise[0]), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize(
    ("points", "targets"),
    [
        (np.array([[0.5, 0.5]]), np.array([3.0])),
        (np.full((12, 2), 0.25), np.arange(12.0)),
        (np.random.default_rng(1).random((8, 2)), np.full(8, 5.0)),
    ],
    ids=["one result", "one point many times", "one loss only"],
)
def test_a_fit_to_next_to_nothing_still_predicts(points: Array, targets: Array) -> None:
    process = fit_gaussian(points, targets, np.random.default_rng(3), most_for_kernel=100)
    mean, deviation = process.given(points[:1]).predict(np.random.default_rng(2).random((30, 2)))
    assert np.isfinite(mean).all()
    assert (deviation >= 0).all()


def test_with_many_results_the_first_choose_the_hyperparameters_and_all_count() -> None:
    points, targets = _data(2, 300)
    process = fit_gaussian(points, targets, np.random.default_rng(3), most_for_kernel=40)
    fewer = fit_gaussian(points[:40], targets[:40], np.random.default_rng(3), most_for_kernel=40)
    assert process.kernel.lengths == pytest.approx(fewer.kernel.lengths, rel=0.5)
    assert np.abs(process.predict(points)[0] - targets).mean() < 0.4


class _Gone:
    def is_cancelled(self) -> bool:
        return True


def test_a_fit_ends_when_its_caller_has_gone() -> None:
    points, targets = _data(2, 20)
    with cancellable(_Gone()), pytest.raises(DeadlineExceeded):
        fit_gaussian(points, targets, np.random.default_rng(3), most_for_kernel=100)


@lru_cache
def _losses_and_durations() -> tuple[list[Any], list[GaussianProcess], float]:
    """Models of both by scikit-optimize, the same as ours, and the lowest loss."""
    points, targets = _data(3, 20)
    standard = (targets - targets.mean()) / targets.std()
    seconds = np.log(1 + 10 * points[:, 0])
    theirs = [_by_skopt(points, values) for values in (standard, seconds)]
    ours = [_same_as(theirs[0], points, standard), _same_as(theirs[1], points, seconds)]
    return theirs, ours, float(standard.min())


@pytest.mark.parametrize("name", ["EI", "PI", "LCB", "EIps", "PIps"])
def test_acquisition_functions_are_scikit_optimizes(name: str) -> None:
    models, (losses, durations), best = _losses_and_durations()
    acquisition = Acquisition(losses, durations if name.endswith("ps") else None, best=best)
    asked = np.random.default_rng(5).random((8, 3))
    theirs = SimpleNamespace(estimators_=models) if name.endswith("ps") else models[0]
    values, slopes = acquisition.slopes(name, asked)
    np.testing.assert_allclose(values, acquisition.values(name, asked), rtol=1e-6)
    for place, row in enumerate(asked):
        value, slope = gaussian_acquisition_1D(row, theirs, best, name)
        assert values[place] == pytest.approx(float(np.ravel(value)[0]), rel=1e-4, abs=1e-7)
        np.testing.assert_allclose(slopes[place], slope, rtol=1e-2, atol=1e-4)


def test_a_covariance_that_rounding_has_spoilt_gets_more_noise() -> None:
    spoilt = np.array([[1.0, 1.0], [1.0, 1.0 - 1e-4]])
    factor = lower_factor(spoilt, 1e-9)
    np.testing.assert_allclose(factor @ factor.T, spoilt, atol=1e-2)
    with pytest.raises(np.linalg.LinAlgError):
        lower_factor(np.array([[1.0, 1e30], [1e30, 1.0]]), 1e-9)


def test_where_the_model_is_sure_nothing_is_to_be_gained() -> None:
    points, targets = _data(2, 10)
    process = fit_gaussian(points, targets, np.random.default_rng(3), most_for_kernel=100)
    pending = np.array([[0.3, 0.3]])
    acquisition = Acquisition(process.given(pending), None, best=float(targets.min()) - 100)
    for name in ("EI", "PI", "LCB"):
        values, slopes = acquisition.slopes(name, pending)
        assert np.isfinite(values).all()
        assert np.isfinite(slopes).all()
    assert acquisition.values("EI", pending)[0] == pytest.approx(0.0, abs=1e-9)
