"""Which trials' files are kept once they have ended."""

from __future__ import annotations

from enum import StrEnum

from katibpy.api.experiment import Experiment
from katibpy.api.trial import Trial
from katibpy.core.phases import TrialPhase, experiment_phase, trial_phase
from katibpy.core.plan_experiment import is_restartable

_FAILURES = (TrialPhase.FAILED, TrialPhase.METRICS_UNAVAILABLE)


class KeepTrials(StrEnum):
    """Whose files stay; metrics and conditions of all trials are kept anyway."""

    ALL = "all"
    FAILED = "failed"
    """Of those that failed or gave no objective, to find out why."""
    BEST = "best"
    """Of the best so far; when another one is better, those of the former best go."""
    NONE = "none"


def keeps(policy: KeepTrials, trial: Trial, *, best: str | None) -> bool:
    """Whether the files of a Trial stay now.

    Those of one that may still run always do, and so do those of one whose template says `retain`.

    Args:
        policy: of the Experiment's run.
        trial: with its current status.
        best: name of the best trial so far, None when there is none.
    """
    phase = trial_phase(trial.status.conditions)
    if phase.is_active or trial.spec.retain_run:
        return True
    match policy:
        case KeepTrials.ALL:
            return True
        case KeepTrials.FAILED:
            return phase in _FAILURES
        case KeepTrials.BEST:
            return trial.metadata.name == best
    return False


def may_continue(experiment: Experiment) -> bool:
    """Whether trials may still begin with checkpoints of earlier ones: it has not ended, or not for good."""
    return not experiment_phase(experiment.status.conditions).is_finished or is_restartable(experiment)
