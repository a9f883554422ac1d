"""What the client answers with where Katib's own classes would be of the wire."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import PrivateAttr

from katibpy.api.experiment import Experiment, OptimalTrial, ParameterType
from katibpy.core.records import ObservedValue, number_of
from katibpy.display.values import assignments, picked, short_number


class OptimalHyperparameters(OptimalTrial):
    """The best trial so far, with the fields that Katib's has, and its values as Python's own.

    Attributes:
        parameters: what the objective was called with, as far as it was searched.
        metrics: each metric's value that its strategy picks; text where it is no number.
    """

    _parameters: dict[str, Any] = PrivateAttr(default_factory=dict)
    _texts: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def parameters(self) -> dict[str, Any]:
        """The searched parameters, typed: `SVC(**best.parameters)`."""
        return dict(self._parameters)

    @property
    def metrics(self) -> dict[str, float | str]:
        """The metrics by name, the objective first."""
        return {name: _number_or_text(text) for name, text in self._texts.items()}

    def __str__(self) -> str:
        metrics = " ".join(f"{name}={short_number(text)}" for name, text in self._texts.items())
        return f"{metrics} with {assignments(self.parameter_assignments)}"


def optimal_hyperparameters(
    experiment: Experiment, choices: Mapping[str, Mapping[str, Any]]
) -> OptimalHyperparameters | None:
    """The best trial of an Experiment; None while there is none.

    Args:
        experiment: as it is stored.
        choices: the objects that texts of listed parameters stand for, as far as they are known.
    """
    best = experiment.status.current_optimal_trial
    if best is None:
        return None
    found = OptimalHyperparameters(
        best_trial_name=best.best_trial_name,
        parameter_assignments=best.parameter_assignments,
        observation=best.observation,
    )
    kinds = {each.name: each.parameter_type for each in experiment.spec.parameters}
    found._parameters = {
        each.name: _typed(each.value, kinds.get(each.name, ""), choices.get(each.name, {}))
        for each in best.parameter_assignments
    }
    found._texts = {
        metric.name: picked(metric, experiment.spec.objective) for metric in best.observation.metrics
    }
    return found


@dataclass(frozen=True, slots=True)
class LoggedMetric:
    """Name and value of a metric, the value as it was written."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class MetricLog:
    """One value that a trial reported, with the fields of Katib's message of that name.

    Attributes:
        time_stamp: RFC 3339, in UTC.
        metric: name and value.
        step: training step, when it was given.
    """

    time_stamp: str
    metric: LoggedMetric
    step: int | None = None


def metric_log(value: ObservedValue) -> MetricLog:
    """A stored value as an entry of a trial's log."""
    moment = datetime.fromtimestamp(value.time, UTC).isoformat(timespec="milliseconds")
    return MetricLog(moment.replace("+00:00", "Z"), LoggedMetric(value.metric, value.text), value.step)


def _typed(text: str, kind: str, choices: Mapping[str, Any]) -> Any:
    if text in choices:
        return choices[text]
    if kind == ParameterType.DOUBLE:
        return _number_or_text(text)
    if kind in (ParameterType.INT, ParameterType.DISCRETE):
        with contextlib.suppress(ValueError):
            return int(text)
        return _number_or_text(text)
    return text


def _number_or_text(text: str) -> float | str:
    number = number_of(text)
    return text if number is None else number
