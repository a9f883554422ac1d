"""Enumerations: what a YAML calls them and their numbers on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from katibpy.algo.history import Outcome
from katibpy.api.experiment import Distribution, ObjectiveType, ParameterType
from katibpy.core.phases import TrialPhase
from katibpy.pb.v1beta1 import api_pb2 as pb

A = TypeVar("A")
E = TypeVar("E", bound=int)


class Table(Generic[A, E]):
    """A two-way table between values and wire numbers.

    What it lacks becomes the number of `nothing` there, and the value of `nothing` back, so that a number
    that a newer peer may send is no error.
    """

    def __init__(self, pairs: Mapping[A, E], *, nothing: tuple[A, E]) -> None:
        self._value, self._number = nothing
        self._there = dict(pairs)
        self._back: dict[int, A] = {number: value for value, number in pairs.items()}

    def number(self, value: A) -> E:
        """The wire number of a value."""
        return self._there.get(value, self._number)

    def value(self, number: int) -> A:
        """The value of a wire number."""
        return self._back.get(number, self._value)


PARAMETER_TYPES: Table[str, pb.ParameterType] = Table(
    {
        ParameterType.DOUBLE.value: pb.DOUBLE,
        ParameterType.INT.value: pb.INT,
        ParameterType.DISCRETE.value: pb.DISCRETE,
        ParameterType.CATEGORICAL.value: pb.CATEGORICAL,
    },
    nothing=(ParameterType.UNKNOWN.value, pb.UNKNOWN_TYPE),
)

DISTRIBUTIONS: Table[str | None, pb.Distribution] = Table(
    {
        Distribution.UNIFORM.value: pb.UNIFORM,
        Distribution.LOG_UNIFORM.value: pb.LOG_UNIFORM,
        Distribution.NORMAL.value: pb.NORMAL,
        Distribution.LOG_NORMAL.value: pb.LOG_NORMAL,
    },
    nothing=(None, pb.DISTRIBUTION_UNSPECIFIED),
)

OBJECTIVE_TYPES: Table[str, pb.ObjectiveType] = Table(
    {ObjectiveType.MINIMIZE.value: pb.MINIMIZE, ObjectiveType.MAXIMIZE.value: pb.MAXIMIZE},
    nothing=("", pb.UNKNOWN),
)

PHASES: Table[TrialPhase, pb.TrialStatus.TrialConditionType] = Table(
    {
        TrialPhase.PENDING: pb.TrialStatus.CREATED,
        TrialPhase.RUNNING: pb.TrialStatus.RUNNING,
        TrialPhase.SUCCEEDED: pb.TrialStatus.SUCCEEDED,
        TrialPhase.KILLED: pb.TrialStatus.KILLED,
        TrialPhase.FAILED: pb.TrialStatus.FAILED,
        TrialPhase.METRICS_UNAVAILABLE: pb.TrialStatus.METRICSUNAVAILABLE,
        TrialPhase.EARLY_STOPPED: pb.TrialStatus.EARLYSTOPPED,
    },
    # Katib says UNKNOWN for a trial whose metrics are unavailable.
    nothing=(TrialPhase.METRICS_UNAVAILABLE, pb.TrialStatus.UNKNOWN),
)

OUTCOMES: Mapping[int, Outcome] = {
    pb.TrialStatus.CREATED: Outcome.ACTIVE,
    pb.TrialStatus.RUNNING: Outcome.ACTIVE,
    pb.TrialStatus.SUCCEEDED: Outcome.SUCCEEDED,
    pb.TrialStatus.KILLED: Outcome.KILLED,
    pb.TrialStatus.FAILED: Outcome.FAILED,
    pb.TrialStatus.METRICSUNAVAILABLE: Outcome.FAILED,
    pb.TrialStatus.EARLYSTOPPED: Outcome.EARLY_STOPPED,
    pb.TrialStatus.UNKNOWN: Outcome.FAILED,
}
"""What became of a trial; a proposal without a trial is told apart by its empty uid."""
