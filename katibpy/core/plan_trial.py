"""Decides what to do about a Trial: start, follow, stop, judge, clean up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from katibpy.api.conditions import Condition as Expression
from katibpy.api.conditions import compile_condition
from katibpy.api.experiment import CollectorKind, Metric, Observation
from katibpy.api.model import Condition
from katibpy.api.status_conditions import find_condition, set_condition
from katibpy.api.trial import Trial, TrialStatus
from katibpy.core.building import TRIAL_CREATED
from katibpy.core.instructions import (
    DrainMetrics,
    DropMetrics,
    FollowMetrics,
    Instruction,
    Plan,
    ReleaseRun,
    RemoveTrial,
    StartRun,
    StopRun,
)
from katibpy.core.phases import TrialPhase, trial_phase
from katibpy.core.records import UNAVAILABLE
from katibpy.core.runs import RunPhase, RunState
from katibpy.core.views import TrialView

_RUNNING = Condition(type="Running", reason="TrialRunning", message="Trial is running")
_METRIC = Metric(name="", min=UNAVAILABLE, max=UNAVAILABLE, latest=UNAVAILABLE)
_OBSERVATION = Observation(metrics=())
_ALIVE = (RunPhase.WAITING, RunPhase.RUNNING)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """How a Trial ends: phase, and what the job says of itself."""

    phase: TrialPhase
    reason: str = ""
    message: str = ""


def plan_trial(view: TrialView) -> Plan[TrialStatus]:
    """What to do about a Trial."""
    trial, run, status = view.trial, view.run, view.trial.status
    if trial.metadata.deletion_timestamp is not None:
        return Plan(status, (StopRun(trial),) if run.phase in _ALIVE else (RemoveTrial(trial),))
    if not trial_phase(status.conditions).is_active:
        return Plan(status, _clean_up(view))
    if find_condition(status.conditions, "Created") is None:
        status = status.but(start_time=status.start_time or view.now)
        status = _set(view, status, TRIAL_CREATED)
    request = status.stop_request
    if run.phase is RunPhase.ABSENT:
        if request is None:
            # The next run reports from the beginning; what the last one said is no part of it.
            is_again = find_condition(status.conditions, "Running") is not None
            return Plan(status, (DropMetrics(trial), StartRun(trial)) if is_again else (StartRun(trial),))
        return Plan(_ended(view, status, _Verdict(TrialPhase(request.phase), message=request.message)))
    verdict = _judge(trial, run)
    if verdict is None and run.phase in _ALIVE:
        return _alive(view, status)
    if not view.collection.is_attached:
        return Plan(status, (FollowMetrics(trial), DrainMetrics(trial)))
    if not view.collection.is_drained:
        return Plan(status, (DrainMetrics(trial),))
    if verdict is None or verdict.phase is TrialPhase.FAILED:
        if request is not None:
            verdict = _Verdict(TrialPhase(request.phase), message=request.message)
        elif verdict is None:
            verdict = _undecided(trial, run)
    return Plan(_ended(view, status, verdict))


def _alive(view: TrialView, status: TrialStatus) -> Plan[TrialStatus]:
    trial, run = view.trial, view.run
    instructions: list[Instruction] = []
    if run.phase is RunPhase.RUNNING:
        status = _set(view, status, TRIAL_CREATED)  # and waits no more
        status = _set(view, status, _RUNNING)
    elif run.message:
        status = _with(view, status, "Created", "TrialCreated", f"Trial is created and waits: {run.message}")
    if not view.collection.is_attached:
        instructions.append(FollowMetrics(trial))
    if status.stop_request is not None:
        instructions.append(StopRun(trial))
    return Plan(status, tuple(instructions))


def _clean_up(view: TrialView) -> tuple[Instruction, ...]:
    if view.run.phase in _ALIVE:
        return (StopRun(view.trial),)
    if view.run.phase is RunPhase.ENDED or view.collection.is_attached:
        return (ReleaseRun(view.trial),)
    return ()


@lru_cache(maxsize=256)
def _expression(text: str) -> Expression:
    return compile_condition(text)


def _judge(trial: Trial, run: RunState) -> _Verdict | None:
    """What the failure and success conditions say of the job object; failure first."""
    if not run.resource:
        return None
    for text, phase in (
        (trial.spec.failure_condition, TrialPhase.FAILED),
        (trial.spec.success_condition, TrialPhase.SUCCEEDED),
    ):
        match = _expression(text).evaluate(run.resource) if text else None
        if match is not None:
            return _Verdict(phase, match.reason or run.reason, match.message or run.message)
    return None


def _undecided(trial: Trial, run: RunState) -> _Verdict:
    """The run is over, yet neither condition holds."""
    if not run.resource:
        return _Verdict(TrialPhase.FAILED, run.reason, run.message)
    code = "" if run.exit_code is None else f" (exit code {run.exit_code})"
    message = (
        f"the run ended{code}, but neither successCondition {trial.spec.success_condition!r} nor "
        f"failureCondition {trial.spec.failure_condition!r} holds for its final state"
    )
    return _Verdict(TrialPhase.FAILED, run.reason or "ConditionsNotMet", message)


def _ended(view: TrialView, status: TrialStatus, verdict: _Verdict) -> TrialStatus:
    conditions = status.conditions
    running = find_condition(conditions, "Running")
    if running is not None and running.status == "True":
        conditions = set_condition(conditions, running.but(status="False"), view.now)
    status = status.but(
        conditions=conditions,
        observation=_observation(view),
        completion_time=view.run.ended_at or view.now,
        stop_request=None,
    )
    job_reason = f". Job reason: {verdict.reason}" if verdict.reason else ""
    job_message = f". Job message: {verdict.message}" if verdict.message else ""
    if verdict.phase is TrialPhase.SUCCEEDED and not _has_objective(view):
        return _with(
            view, status, "MetricsUnavailable", f"MetricsUnavailable{job_reason}", _missing_metric(view)
        )
    if verdict.phase is TrialPhase.SUCCEEDED:
        return _with(
            view, status, "Succeeded", f"TrialSucceeded{job_reason}", f"Trial has succeeded{job_message}"
        )
    if verdict.phase is TrialPhase.FAILED:
        message = f"Trial has failed{job_message}{_last_output(view)}"
        return _with(view, status, "Failed", f"TrialFailed{job_reason}", message)
    if verdict.phase is TrialPhase.EARLY_STOPPED:
        message = verdict.message or "Trial is early stopped"
        return _with(view, status, "EarlyStopped", "TrialEarlyStopped", message)
    return _with(view, status, "Killed", "TrialKilled", verdict.message or "Trial was stopped")


def _observation(view: TrialView) -> Observation | None:
    if not view.metrics:
        return None
    objective = view.trial.spec.objective
    metrics = []
    for name in (objective.objective_metric_name, *objective.additional_metric_names):
        found = view.metrics.get(name)
        if found is None:
            metrics.append(_METRIC.but(name=name))
        else:
            metrics.append(_METRIC.but(name=name, min=found.min, max=found.max, latest=found.latest))
    return _OBSERVATION.but(metrics=tuple(metrics))


def _has_objective(view: TrialView) -> bool:
    found = view.metrics.get(view.trial.spec.objective.objective_metric_name)
    # A text (an architecture, say) is a result, although it cannot be compared.
    return found is not None and any(text != UNAVAILABLE for text in (found.latest, found.min, found.max))


def _missing_metric(view: TrialView) -> str:
    collection = view.collection
    name = view.trial.spec.objective.objective_metric_name
    collector = view.trial.spec.metrics_collector.collector
    kind = collector.kind if collector is not None else CollectorKind.STDOUT
    parts = [f"Metrics are not available: the objective {name!r} never appeared (collector {kind})"]
    if collection.problem:
        parts.append(collection.problem)
    seen = [seen for seen in collection.seen_names if seen != name]
    parts.append(f"metrics that did appear: {', '.join(seen)}" if seen else "no other metric appeared either")
    return "; ".join(parts) + _last_output(view)


def _last_output(view: TrialView) -> str:
    lines = view.collection.last_lines
    return "\nLast output:\n" + "\n".join(f"  {line}" for line in lines) if lines else ""


def _with(view: TrialView, status: TrialStatus, kind: str, reason: str, message: str) -> TrialStatus:
    return _set(view, status, _RUNNING.but(type=kind, reason=reason, message=message))


def _set(view: TrialView, status: TrialStatus, condition: Condition) -> TrialStatus:
    conditions = set_condition(status.conditions, condition, view.now)
    return status if conditions is status.conditions else status.but(conditions=conditions)
