"""Which value stands for a trial, and what of it is a number."""

from __future__ import annotations

import math

import pytest

from katibpy.api.experiment import Metric, MetricStrategy, Observation
from katibpy.core.phases import TrialPhase
from katibpy.core.records import Tally, loss_of, number_of, rank_of, record_of, strategy_value
from katibpy.testing import builders as build
from tests.unit.core.views import succeeded, tuned


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1.0), ("-2.5e3", -2500.0), (" 7 ", 7.0), ("inf", math.inf), ("-Infinity", -math.inf)],
)
def test_texts_that_spell_numbers(text: str, number: float) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize("text", ["", "a", "1_000", "0x10", "1,5", "unavailable", "(conv, pool)"])
def test_texts_that_spell_none(text: str) -> None:
    assert number_of(text) is None


def test_nan_is_a_number_that_is_kept() -> None:
    number = number_of("nan")
    assert number is not None
    assert math.isnan(number)


def test_the_loss_of_a_maximised_metric_is_turned() -> None:
    experiment = tuned(objective=build.maximize())
    assert loss_of(succeeded(experiment, 0, 0.9)) == -0.9


@pytest.mark.parametrize(("value", "rank"), [("0.5", 0.5), ("nan", None), ("inf", None), ("text", None)])
def test_only_finite_numbers_are_ranked(value: str, rank: float | None) -> None:
    assert rank_of(succeeded(tuned(), 0, value)) == rank


@pytest.mark.parametrize("phase", TrialPhase)
def test_only_results_are_ranked(phase: TrialPhase) -> None:
    is_ranked = phase in (TrialPhase.SUCCEEDED, TrialPhase.EARLY_STOPPED)
    assert (rank_of(build.trial(tuned(), 0, phase, metrics={"loss": 1})) is not None) is is_ranked


def test_each_metric_has_a_strategy_of_its_own() -> None:
    strategies = (MetricStrategy(name="loss", value="latest"), MetricStrategy(name="accuracy", value="max"))
    objective = build.minimize(also=("accuracy",)).but(metric_strategies=strategies)
    metrics = tuple(Metric(name=name, min="1", max="3", latest="2") for name in ("loss", "accuracy"))
    experiment = tuned(objective=objective)
    trial = build.trial(experiment, 0, TrialPhase.SUCCEEDED, observation=Observation(metrics=metrics))
    assert strategy_value(trial, "loss") == "2"
    assert strategy_value(trial, "accuracy") == "3"
    assert strategy_value(trial, "unknown") is None


def test_a_history_line_has_all_that_an_algorithm_may_see() -> None:
    trial = succeeded(tuned(), 4, 0.25)
    record = record_of(trial)
    assert (record.name, record.uid, record.number) == (trial.metadata.name, trial.metadata.uid, 4)
    assert record.phase is TrialPhase.SUCCEEDED
    assert [(metric.name, metric.value) for metric in record.metrics] == [("loss", "0.25")]
    assert record.assignments == trial.spec.parameter_assignments
    assert (record.start_time, record.completion_time) == (build.MOMENT, build.moment(60))


def test_a_tally_counts_what_it_is_asked_for() -> None:
    tally = Tally(counts={TrialPhase.RUNNING: 2, TrialPhase.FAILED: 3})
    assert tally.count() == 5
    assert tally.count(TrialPhase.RUNNING, TrialPhase.PENDING) == 2
    assert tally.finished == 3
