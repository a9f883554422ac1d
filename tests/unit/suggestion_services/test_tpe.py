from __future__ import annotations

import logging
import math
import statistics
from collections.abc import Sequence

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from katibpy.algo.history import Entry, History, Outcome
from katibpy.algo.problem import Problem
from katibpy.algo.randomness import generator
from katibpy.algo.session import ask, check
from katibpy.algo.space import dimension_of, space_of
from katibpy.api.experiment import FeasibleSpace, ParameterSpec
from katibpy.errors import InvalidSettings
from suggestion_services.optuna_space import OptunaSpace, axis_of
from suggestion_services.optuna_study import TrialCache, trial_of
from suggestion_services.tpe import Tpe
from suggestion_services.tpe_sampler import HistorySampler, good_trials
from suggestion_services.tpe_settings import TpeSettings


def _spec(name: str, kind: str, **feasible: object) -> ParameterSpec:
    return ParameterSpec(
        name=name, parameter_type=kind, feasible_space=FeasibleSpace.model_validate(feasible)
    )


MIXED = (
    _spec("rate", "double", min="1e-5", max="1", distribution="logUniform"),
    _spec("momentum", "double", min="0", max="1", distribution="normal"),
    _spec("layers", "int", min="1", max="100"),
    _spec("activation", "categorical", list=("relu", "tanh", "gelu")),
    _spec("decay", "double", min="0", max="10"),
)
LINE = (_spec("x", "double", min="0", max="1"),)


def _problem(
    specs: Sequence[ParameterSpec], settings: dict[str, str] | None = None, *, seed: int = 3, uid: str = "u"
) -> Problem:
    return Problem(
        name="e",
        uid=uid,
        space=space_of(specs),
        settings=settings or {},
        seed=seed,
        parallel_trial_count=1,
        max_trial_count=None,
        metric_names=("loss",),
    )


def _entry(number: int, assignment: dict[str, object], outcome: Outcome, loss: float | None) -> Entry:
    return Entry(f"t{number}", assignment, outcome, loss=loss, number=number)  # type: ignore[arg-type]


def _random_entries(problem: Problem, count: int) -> list[Entry]:
    points = np.random.default_rng(1).random((count, len(problem.space) + 1)).tolist()
    return [
        Entry(
            f"t{number}",
            problem.space.from_unit_cube(point[1:]),
            Outcome.SUCCEEDED,
            loss=point[0],
            number=number,
        )
        for number, point in enumerate(points)
    ]


@pytest.mark.parametrize(
    ("kind", "feasible", "expected"),
    [
        ("double", {"min": "-1", "max": "2"}, FloatDistribution(-1, 2)),
        (
            "double",
            {"min": "0.1", "max": "2", "distribution": "logUniform"},
            FloatDistribution(0.1, 2, log=True),
        ),
        ("double", {"min": "0.1", "max": "1", "step": "0.1"}, IntDistribution(0, 9)),
        ("double", {"min": "0", "max": "2", "distribution": "normal"}, FloatDistribution(0, 1)),
        ("double", {"min": "1", "max": "2", "distribution": "logNormal"}, FloatDistribution(0, 1)),
        ("int", {"min": "3", "max": "20", "step": "5"}, IntDistribution(0, 3)),
        ("int", {"min": "2", "max": "64", "distribution": "logUniform"}, IntDistribution(2, 64, log=True)),
        (
            "int",
            {"min": "2", "max": "64", "step": "2", "distribution": "logUniform"},
            FloatDistribution(0, 1),
        ),
        ("int", {"min": "0", "max": "64", "distribution": "normal"}, FloatDistribution(0, 1)),
        ("discrete", {"list": ("4", "1", "2.5")}, IntDistribution(0, 2)),
        ("categorical", {"list": ("b", "a")}, CategoricalDistribution(("b", "a"))),
    ],
)
def test_a_dimension_becomes_the_distribution_with_the_same_prior(
    kind: str, feasible: dict[str, object], expected: optuna.distributions.BaseDistribution
) -> None:
    dimension = dimension_of(_spec("x", kind, **feasible))
    axis = axis_of(dimension)
    assert axis.distribution == expected
    for unit in generator(2, 0).random(50):
        value = dimension.from_unit(float(unit))
        again = axis.from_optuna(axis.to_optuna(value))
        assert again == (pytest.approx(value) if isinstance(value, float) else value)


