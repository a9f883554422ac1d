from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from katibpy.algo.algorithm import Algorithm
from katibpy.algo.problem import Problem
from katibpy.algo.session import check
from katibpy.api.experiment import GraphConfig, NasConfig, ParameterSpec, ParameterType
from katibpy.errors import InvalidSettings
from katibpy.testing.algorithm_cases import FINITE, MIXED, parameter, smooth
from suggestion_services.auto import Auto
from suggestion_services.auto_choice import PICKS, choose
from suggestion_services.cma_es import CmaEs
from suggestion_services.gp import Gp
from suggestion_services.sobol import SobolSearch
from suggestion_services.tpe import Tpe
from tests.unit.suggestion_services.past_trials import Trials, problem, unit_square

SQUARE = unit_square()
WIDE = unit_square([f"x{number}" for number in range(40)])
CONSTANT = (parameter("c", ParameterType.CATEGORICAL, list=("only",)),)


def _posed(specs: Sequence[ParameterSpec], budget: int | None, parallel: int = 1) -> Problem:
    return dataclasses.replace(problem(specs), max_trial_count=budget, parallel_trial_count=parallel)


@pytest.mark.parametrize(
    ("specs", "budget", "parallel", "picked"),
    [
        (FINITE, 48, 1, "sobol"),
        (FINITE, None, 3, "sobol"),
        (FINITE, 20, 1, "gp"),
        (CONSTANT, 10, 1, "sobol"),
        (SQUARE, 1, 1, "gp"),
        (SQUARE, 50, 3, "gp"),
        (SQUARE, None, 3, "gp"),
        (MIXED, 300, 3, "gp"),
        (MIXED, 300, 100, "tpe"),
        (MIXED, 2000, 3, "tpe"),
        (SQUARE, 2000, 3, "cmaes"),
        (SQUARE, 2000, 200, "tpe"),
        (WIDE, 500, 3, "tpe"),
        (WIDE, 5000, 3, "cmaes"),
    ],
)
def test_the_choice_follows_from_space_trials_and_parallelism(
    specs: Sequence[ParameterSpec], budget: int | None, parallel: int, picked: str
) -> None:
    assert choose(_posed(specs, budget, parallel)).name == picked


@pytest.mark.parametrize(
    ("specs", "budget", "direct", "settings"),
    [
        (FINITE, 48, SobolSearch(), {}),
        (SQUARE, 20, Gp(), {}),
        (SQUARE, 2000, CmaEs(), {"restart_strategy": "bipop"}),
        (MIXED, 2000, Tpe(), {}),
    ],
)
def test_it_proposes_what_the_picked_algorithm_does(
    specs: Sequence[ParameterSpec], budget: int, direct: Algorithm, settings: dict[str, str]
) -> None:
    through = Trials(_posed(specs, budget))
    straight = Trials(dataclasses.replace(_posed(specs, budget), settings=settings))
    loss = smooth(through.problem.space)
    assert through.run(Auto(), loss, 16, batch=2) == straight.run(direct, loss, 16, batch=2)
    assert [entry.raw for entry in through.entries] == [entry.raw for entry in straight.entries]


def test_what_was_picked_and_why_is_said_with_every_reply() -> None:
    trials = Trials(_posed(MIXED, 40))
    notes = [trials.ask(Auto()).note]
    trials.propose(Auto())
    notes.append(trials.ask(Auto()).note)
    assert notes == ["gp: 5 parameters and 40 trials: a Gaussian process needs the fewest trials"] * 2


def test_the_picked_one_stays_when_the_number_of_trials_is_raised() -> None:
    trials = Trials(_posed(SQUARE, 20))
    trials.run(Auto(), smooth(trials.problem.space), 8)
    trials.problem = _posed(SQUARE, 2000)
    assert trials.ask(Auto()).note.startswith("gp: picked with the first proposal")
    straight = Trials(problem(SQUARE), entries=trials.entries)
    assert trials.ask(Auto()).proposals == straight.ask(Gp()).proposals


@pytest.mark.parametrize(
    "memory", [b"", b"x", b"[]\n", b'{"picked": "nobody"}\n', b"\xff\xfe", b'{"picked": 3}']
)
def test_memory_that_cannot_be_read_means_a_new_choice(memory: bytes) -> None:
    trials = Trials(_posed(SQUARE, 20), memory=memory)
    assert trials.ask(Auto()).note.startswith("gp: 2 parameters")


def test_every_pick_can_be_loaded() -> None:
    for name in PICKS:
        assert choose(_posed(SQUARE, 50), kept=name).name == name
        trials = Trials(_posed(SQUARE, 50), memory=f'{{"picked": "{name}"}}\n'.encode())
        assert trials.ask(Auto(), count=2).note.startswith(f"{name}: ")


def test_architectures_are_refused() -> None:
    posed = dataclasses.replace(problem(()), nas=NasConfig(graph_config=GraphConfig(num_layers=1)))
    with pytest.raises(InvalidSettings, match="use enas or darts"):
        check(Auto(), posed)
