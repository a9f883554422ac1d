"""BOHB: Hyperband's brackets with configurations from a model."""

from __future__ import annotations

import dataclasses
import math
import statistics

import numpy as np
import pytest

from katibpy.algo.history import Entry, History, Outcome
from katibpy.algo.session import ask, check
from katibpy.algo.space import space_of
from katibpy.api.experiment import ParameterType
from katibpy.errors import InvalidSettings
from katibpy.testing.algorithm_cases import parameter
from suggestion_services.bohb import Bohb
from suggestion_services.bohb_model import Density, ModelSpace
from suggestion_services.hyperband import Hyperband
from tests.unit.suggestion_services.halving_runs import (
    NINE_EPOCHS,
    RATE,
    Played,
    every_fifth_fails,
    problem,
    rate_is_the_loss,
)

MODELLED = {"eta": 3, "random_fraction": 0}


def past(rates: list[float], amount: int, *, loss: float | None = None) -> list[Entry]:
    """Trials of no bracket whose loss is the rate, unless told."""
    return [
        Entry(
            f"past-{amount}-{number}",
            {"rate": rate, "epochs": amount},
            Outcome.SUCCEEDED,
            loss=rate if loss is None else loss,
            number=number,
        )
        for number, rate in enumerate(rates)
    ]


def proposed(entries: list[Entry], count: int = 9, **settings: object) -> list[float]:
    """Rates of a first bracket that is started with such a history."""
    posed = problem(RATE, NINE_EPOCHS, limit=None, **{**MODELLED, **settings})
    reply = ask(Bohb(), posed, History(tuple(entries), len(entries)), count=count)
    return [float(each.assignment["rate"]) for each in reply.proposals]


GRID = [place / 20 for place in range(21)]


def test_it_runs_the_brackets_of_hyperband_also_with_failing_trials() -> None:
    for fate in (rate_is_the_loss, every_fifth_fails):
        played = Played(problem(eta=3), fate=fate).run(Bohb)
        assert played.counts() == {0: [(9, 1), (3, 3), (1, 9)], 1: [(5, 3), (1, 9)], 2: [(3, 9)]}
        assert played.is_exhausted
        played.must_promote_once_each()


def test_without_results_it_starts_at_random() -> None:
    rates = proposed([])
    assert len(set(rates)) == 9
    assert max(rates) - min(rates) > 0.3


def test_a_model_of_enough_trials_leads_to_where_losses_are_low() -> None:
    assert statistics.mean(proposed(past(GRID, 3))) < 0.2
    high = [dataclasses.replace(entry, loss=-entry.loss) for entry in past(GRID, 3) if entry.loss is not None]
    assert statistics.mean(proposed(high)) > 0.8


def test_too_few_trials_make_no_model() -> None:
    few = past([0.01, 0.02, 0.9], 9)
    assert proposed(few) == proposed(few, min_points_in_model=50)
    enough = past([0.01, 0.02, 0.9, 0.95], 9)
    assert proposed(enough) != proposed(enough, min_points_in_model=50)


def test_the_largest_amount_with_enough_trials_counts() -> None:
    short = past(GRID, 1)
    long = [dataclasses.replace(entry, loss=-entry.assignment["rate"]) for entry in past(GRID, 9)]  # type: ignore[operator]
    assert statistics.mean(proposed(short + long)) > 0.8
    assert statistics.mean(proposed(short + long[:3])) < 0.2


def test_part_of_the_configurations_stays_random() -> None:
    rates = proposed(past(GRID, 3), random_fraction=1)
    assert max(rates) - min(rates) > 0.3
    assert rates == proposed(past(GRID, 1), random_fraction=1)


@pytest.mark.parametrize(("outcome", "loss"), [(Outcome.FAILED, None), (Outcome.SUCCEEDED, math.nan)])
def test_what_failed_counts_as_bad(outcome: Outcome, loss: float | None) -> None:
    entries = [
        dataclasses.replace(entry, outcome=outcome, loss=loss)
        if float(entry.assignment["rate"]) < 0.5
        else dataclasses.replace(entry, loss=1.0)
        for entry in past(GRID, 3)
    ]
    assert min(proposed(entries)) > 0.3