@pytest.mark.parametrize(
    ("outcome", "loss", "state", "value"),
    [
        (Outcome.SUCCEEDED, 0.5, TrialState.COMPLETE, 0.5),
        (Outcome.EARLY_STOPPED, 0.7, TrialState.COMPLETE, 0.7),
        (Outcome.FAILED, None, TrialState.COMPLETE, math.inf),
        (Outcome.SUCCEEDED, None, TrialState.COMPLETE, math.inf),
        (Outcome.SUCCEEDED, math.nan, TrialState.COMPLETE, math.inf),
        (Outcome.SUCCEEDED, math.inf, TrialState.COMPLETE, math.inf),
        (Outcome.SUCCEEDED, -math.inf, TrialState.COMPLETE, math.inf),
        (Outcome.EARLY_STOPPED, None, TrialState.COMPLETE, math.inf),
        (Outcome.ACTIVE, None, TrialState.RUNNING, None),
        (Outcome.PROPOSED, None, TrialState.RUNNING, None),
        (Outcome.KILLED, 0.1, TrialState.FAIL, None),
    ],
)
def test_what_became_of_a_trial_counts_as_documented(
    outcome: Outcome, loss: float | None, state: TrialState, value: float | None
) -> None:
    trial = trial_of(_entry(0, {"x": 0.5}, outcome, loss), 0, OptunaSpace.of(space_of(LINE)))
    assert (trial.state, trial.value) == (state, value)


@pytest.mark.parametrize("assignment", [{}, {"y": 0.5}])
def test_an_entry_of_another_space_says_nothing(assignment: dict[str, object]) -> None:
    trial = trial_of(_entry(0, assignment, Outcome.SUCCEEDED, 0.1), 0, OptunaSpace.of(space_of(LINE)))
    assert trial.state is TrialState.FAIL


@pytest.mark.parametrize(
    ("outcome", "loss"), [(Outcome.FAILED, None), (Outcome.SUCCEEDED, math.nan), (Outcome.SUCCEEDED, None)]
)
def test_proposals_keep_away_from_where_trials_fail(outcome: Outcome, loss: float | None) -> None:
    assert _proposals_below_half(outcome, loss) < _proposals_below_half(Outcome.KILLED, None) / 2


def _proposals_below_half(outcome: Outcome, loss: float | None) -> int:
    """How many of 40 proposals go there when trials below a half end so; the others are best at a half."""
    entries = [
        _entry(number, {"x": x}, *((outcome, loss) if x < 0.5 else (Outcome.SUCCEEDED, x)))
        for number, x in enumerate(generator(9, 0).random(60).tolist())
    ]
    asked = [ask(Tpe(), _problem(LINE, seed=seed), History(entries, 60), count=1) for seed in range(40)]
    return sum(float(reply.proposals[0].assignment["x"]) < 0.5 for reply in asked)


def test_pending_trials_and_earlier_ones_of_a_batch_push_proposals_apart() -> None:
    problem = _problem(LINE)
    done = [
        _entry(number, {"x": x}, Outcome.SUCCEEDED, abs(x - 0.5))
        for number, x in enumerate(np.linspace(0, 1, 40).tolist())
    ]
    alone = [
        float(ask(Tpe(), _problem(LINE, seed=seed), History(done, 40), count=1).proposals[0].assignment["x"])
        for seed in range(30)
    ]
    batch = [
        float(each.assignment["x"]) for each in ask(Tpe(), problem, History(done, 40), count=30).proposals
    ]
    assert statistics.pstdev(batch) > 1.3 * statistics.pstdev(alone)


