from __future__ import annotations

from collections.abc import Mapping

import pytest

from katibpy.algo.algorithm import Algorithm, Reply
from katibpy.algo.history import Entry, History, Outcome
from katibpy.algo.problem import Problem
from katibpy.algo.randomness import generator
from katibpy.algo.session import ask, check
from katibpy.algo.space import space_of
from katibpy.errors import InvalidSettings
from katibpy.testing.algorithm_cases import MIXED
from suggestion_services.multivariate_tpe import MultivariateTpe
from suggestion_services.tpe import Tpe


def _problem(settings: Mapping[str, str] | None = None) -> Problem:
    return Problem(
        name="e",
        uid="u",
        space=space_of(MIXED),
        settings=settings or {},
        seed=3,
        parallel_trial_count=1,
        max_trial_count=None,
        metric_names=("loss",),
    )


def _proposed(algorithm: Algorithm, settings: Mapping[str, str] | None = None, *, trials: int = 40) -> Reply:
    problem = _problem(settings)
    entries = [
        Entry(
            f"t{number}",
            problem.space.from_unit_cube(generator(1, number).random(len(problem.space)).tolist()),
            Outcome.SUCCEEDED,
            loss=float(generator(2, number).random()),
            number=number,
        )
        for number in range(trials)
    ]
    return ask(algorithm, problem, History(entries, trials), count=4)


def test_it_proposes_what_tpe_proposes_with_a_joint_model() -> None:
    settings = {"n_startup_trials": "5", "n_ei_candidates": "30", "random_state": "8"}
    joint = _proposed(MultivariateTpe(), settings)
    assert joint == _proposed(Tpe(), settings | {"multivariate": "true"})
    assert joint != _proposed(Tpe(), settings | {"multivariate": "false"})


@pytest.mark.parametrize(
    ("name", "text"),
    [("n_startup_trials", "60"), ("n_ei_candidates", "2"), ("n_EI_candidates", "2"), ("random_state", "9")],
)
def test_every_setting_makes_a_difference(name: str, text: str) -> None:
    assert _proposed(MultivariateTpe()) != _proposed(MultivariateTpe(), {name: text})


def test_the_joint_model_cannot_be_turned_off() -> None:
    with pytest.raises(InvalidSettings, match="setting multivariate is not known"):
        check(MultivariateTpe(), _problem({"multivariate": "false"}))


@pytest.mark.parametrize(
    ("name", "text"), [("n_startup_trials", "-1"), ("n_ei_candidates", "0"), ("random_state", "-5")]
)
def test_settings_outside_their_bounds_are_refused(name: str, text: str) -> None:
    with pytest.raises(InvalidSettings, match=f"setting {name} must be .*, got '{text}'"):
        check(MultivariateTpe(), _problem({name: text}))
