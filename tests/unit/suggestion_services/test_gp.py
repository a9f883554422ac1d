"""Each test that needs PyTorch imports it: whoever only collects the tests does without."""

from __future__ import annotations

import logging
import statistics
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest

from katibpy.algo.cancellation import cancellable
from katibpy.algo.history import Entry, History, Outcome
from katibpy.algo.problem import Problem
from katibpy.algo.session import ask, check
from katibpy.api.experiment import ParameterSpec, ParameterType
from katibpy.errors import DeadlineExceeded, InvalidSettings
from katibpy.testing.algorithm_cases import MIXED, parameter
from suggestion_services.gp import Gp, usual_startup
from suggestion_services.gp_fit import Kernel, fit_kernel, log_density
from suggestion_services.gp_fits import FitCache
from suggestion_services.gp_model import Cube, Model
from suggestion_services.gp_results import Results, scores
from tests.unit.suggestion_services.past_trials import Trials, problem, unit_square

LINE = unit_square(("x",))
WITHOUT_TORCH = """
import dataclasses, sys
import numpy as np
class Hiding:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name == "torch" else self.finder.find_spec(name, path, target)
sys.meta_path[:] = map(Hiding, sys.meta_path)
from katibpy.algo.history import Entry, History, Outcome
from katibpy.algo.problem import Problem
from katibpy.algo.space import DoubleDimension, Space
from katibpy.errors import MissingExtra
from suggestion_services.auto import Auto
from suggestion_services.gp import Gp
problem = Problem("e", "u", Space((DoubleDimension("x", 0.0, 1.0),)), {}, 1, 1, 30, ("loss",))
past = tuple(Entry(f"t{n}", {"x": n / 9}, Outcome.SUCCEEDED, loss=0.0, number=n) for n in range(9))
how = {"count": 1, "memory": None, "rng": np.random.default_rng(1)}
print(*Gp().validate(problem))
try:
    Gp().suggest(problem, History(past, 9), **how)
except MissingExtra as error:
    print(error)
print(Auto().suggest(problem, History(past, 9), **how).note)
"""


def _entry(number: int, x: float, loss: float | None, outcome: Outcome = Outcome.SUCCEEDED) -> Entry:
    return Entry(f"t{number}", {"x": x}, outcome, loss=loss, number=number)


def _random_results(posed: Problem, count: int) -> Results:
    points = np.random.default_rng(1).random((count, len(posed.space) + 1))
    assignments = tuple(posed.space.from_unit_cube(point[1:].tolist()) for point in points)
    return Results(assignments, points[:, 0], (), count)


def _proposed(posed: Problem, entries: Sequence[Entry], count: int = 1) -> list[float]:
    reply = ask(Gp(), posed, History(tuple(entries), len(entries)), count=count)
    return [float(each.assignment["x"]) for each in reply.proposals]


@pytest.mark.parametrize(("size", "columns", "choices"), [(8, 2, 0), (30, 4, 1), (40, 5, 3)])
def test_hyperparameters_are_as_probable_as_those_that_optuna_finds(
    size: int, columns: int, choices: int
) -> None:
    from optuna._gp import gp as optuna_gp
    from optuna._gp import prior

    rng = np.random.default_rng(size)
    rows = rng.random((size, columns))
    rows[:, :choices] = rng.integers(3, size=(size, choices))
    is_categorical = np.arange(columns) < choices
    targets = ((rows - 0.3) ** 2).sum(axis=1) + 0.2 * rng.standard_normal(size)
    targets = (targets - targets.mean()) / targets.std()
    ours = fit_kernel(rows, targets, is_categorical)
    found = optuna_gp.fit_kernel_params(rows, targets, is_categorical, prior.default_log_prior, 1e-6, False)
    theirs = Kernel(
        found.inverse_squared_lengthscales.numpy(), float(found.kernel_scale), float(found.noise_var)
    )
    data = (rows, targets, is_categorical)
    assert log_density(ours, *data) > log_density(theirs, *data) - 0.01


