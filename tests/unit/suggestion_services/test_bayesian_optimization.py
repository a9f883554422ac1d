from __future__ import annotations

import math
import subprocess
import sys
import threading
from collections.abc import Mapping
from itertools import product

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from katibpy.algo.cancellation import cancellable
from katibpy.algo.history import Outcome
from katibpy.algo.session import check
from katibpy.algo.space import Value
from katibpy.api.experiment import Distribution, ParameterType
from katibpy.errors import DeadlineExceeded, InvalidSettings
from katibpy.testing.algorithm_cases import MIXED, parameter
from suggestion_services.bayesian_optimization import BayesianOptimization
from suggestion_services.single_thread import SingleThread, single_thread
from tests.unit.suggestion_services.past_trials import Trials, problem, unit_square

MODELS = ("GP", "RF", "ET", "GBRT")
FUNCTIONS = ("gp_hedge", "LCB", "EI", "PI", "EIps", "PIps")


def _bowl(assignment: Mapping[str, Value]) -> float:
    return sum((float(value) - 0.3) ** 2 for value in assignment.values())


def _mixed_loss(assignment: Mapping[str, Value]) -> float:
    return math.log10(float(assignment["rate"])) ** 2 + float(assignment["momentum"])


def _after(trials: int, settings: Mapping[str, str] | None = None, *, seed: int = 3) -> Trials:
    """A run over the unit square whose trials were placed at random."""
    run = Trials(problem(unit_square(), settings, seed=seed))
    first = BayesianOptimization()
    for place in run.propose(first, trials):
        run.end(place, _bowl, seconds=1.0 + float(run.entries[place].assignment["x"]))
    return run


@pytest.mark.parametrize(("model", "function"), list(product(MODELS, FUNCTIONS)))
def test_every_model_goes_with_every_acquisition_function(model: str, function: str) -> None:
    # Among them what scikit-optimize 0.10.2 cannot do with current scikit-learn and NumPy: boosted trees,
    # and forests per second with the optimiser `auto`.
    run = Trials(problem(MIXED, {"base_estimator": model, "acq_func": function, "n_initial_points": "6"}))
    check(BayesianOptimization(), run.problem)
    algorithm = BayesianOptimization()
    for place in run.propose(algorithm, 8):
        run.end(place, _mixed_loss, seconds=2.0 + place)
    assert len(run.propose(algorithm, 2)) == 2
    keys = {run.problem.space.key(entry.assignment) for entry in run.entries}
    assert len(keys) == 10


@pytest.mark.parametrize(("model", "optimizer"), [("GP", "sampling"), *product(MODELS, ["lbfgs"])])
def test_every_model_goes_with_every_acquisition_optimizer(model: str, optimizer: str) -> None:
    run = _after(12, {"base_estimator": model, "acq_optimizer": optimizer, "acq_func": "PI"})
    assert len(run.ask(BayesianOptimization()).proposals) == 1


def test_climbing_gives_other_points_than_sampling() -> None:
    replies = {
        optimizer: _after(15, {"acq_optimizer": optimizer, "acq_func": "LCB"}).ask(BayesianOptimization())
        for optimizer in ("auto", "sampling", "lbfgs")
    }
    assert replies["auto"] == replies["lbfgs"] != replies["sampling"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("base_estimator", "ET"),
        ("n_initial_points", "50"),
        ("acq_func", "PI"),
        ("acq_func", "EIps"),
        ("random_state", "77"),
    ],
)
def test_every_setting_makes_a_difference(setting: str, value: str) -> None:
    plain, changed = _after(20), _after(20)
    changed.problem = problem(unit_square(), {setting: value})
    assert plain.ask(BayesianOptimization()) != changed.ask(BayesianOptimization())


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("base_estimator", "gp", "one of GP, RF, ET, GBRT"),
        ("n_initial_points", "-1", "a whole number at least 0"),
        ("acq_func", "UCB", "one of gp_hedge, LCB, EI, PI, EIps, PIps"),
        ("acq_optimizer", "adam", "one of auto, sampling, lbfgs"),
        ("random_state", "-1", "a whole number at least 0 or None"),
    ],
)
def test_settings_outside_katibs_bounds_are_refused(name: str, text: str, wanted: str) -> None:
    with pytest.raises(InvalidSettings, match=f"setting {name} must be {wanted}, got '{text}'"):
        check(BayesianOptimization(), problem(unit_square(), {name: text}))