def test_hyperopts_gamma_is_the_share_of_the_root() -> None:
    counts = [good_trials(0.25)(count) for count in (0, 1, 16, 100, 10**6)]
    assert counts == [0, 1, 1, 3, 25]
    sampler = HistorySampler(OptunaSpace.of(space_of(LINE)), TpeSettings(gamma=0.5), seed=1)
    assert sampler._gamma is not None
    assert sampler._gamma(100) == 5


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("gamma", "0.9"),
        ("prior_weight", "50"),
        ("n_EI_candidates", "1"),
        ("n_startup_trials", "60"),
        ("multivariate", "false"),
        ("random_state", "77"),
    ],
)
def test_every_setting_makes_a_difference(setting: str, value: str) -> None:
    plain, changed = _problem(MIXED), _problem(MIXED, {setting: value})
    history = History(_random_entries(plain, 50), 50)
    assert ask(Tpe(), plain, history, count=3) != ask(Tpe(), changed, history, count=3)


def test_the_space_may_be_modelled_from_the_first_trial_on() -> None:
    problem = _problem(MIXED, {"n_startup_trials": "0"})
    check(Tpe(), problem)
    assert len(ask(Tpe(), problem, History(), count=3).proposals) == 3


@pytest.mark.parametrize(
    ("name", "text"),
    [("gamma", "1"), ("prior_weight", "0"), ("n_EI_candidates", "0"), ("n_startup_trials", "-1")],
)
def test_settings_outside_their_bounds_are_refused(name: str, text: str) -> None:
    with pytest.raises(InvalidSettings, match=f"setting {name} must be .*, got '{text}'"):
        check(Tpe(), _problem(MIXED, {name: text}))


def test_the_model_replaces_a_repeat_by_its_best_new_draw() -> None:
    specs = (_spec("n", "int", min="0", max="30"), _spec("m", "int", min="0", max="30"))
    problem = _problem(specs)
    entries = [
        _entry(number, {"n": 10 + number % 8, "m": 10 + number // 8}, Outcome.SUCCEEDED, float(number))
        for number in range(40)
    ]
    reply = ask(Tpe(), problem, History(entries, 40), count=5)
    seen = {problem.space.key(entry.assignment) for entry in entries}
    fresh = [problem.space.parse_assignment(each.assignment) for each in reply.proposals]
    assert not {problem.space.key(assignment) for assignment in fresh} & seen
    assert all(int(assignment["n"]) < 25 and int(assignment["m"]) < 25 for assignment in fresh[:2])


def test_nothing_is_logged_or_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    optuna.logging.enable_propagation()
    try:
        with caplog.at_level(logging.DEBUG):
            problem = _problem(MIXED, {"gamma": "0.2", "prior_weight": "2"})
            ask(Tpe(), problem, History(_random_entries(problem, 20), 20), count=2)
    finally:
        optuna.logging.disable_propagation()
    assert not caplog.records


def _kept(trials: list[FrozenTrial]) -> list[tuple[object, ...]]:
    return [(trial.number, trial.state, trial.value, trial.params) for trial in trials]


def test_the_cache_converts_only_what_changed() -> None:
    problem = _problem(MIXED)
    translated = OptunaSpace.of(problem.space)
    entries = _random_entries(problem, 30)
    cache = TrialCache()
    before = cache.trials(problem, History(entries, 30), translated)
    entries[7] = _entry(7, dict(entries[7].assignment), Outcome.FAILED, None)
    entries.append(_entry(30, dict(entries[0].assignment), Outcome.ACTIVE, None))
    after = cache.trials(problem, History(entries, 31), translated)
    assert _kept(after) == _kept(TrialCache().trials(problem, History(entries, 31), translated))
    assert [place for place in range(30) if before[place] is not after[place]] == [7]


def test_the_cache_keeps_no_more_trials_than_it_may() -> None:
    cache = TrialCache(capacity=50)
    first, second = _problem(MIXED, uid="first"), _problem(MIXED, uid="second")
    translated, entries = OptunaSpace.of(first.space), _random_entries(first, 30)
    history = History(entries, 30)
    one = cache.trials(first, history, translated)
    cache.trials(second, history, translated)
    assert cache.trials(first, history, translated)[0] is not one[0]


def test_an_experiment_without_uid_is_not_kept() -> None:
    problem = _problem(MIXED, uid="")
    cache, translated = TrialCache(), OptunaSpace.of(problem.space)
    history = History(_random_entries(problem, 3), 3)
    assert cache.trials(problem, history, translated)[0] is not cache.trials(problem, history, translated)[0]