def test_the_density_of_hyperparameters_is_optunas() -> None:
    import torch
    from optuna._gp import gp as optuna_gp
    from optuna._gp import prior

    rng = np.random.default_rng(5)
    rows, targets, is_categorical = rng.random((12, 3)), rng.standard_normal(12), np.array([False] * 3)
    rows[:, 2], is_categorical[2] = rng.integers(4, size=12), True
    differences = []
    for _ in range(4):
        kernel = Kernel(rng.random(3) + 0.5, float(rng.random() + 0.5), float(rng.random()) + 0.1)
        process = optuna_gp.GPRegressor(
            torch.from_numpy(is_categorical),
            torch.from_numpy(rows),
            torch.from_numpy(targets),
            torch.from_numpy(kernel.inverse_squares),
            torch.tensor(kernel.scale, dtype=torch.float64),
            torch.tensor(kernel.noise, dtype=torch.float64),
        )
        theirs = process.marginal_log_likelihood() + prior.default_log_prior(process)
        differences.append(log_density(kernel, rows, targets, is_categorical) - float(theirs))
    assert differences == pytest.approx([differences[0]] * 4)


@pytest.mark.parametrize("is_compressed", [False, True])
def test_scores_keep_the_order_and_failures_are_as_bad_as_the_worst(is_compressed: bool) -> None:
    losses = np.array([3.0, np.nan, 0.1, 1e9, 0.2, 1.0])
    found = scores(losses, is_compressed=is_compressed)
    assert (found[2] - found[0] > 0.1) == is_compressed
    assert np.argsort(-found, kind="stable").tolist()[:4] == [2, 4, 5, 0]
    assert found[1] == found[3] == found.min()
    assert (found.mean(), found.std()) == (pytest.approx(0.0), pytest.approx(1.0))


@pytest.mark.parametrize("losses", [[2.0, 2.0, 2.0], [1e308, -1e308, np.nan], [0.0, 0.0, 5.0]])
def test_scores_are_finite_whatever_the_losses(losses: list[float]) -> None:
    for is_compressed in (False, True):
        assert np.isfinite(scores(np.array(losses), is_compressed=is_compressed)).all()


def test_of_many_results_the_best_half_and_the_newest_are_kept() -> None:
    losses = np.arange(100.0)
    losses[3] = np.nan
    results = Results(tuple({"x": value} for value in losses), losses, (), 100)
    kept = results.telling(20)
    assert kept.losses.tolist() == [*(n for n in range(11) if n != 3), *range(90, 100)]
    assert [each["x"] for each in kept.assignments] == kept.losses.tolist()
    assert results.telling(100) is results


def test_it_starts_in_the_centre_and_models_soon_after() -> None:
    posed = problem(unit_square())
    assert ask(Gp(), posed, History(), count=1).proposals[0].assignment == {"x": "0.5", "y": "0.5"}
    assert [usual_startup(problem(specs).space) for specs in (LINE, MIXED)] == [3, 7]


def test_few_trials_find_the_valley() -> None:
    trials = Trials(problem(unit_square(("x", "y", "z"))))
    assert trials.run(Gp(), lambda found: sum((float(v) - 0.3) ** 2 for v in found.values()), 18) < 0.01


def test_proposals_keep_away_from_where_trials_fail() -> None:
    xs = np.linspace(0.02, 0.98, 13).tolist()
    failed = [_entry(n, x, None, Outcome.FAILED) if x < 0.5 else _entry(n, x, x) for n, x in enumerate(xs)]
    silent = [_entry(n, x, None, Outcome.KILLED) if x < 0.5 else _entry(n, x, x) for n, x in enumerate(xs)]
    assert _proposed(problem(LINE), failed)[0] > 0.45
    assert _proposed(problem(LINE), silent)[0] < 0.45


def test_stopped_trials_count_with_what_they_showed() -> None:
    done = [_entry(n, x, abs(x - 0.8)) for n, x in enumerate((0.1, 0.3, 0.5))]
    shown = [*done, _entry(3, 0.75, 0.05, Outcome.EARLY_STOPPED)]
    assert _proposed(problem(LINE), shown)[0] > 0.6


def test_pending_trials_and_earlier_ones_of_a_batch_push_proposals_apart() -> None:
    done = [_entry(n, x, (x - 0.5) ** 2) for n, x in enumerate((0.0, 0.2, 0.9, 1.0))]
    posed = problem(LINE)
    (alone,) = _proposed(posed, done)
    (beside,) = _proposed(posed, [*done, _entry(4, alone, None, Outcome.ACTIVE)])
    batch = _proposed(posed, done, count=4)
    assert abs(beside - alone) > 0.03
    assert statistics.pstdev(batch) > 0.05


def test_a_place_that_is_known_is_not_tried_again() -> None:
    posed = problem(unit_square())
    points = [*np.random.default_rng(3).random((16, 2)), *([0.4 + n * 1e-3, 0.6] for n in range(-2, 3))]
    losses = np.array([(x - 0.4) ** 2 + (y - 0.6) ** 2 for x, y in points])
    results = Results(tuple({"x": float(x), "y": float(y)} for x, y in points), losses, (), len(points))
    model = Model(Cube(posed.space), results)
    first = next(model.ranked((), np.random.default_rng(1), candidates=256, climbs=2))
    apart = np.abs(np.array(points) - np.array([first["x"], first["y"]], dtype=float)).max(axis=1)
    assert apart.min() > 0.02