def test_a_tree_model_without_scikit_optimize_is_refused_with_what_to_install() -> None:
    program = """
import sys
sys.modules["skopt"] = None
from katibpy.algo.session import check
from katibpy.errors import InvalidSettings
from suggestion_services.bayesian_optimization import BayesianOptimization
from tests.unit.suggestion_services.past_trials import Trials, problem, unit_square
run = Trials(problem(unit_square(), {"n_initial_points": "2"}))
run.run(BayesianOptimization(), lambda assignment: float(assignment["x"]), 4)
try:
    check(BayesianOptimization(), problem(unit_square(), {"base_estimator": "ET"}))
except InvalidSettings as refusal:
    print(refusal)
"""
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert "setting base_estimator ET needs scikit-optimize" in said.stdout
    assert "katibpy[skopt]" in said.stdout


def test_the_model_takes_over_once_so_many_trials_have_ended() -> None:
    settings = {"n_initial_points": "5"}
    run = Trials(problem(unit_square(), settings))
    algorithm = BayesianOptimization()
    places = run.propose(algorithm, 5)
    for place in places[:4]:
        run.end(place, _bowl)
    before = run.ask(algorithm)
    run.end(places[4], _bowl)
    after = run.ask(algorithm)
    assert before.memory is None
    assert after.memory is not None
    assert before.proposals != after.proposals


def test_the_model_needs_a_result_even_when_no_initial_points_are_wanted() -> None:
    run = Trials(problem(unit_square(), {"n_initial_points": "0"}))
    algorithm = BayesianOptimization()
    assert len(run.propose(algorithm, 3)) == 3
    for place in range(3):
        run.end(place, None, Outcome.FAILED)
    assert run.ask(algorithm).memory is None
    run.end(run.propose(algorithm)[0], _bowl)
    assert run.ask(algorithm).memory is not None


@pytest.mark.parametrize("model", MODELS)
def test_proposals_gather_where_losses_are_low(model: str) -> None:
    run = _after(25, {"base_estimator": model, "acq_func": "EI"})
    places = run.propose(BayesianOptimization(), 2)
    distances = [_bowl(run.entries[place].assignment) for place in places]
    assert np.mean(distances) < 0.15 < np.mean([_bowl(entry.assignment) for entry in run.entries[:25]])


@pytest.mark.parametrize(
    ("outcome", "loss"), [(Outcome.FAILED, None), (Outcome.SUCCEEDED, math.nan), (Outcome.SUCCEEDED, None)]
)
def test_proposals_keep_away_from_where_trials_fail(outcome: Outcome, loss: float | None) -> None:
    run = Trials(problem(unit_square(("x",)), {"acq_func": "EI"}))
    algorithm = BayesianOptimization()
    for place in run.propose(algorithm, 24):
        x = float(run.entries[place].assignment["x"])
        run.end(place, *((loss, outcome) if x < 0.5 else (x, Outcome.SUCCEEDED)))
    for _ in range(5):
        assert float(run.entries[run.propose(algorithm)[0]].assignment["x"]) > 0.45


@pytest.mark.parametrize("function", ["EI", "LCB", "PI", "gp_hedge"])
def test_pending_trials_and_earlier_ones_of_a_batch_push_proposals_apart(function: str) -> None:
    run = _after(20, {"acq_func": function})
    algorithm = BayesianOptimization()
    places = run.propose(algorithm, 3) + run.propose(algorithm, 3)
    points = np.array([[float(run.entries[place].assignment[name]) for name in "xy"] for place in places])
    apart = [math.dist(one, other) for number, one in enumerate(points) for other in points[:number]]
    assert min(apart) >= 5e-3
    assert max(apart) > 0.02


def test_a_batch_is_the_same_as_its_proposals_one_after_another() -> None:
    one, three = _after(15, {"acq_func": "EI"}), _after(15, {"acq_func": "EI"})
    first = one.ask(BayesianOptimization()).proposals[0]
    assert three.ask(BayesianOptimization(), 3).proposals[0] == first


def test_distribution_and_step_are_honoured() -> None:
    specs = (
        parameter("lr", ParameterType.DOUBLE, min="0.00001", max="1", distribution=Distribution.LOG_UNIFORM),
        parameter("width", ParameterType.INT, min="16", max="128", step="16"),
        parameter("rate", ParameterType.DOUBLE, min="-0.5", max="0.5", step="0.25"),
    )
    run = Trials(problem(specs, {"n_initial_points": "10"}))
    run.run(BayesianOptimization(), lambda each: abs(math.log10(float(each["lr"])) + 3), 30, batch=3)
    assert {int(entry.assignment["width"]) for entry in run.entries} <= set(range(16, 129, 16))
    assert {float(entry.assignment["rate"]) for entry in run.entries} <= {-0.5, -0.25, 0.0, 0.25, 0.5}
    assert sum(float(entry.assignment["lr"]) < 0.01 for entry in run.entries) > 15


