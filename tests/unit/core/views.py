"""Views of Experiments, Suggestions and Trials, built from little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from katibpy.api.experiment import Experiment
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import StopRequest, Trial
from katibpy.controller.gather import active_trial
from katibpy.core.invariants import recount
from katibpy.core.phases import TrialPhase, trial_phase
from katibpy.core.records import MetricSummary, StoredProposal
from katibpy.core.runs import CollectionState, RunPhase, RunState
from katibpy.core.views import ExperimentView, TrialView
from katibpy.testing import builders as build

KILL = StopRequest(phase="Killed", reason="TrialKilled", message="Trial was stopped because of a test")
STOP_EARLY = StopRequest(phase="EarlyStopped", reason="TrialEarlyStopped", message="no hope left")


def tuned(**spec: Any) -> Experiment:
    """A stored Experiment that has never been looked at."""
    return build.as_stored(build.experiment(**spec))


def seen(
    experiment: Experiment,
    trials: Sequence[Trial] = (),
    *,
    suggestion: Suggestion | None = None,
    proposals: Sequence[StoredProposal] = (),
    next_number: int = 0,
    seconds: float = 100.0,
) -> ExperimentView:
    """What the Experiment's planner sees when these Trials are stored."""
    return ExperimentView(
        experiment=experiment,
        suggestion=suggestion,
        tally=recount(trials),
        active=tuple(active_trial(each) for each in trials if trial_phase(each.status.conditions).is_active),
        proposals=tuple(proposals),
        next_number=next_number,
        now=build.moment(seconds),
    )


def succeeded(experiment: Experiment, number: int, value: object) -> Trial:
    """A Trial that succeeded with this value of the objective."""
    name = experiment.spec.objective.objective_metric_name if experiment.spec.objective else "loss"
    return build.trial(experiment, number, TrialPhase.SUCCEEDED, metrics={name: value})


def job(phase: RunPhase, *conditions: str, **state: Any) -> RunState:
    """A run whose job object has these conditions, all `True`."""
    listed = [
        {"type": kind, "status": "True", "reason": f"Because{kind}", "message": f"it says {kind}"}
        for kind in conditions
    ]
    resource = {"kind": "Job", "status": {"conditions": listed}} if phase is not RunPhase.ABSENT else {}
    return RunState(**{"phase": phase, "resource": resource, **state})


ABSENT = RunState(RunPhase.ABSENT)
ATTACHED = CollectionState(is_attached=True)
DRAINED = CollectionState(is_attached=True, is_drained=True)


def watched(
    trial: Trial,
    run: RunState = ABSENT,
    collection: CollectionState | None = None,
    *,
    metrics: dict[str, object] | None = None,
    seconds: float = 100.0,
) -> TrialView:
    """What a Trial's planner sees; `metrics` gives each metric one value."""
    return TrialView(
        trial=trial,
        run=run,
        collection=collection or CollectionState(),
        metrics={
            name: MetricSummary(min=str(value), max=str(value), latest=str(value), count=1)
            for name, value in (metrics or {}).items()
        },
        now=build.moment(seconds),
    )
