"""Rules for the objective: direction, goal, metric names and which observation of a metric counts."""

from __future__ import annotations

import math

from katibpy.api.experiment import Objective, ObjectiveType, StrategyType
from katibpy.api.problems import Problems, shown

_PATH = "spec.objective"


def check_objective(objective: Objective | None, problems: Problems) -> None:
    """Check `spec.objective`."""
    if objective is None:
        problems.add(_PATH, "must be set, got nothing; say what to minimize or maximize")
        return
    problems.one_of(f"{_PATH}.type", objective.type, tuple(kind.value for kind in ObjectiveType))
    problems.require(f"{_PATH}.objectiveMetricName", objective.objective_metric_name)
    if objective.goal is not None and not math.isfinite(objective.goal):
        problems.add(f"{_PATH}.goal", f"must be a finite number, got {objective.goal}; leave it out for none")
    _additional(objective, problems)
    _strategies(objective, problems)


def _additional(objective: Objective, problems: Problems) -> None:
    path = f"{_PATH}.additionalMetricNames"
    names = objective.additional_metric_names
    for index, name in enumerate(names):
        if problems.require(f"{path}[{index}]", name) and name == objective.objective_metric_name:
            problems.add(
                f"{path}[{index}]",
                f"must not be {_PATH}.objectiveMetricName, got {shown(name)}; it is collected anyway",
            )
    problems.distinct(path, names, "name")


def _strategies(objective: Objective, problems: Problems) -> None:
    path = f"{_PATH}.metricStrategies"
    strategies = objective.metric_strategies or ()
    metrics = (objective.objective_metric_name, *objective.additional_metric_names)
    for index, strategy in enumerate(strategies):
        where = f"{path}[{index}]"
        if problems.require(f"{where}.name", strategy.name):
            problems.one_of(f"{where}.name", strategy.name, tuple(name for name in metrics if name))
        problems.one_of(f"{where}.value", strategy.value, tuple(kind.value for kind in StrategyType))
    problems.distinct(path, (strategy.name for strategy in strategies), "name", ".name")