def test_a_finite_space_is_gone_through_once() -> None:
    specs = (
        parameter("a", ParameterType.CATEGORICAL, list=("p", "q", "r")),
        parameter("b", ParameterType.DISCRETE, list=("1", "2", "4", "8")),
    )
    run = Trials(problem(specs, {"n_initial_points": "4"}))
    algorithm = BayesianOptimization()
    for _ in range(6):
        for place in run.propose(algorithm, 2):
            run.end(place, lambda each: float(each["b"]))
    assert len({run.problem.space.key(entry.assignment) for entry in run.entries}) == 12
    after = run.ask(algorithm, 2)
    assert (after.proposals, after.exhausted) == ((), True)


def test_a_large_finite_space_is_not_repeated_either() -> None:
    specs = tuple(parameter(name, ParameterType.INT, min="0", max="39") for name in "ab")
    run = Trials(problem(specs, {"acq_func": "LCB"}))
    run.run(
        BayesianOptimization(), lambda each: abs(int(each["a"]) - 20) + abs(int(each["b"]) - 20), 45, batch=5
    )
    keys = [run.problem.space.key(entry.assignment) for entry in run.entries]
    assert len(set(keys)) == 45
    assert (20, 20) in keys


def test_forgetting_the_fits_changes_nothing() -> None:
    kept, dropped = _after(10), _after(10)
    algorithm = BayesianOptimization()
    for _ in range(3):
        # Two requests between two results, of which one finds the fit of the other.
        old = [kept.propose(algorithm, 2), kept.propose(algorithm)]
        new = [dropped.propose(BayesianOptimization(), 2), dropped.propose(BayesianOptimization())]
        assert old == new
        for place in (place for places in old for place in places):
            kept.end(place, _bowl)
            dropped.end(place, _bowl)
    assert kept.entries == dropped.entries
    assert kept.memory == dropped.memory


def test_the_portfolio_learns_which_function_to_follow() -> None:
    run = _after(10)
    algorithm = BayesianOptimization()
    memories = set()
    for _ in range(4):
        for place in run.propose(algorithm):
            run.end(place, _bowl)
        memories.add(run.memory)
    assert len(memories) == 4
    assert _after(10, {"acq_func": "EI"}).ask(algorithm).memory is None


class _Gone:
    def is_cancelled(self) -> bool:
        return True


@pytest.mark.parametrize("model", ["GP", "ET"])
def test_a_request_ends_when_its_caller_has_gone(model: str) -> None:
    run = _after(15, {"base_estimator": model})
    with cancellable(_Gone()), pytest.raises(DeadlineExceeded):
        run.ask(BayesianOptimization())
    assert len(run.ask(BayesianOptimization()).proposals) == 1


def test_a_long_history_is_answered_in_bounded_work() -> None:
    run = _after(20, {"acq_func": "EI"})
    rows = run.entries
    run.entries = [rows[place % 20] for place in range(1500)]
    assert len(run.ask(BayesianOptimization()).proposals) == 1


def _blas_threads() -> list[int]:
    return [int(library["num_threads"]) for library in threadpool_info() if library["user_api"] == "blas"]


def test_linear_algebra_has_one_thread_until_the_last_block_ends() -> None:
    before = _blas_threads()
    own = SingleThread()
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with own():
            inside.set()
            leave.wait(10)

    holder = threading.Thread(target=hold)
    with own():
        holder.start()
        assert inside.wait(10)
        assert set(_blas_threads()) <= {1}
    assert set(_blas_threads()) <= {1}
    leave.set()
    holder.join(10)
    assert _blas_threads() == before


def test_another_thread_that_has_set_a_limit_does_not_stand_in_the_way() -> None:
    seen: list[int] = []

    def request() -> None:
        with SingleThread()():
            seen.extend(_blas_threads())

    with threadpool_limits(2, user_api="blas"):
        requester = threading.Thread(target=request)
        requester.start()
        requester.join(10)
        assert set(seen) <= {1}
        assert set(_blas_threads()) <= {2}


def test_the_threads_come_back_after_an_error() -> None:
    before = _blas_threads()
    with pytest.raises(RuntimeError), single_thread():
        raise RuntimeError
    assert _blas_threads() == before
