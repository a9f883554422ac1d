from __future__ import annotations

from katibpy.api.experiment import (
    Experiment,
    ExperimentSpec,
    ExperimentStatus,
    Metric,
    MetricStrategy,
    Objective,
    Observation,
    OptimalTrial,
    ParameterSpec,
)
from katibpy.api.model import NameValue
from katibpy.client.results import MetricLog, metric_log, optimal_hyperparameters
from katibpy.core.records import ObservedValue

KINDS = {"lr": "double", "depth": "int", "size": "discrete", "net": "categorical", "act": "categorical"}
VALUES = {"lr": "0.25", "depth": "3", "size": "0.5", "net": "(8,)", "act": "relu"}


def experiment(**metrics: tuple[str, str, str]) -> Experiment:
    best = OptimalTrial(
        best_trial_name="x-1",
        parameter_assignments=tuple(NameValue(name=name, value=value) for name, value in VALUES.items()),
        observation=Observation(
            metrics=tuple(
                Metric(name=name, min=low, max=high, latest=last)
                for name, (low, high, last) in metrics.items()
            )
        ),
    )
    objective = Objective(
        type="maximize",
        objective_metric_name="accuracy",
        metric_strategies=(MetricStrategy(name="accuracy", value="max"),),
    )
    parameters = tuple(ParameterSpec(name=name, parameter_type=kind) for name, kind in KINDS.items())
    return Experiment(
        spec=ExperimentSpec(objective=objective, parameters=parameters),
        status=ExperimentStatus(current_optimal_trial=best),
    )


def test_parameters_are_typed_and_metrics_picked_by_their_strategy() -> None:
    found = optimal_hyperparameters(
        experiment(accuracy=("0.1", "0.90", "0.5"), loss=("1", "2", "nothing")), {"net": {"(8,)": (8,)}}
    )
    assert found is not None
    assert found.parameters == {"lr": 0.25, "depth": 3, "size": 0.5, "net": (8,), "act": "relu"}
    assert found.metrics == {"accuracy": 0.9, "loss": "nothing"}
    assert str(found) == ("accuracy=0.90 loss=nothing with lr=0.25 depth=3 size=0.5 net=(8,) act=relu")


def test_it_has_the_fields_of_katibs() -> None:
    found = optimal_hyperparameters(experiment(accuracy=("0.1", "0.9", "0.5")), {})
    assert found is not None
    assert found.best_trial_name == "x-1"
    assert {each.name: each.value for each in found.parameter_assignments} == VALUES
    assert found.observation.metrics[0].latest == "0.5"


def test_there_is_none_before_the_first_result() -> None:
    assert optimal_hyperparameters(Experiment(), {}) is None


def test_a_metric_log_entry_keeps_the_text() -> None:
    entry = metric_log(ObservedValue(sequence=0, metric="loss", text="0.50", time=1769860800.25, step=3))
    assert entry == MetricLog("2026-01-31T12:00:00.250Z", entry.metric, 3)
    assert (entry.metric.name, entry.metric.value) == ("loss", "0.50")