def test_a_request_is_dropped_when_nobody_waits() -> None:
    class Gone:
        def is_cancelled(self) -> bool:
            return True

    done = [_entry(n, x, x) for n, x in enumerate((0.1, 0.3, 0.5, 0.7))]
    with cancellable(Gone()), pytest.raises(DeadlineExceeded):
        ask(Gp(), problem(LINE), History(done, 4), count=1)


def test_a_fit_is_kept_until_results_change_and_only_so_many_are() -> None:
    first, second = problem(MIXED, uid="first"), problem(MIXED, uid="second")
    results = _random_results(first, 30)
    cache = FitCache(capacity=2 * 30**2)
    model = cache.model(first, results)
    assert cache.model(first, results) is model
    assert cache.model(first, Results(results.assignments, results.losses + 1.0, (), 30)) is not model
    cache.model(second, results)
    again = cache.model(first, results)
    assert again is not model
    cache.model(problem(MIXED, uid="third"), results)
    assert cache.model(first, results) is again
    assert cache.model(second, results) is not None
    anonymous = problem(MIXED, uid="")
    assert cache.model(anonymous, results) is not cache.model(anonymous, results)


def test_whole_numbers_without_gaps_round_to_every_value() -> None:
    wide = (parameter("n", ParameterType.INT, min="1", max="300", distribution="logUniform"),)
    cube = Cube(problem(wide).space)
    values = [{"n": value} for value in range(1, 301)]
    rows = cube.rows(values)
    assert [cube.assignment(row) for row in rows] == values
    assert [cube.assignment(np.array([end]))["n"] for end in (0.0, 1.0)] == [1, 300]


@pytest.mark.parametrize("specs", [MIXED, unit_square("abcdefgh")])
def test_candidates_lie_in_the_space(specs: Sequence[ParameterSpec]) -> None:
    posed = problem(specs)
    results = _random_results(posed, 12)
    model, rng = Model(Cube(posed.space), results), np.random.default_rng(2)
    for assignment in model.ranked(results.assignments[:2], rng, candidates=64, climbs=1):
        texts = posed.space.format_assignment(assignment)
        assert posed.space.parse_assignment(texts) == assignment


def test_equal_points_and_a_kernel_without_noise_are_no_obstacle() -> None:
    import torch

    posed = problem(unit_square())
    results = _random_results(posed, 10)
    model = Model(Cube(posed.space), results)
    model._kernel = Kernel(np.full(2, 1e-9), 1e7, 1e-6)
    rows = torch.full((40, 2), 0.5, dtype=torch.float64)
    process = model._regressor(rows, torch.zeros(40, dtype=torch.float64))
    assert torch.isfinite(process.posterior(rows)[0]).all()
    model._process = process
    alike = ({"x": 0.5, "y": 0.5},) * 40
    assert next(model.ranked(alike, np.random.default_rng(1), candidates=64, climbs=1))


def test_threads_are_given_back() -> None:
    import torch

    from suggestion_services.gp_threads import one_thread

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread(), one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_nothing_is_logged_or_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    import optuna

    optuna.logging.enable_propagation()
    try:
        with caplog.at_level(logging.INFO):
            _proposed(problem(LINE), [_entry(n, n / 10, 1.0) for n in range(8)], count=2)
    finally:
        optuna.logging.disable_propagation()
    assert not caplog.records


def test_without_pytorch_it_says_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", WITHOUT_TORCH], capture_output=True, text=True, timeout=60, check=True
    )
    refusal, request, picked = done.stdout.splitlines()
    assert refusal == request.partition(" (")[0]
    assert refusal.endswith("run: pip install 'katibpy[gp]'")
    assert picked.startswith("bayesianoptimization: 1 parameter and 30 trials")
    assert "katibpy[gp]" in picked


@pytest.mark.parametrize(
    ("name", "text"), [("n_candidates", "8"), ("n_results", "5"), ("n_startup_trials", "-1")]
)
def test_settings_outside_their_bounds_are_refused(name: str, text: str) -> None:
    with pytest.raises(InvalidSettings, match=f"setting {name} must be .*, got '{text}'"):
        check(Gp(), problem(MIXED, {name: text}))