def test_it_finds_lower_losses_than_hyperband_with_the_same_trials() -> None:
    names = tuple("abcd")
    specs = [parameter(name, ParameterType.DOUBLE, min="0", max="1") for name in names]

    def bowl(entry: Entry) -> tuple[Outcome, float | None]:
        return Outcome.SUCCEEDED, sum((float(entry.assignment[name]) - 0.3) ** 2 for name in names)

    def best(algorithm: type[Hyperband], seed: int) -> float:
        posed = problem(*specs, NINE_EPOCHS, limit=80, eta=3, random_state=seed)
        played = Played(posed, parallel=8, fate=bowl).run(algorithm)
        return min(entry.loss for entry in played.entries if entry.loss is not None)

    wins = sum(best(Bohb, seed) < best(Hyperband, seed) for seed in range(9))
    assert wins >= 6


def test_a_finite_space_is_not_started_twice() -> None:
    depth = parameter("rate", ParameterType.INT, min="1", max="14")
    played = Played(problem(depth, NINE_EPOCHS, eta=3, limit=100)).run(Bohb)
    assert played.is_exhausted
    started = [entry for entry in played.entries if not any("checkpoint" in name for name in entry.labels)]
    assert sorted(float(entry.assignment["rate"]) for entry in started) == list(range(1, 15))


@pytest.mark.parametrize("parallel", [1, 5])
def test_a_restart_between_any_two_requests_changes_nothing(parallel: int) -> None:
    posed = problem(RATE, NINE_EPOCHS, eta=3, limit=60)
    one = Bohb()
    kept = Played(posed, parallel=parallel, fate=every_fifth_fails).run(lambda: one)
    anew = Played(posed, parallel=parallel, fate=every_fifth_fails).run(Bohb)
    assert len(kept.proposals) == 60
    assert kept.proposals == anew.proposals


def test_bad_settings_are_named() -> None:
    written = {"top_n_percent": "100", "num_samples": "0", "random_fraction": "1.5", "min_bandwidth": "0"}
    with pytest.raises(InvalidSettings) as refused:
        check(Bohb(), problem(RATE, NINE_EPOCHS, limit=None, **written))
    assert [name for name in written if name not in str(refused.value)] == []


def test_a_density_integrates_to_one_and_draws_where_it_is_high() -> None:
    rng = np.random.default_rng(1)
    choices = rng.choice(3, 40, p=(0.7, 0.2, 0.1)).astype(np.float64)
    points = np.column_stack((rng.normal(0.4, 0.05, 40), choices))
    density = Density(points, (0, 3), min_bandwidth=0.001)
    axis = np.linspace(-1, 2, 3001)
    mass = sum(
        np.exp(density.log_at(np.column_stack((axis, np.full(3001, choice))))).sum() * 0.001
        for choice in range(3)
    )
    assert mass == pytest.approx(1, abs=1e-3)
    drawn = density.sample(2000, 1.0, rng)
    assert 0.35 < drawn[:, 0].mean() < 0.45
    assert set(drawn[:, 1]) == {0.0, 1.0, 2.0}
    assert np.all((drawn[:, 0] >= 0) & (drawn[:, 0] <= 1))


def test_the_order_of_choices_has_no_say_in_the_model() -> None:
    column = np.array([0.0, 0, 0, 1, 2, 2])[:, None]
    swapped = np.array([2.0, 2, 2, 1, 0, 0])[:, None]
    widths = [Density(points, (3,), min_bandwidth=0.001).bandwidths[0] for points in (column, swapped)]
    assert widths[0] == pytest.approx(widths[1])


def test_assignments_survive_the_way_into_the_model_and_back() -> None:
    space = space_of(
        (
            RATE,
            parameter("layers", ParameterType.INT, min="1", max="7", step="2"),
            parameter("width", ParameterType.DISCRETE, list=("16", "32.0")),
            parameter("kind", ParameterType.CATEGORICAL, list=("a", "b", "c")),
            parameter("only", ParameterType.CATEGORICAL, list=("one",)),
        )
    )
    modelled = ModelSpace.of(space)
    assert modelled.names == ("rate", "layers", "width", "kind")
    assignments = [space.from_unit_cube(np.random.default_rng(n).random(5).tolist()) for n in range(20)]
    for assignment, point in zip(assignments, modelled.points(assignments), strict=True):
        again = modelled.assignment(point)
        assert again == {**assignment, "rate": pytest.approx(assignment["rate"])}
