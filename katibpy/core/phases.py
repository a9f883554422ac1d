"""The one current state of a Trial and of an Experiment, read from its conditions."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from katibpy.api.model import Condition


class TrialPhase(StrEnum):
    """The current state of a Trial."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    KILLED = "Killed"
    EARLY_STOPPED = "EarlyStopped"
    METRICS_UNAVAILABLE = "MetricsUnavailable"

    # As equal texts have, and without a step of Python, which an Enum's own takes: phases are keys.
    __hash__ = str.__hash__

    @property
    def is_active(self) -> bool:
        """Whether the Trial may still run."""
        return self in ACTIVE_PHASES


ACTIVE_PHASES = (TrialPhase.PENDING, TrialPhase.RUNNING)
"""Phases of a Trial that has not ended."""

FINISHED_PHASES = tuple(phase for phase in TrialPhase if phase not in ACTIVE_PHASES)
"""Phases of a Trial that has ended."""


class ExperimentPhase(StrEnum):
    """The current state of an Experiment."""

    CREATED = "Created"
    RUNNING = "Running"
    RESTARTING = "Restarting"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"

    @property
    def is_finished(self) -> bool:
        """Whether the Experiment has ended."""
        return self in (ExperimentPhase.SUCCEEDED, ExperimentPhase.FAILED)


# By condition type, as plain strings: both functions below run many times for every trial.
_TRIAL_PRECEDENCE = {
    phase.value: (rank, phase)
    for rank, phase in enumerate(
        (
            TrialPhase.KILLED,
            TrialPhase.FAILED,
            TrialPhase.SUCCEEDED,
            TrialPhase.EARLY_STOPPED,
            TrialPhase.METRICS_UNAVAILABLE,
            TrialPhase.RUNNING,
        )
    )
}
_EXPERIMENT_PRECEDENCE = {
    phase.value: (rank, phase)
    for rank, phase in enumerate(
        (
            ExperimentPhase.FAILED,
            ExperimentPhase.SUCCEEDED,
            ExperimentPhase.RUNNING,
            ExperimentPhase.RESTARTING,
        )
    )
}
_PENDING = (len(_TRIAL_PRECEDENCE), TrialPhase.PENDING)
_CREATED = (len(_EXPERIMENT_PRECEDENCE), ExperimentPhase.CREATED)


def trial_phase(conditions: Sequence[Condition]) -> TrialPhase:
    """Phase that a Trial's conditions express."""
    best = _PENDING
    for condition in conditions:
        if condition.status == "True":
            found = _TRIAL_PRECEDENCE.get(condition.type)
            if found is not None and found < best:
                best = found
    return best[1]


def experiment_phase(conditions: Sequence[Condition]) -> ExperimentPhase:
    """Phase that an Experiment's conditions express."""
    best = _CREATED
    for condition in conditions:
        if condition.status == "True":
            found = _EXPERIMENT_PRECEDENCE.get(condition.type)
            if found is not None and found < best:
                best = found
    return best[1]
