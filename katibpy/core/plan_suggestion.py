"""Decides what to do about a Suggestion: validate, ask, save, rest."""

from __future__ import annotations

from datetime import datetime

from katibpy.api.experiment import Algorithm, Experiment, ResumePolicy
from katibpy.api.model import Condition
from katibpy.api.status_conditions import find_condition, has_condition, set_condition, without_conditions
from katibpy.api.suggestion import Suggestion, SuggestionStatus
from katibpy.core.building import assignment_of, merged_settings
from katibpy.core.instructions import (
    AskAlgorithm,
    Instruction,
    Plan,
    ReleaseAlgorithm,
    RemoveSuggestion,
    SaveReply,
    ValidateSettings,
)
from katibpy.core.phases import experiment_phase
from katibpy.core.records import NAME_LIMIT
from katibpy.core.views import AlgorithmReply, SuggestionView

_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

SERVICE_FAILS = "the algorithm service gave no usable answer"
"""How the message of a Suggestion begins whose service cannot answer or answers wrongly."""

_CREATED = Condition(type="Created", reason="SuggestionCreated", message="Suggestion is created")
_READY = Condition(type="DeploymentReady", reason="DeploymentReady", message="Deployment is ready")
_RUNNING = Condition(type="Running", reason="SuggestionRunning", message="Suggestion is running")

_NOT_READY = "DeploymentNotReady"

_FINISHED_MESSAGES = {
    ResumePolicy.NEVER: "Suggestion is succeeded, can't be restarted",
    ResumePolicy.FROM_VOLUME: "Suggestion is succeeded, suggestion volume is not deleted, can be restarted",
}


def plan_suggestion(view: SuggestionView) -> Plan[SuggestionStatus]:
    """What to do about a Suggestion.

    The answers to ValidateSettings and AskAlgorithm come back in the next view, within the same
    reconciliation; a lost answer is simply asked for again.
    """
    suggestion, experiment = view.suggestion, view.experiment
    status = suggestion.status
    if suggestion.metadata.deletion_timestamp is not None or experiment is None:
        return Plan(status, (RemoveSuggestion(suggestion),))
    if status.start_time is None:
        status = status.but(start_time=view.now)
        status = _set(status, _CREATED, view.now)
    has_failed = has_condition(status.conditions, "Failed")
    if experiment_phase(experiment.status.conditions).is_finished:
        is_kept = _policy(experiment) is ResumePolicy.LONG_RUNNING
        return Plan(
            status if has_failed else _rested(status, experiment, view.now),
            () if is_kept else (ReleaseAlgorithm(experiment),),
        )
    if has_failed or experiment.metadata.deletion_timestamp is not None:
        return Plan(status)
    if view.refusal is not None:
        message = f"Validation failed: {view.refusal.message}"
        status = _with(
            status, "Running", "SuggestionFailed", "Suggestion is not running", view.now, false=True
        )
        return Plan(_with(status, "Failed", "SuggestionFailed", message, view.now))
    if view.failure is not None:
        delay = _BACKOFF_SECONDS[min(view.failure.attempts, len(_BACKOFF_SECONDS)) - 1]
        message = f"{SERVICE_FAILS} ({view.failure.attempts} in a row): {view.failure.message}"
        status = _with(status, "DeploymentReady", _NOT_READY, message, view.now, false=True)
        return Plan(status, again_after_seconds=delay)
    if not view.is_accepted and not has_condition(status.conditions, "Running"):
        return Plan(status, (ValidateSettings(experiment),))
    if has_condition(status.conditions, "Succeeded"):
        status = status.but(conditions=without_conditions(status.conditions, "Succeeded"))
    status = _set(status, _READY, view.now)
    status = _set(status, _RUNNING, view.now)
    missing = suggestion.spec.requests - status.suggestion_count
    if view.reply is not None:
        return _saved(status, experiment, view.reply, missing)
    if missing <= 0 or status.exhausted:
        return Plan(status)
    return Plan(status, (AskAlgorithm(asking(experiment, suggestion), missing, suggestion.spec.requests),))


def asking(experiment: Experiment, suggestion: Suggestion) -> Experiment:
    """The Experiment as the service is shown it: with the settings that its earlier replies gave."""
    if not suggestion.status.algorithm_settings:
        return experiment
    algorithm = experiment.spec.algorithm or Algorithm()
    settings = merged_settings(algorithm.algorithm_settings, suggestion.status.algorithm_settings)
    return experiment.but(spec=experiment.spec.but(algorithm=algorithm.but(algorithm_settings=settings)))


def _saved(
    status: SuggestionStatus, experiment: Experiment, reply: AlgorithmReply, missing: int
) -> Plan[SuggestionStatus]:
    first = status.suggestion_count
    # All of them, although an edit may want fewer by now: the algorithm's memory counts on each.
    assignments = tuple(
        assignment_of(experiment, proposed, first + index) for index, proposed in enumerate(reply.proposals)
    )
    status = status.but(
        suggestion_count=first + len(assignments),
        suggestions=assignments[-NAME_LIMIT:],
        exhausted=reply.is_exhausted,
        algorithm_settings=merged_settings(status.algorithm_settings, reply.settings),
        note=reply.note or status.note,
    )
    instructions: tuple[Instruction, ...] = (SaveReply(assignments, reply.memory),)
    is_short = len(assignments) < missing and not reply.is_exhausted
    # An algorithm that waits for results answers short; new results wake us, this is the safety net.
    return Plan(status, instructions, again_after_seconds=5.0 if is_short else None)


def _rested(status: SuggestionStatus, experiment: Experiment, now: datetime) -> SuggestionStatus:
    policy = _policy(experiment)
    if policy is ResumePolicy.LONG_RUNNING or has_condition(status.conditions, "Succeeded"):
        return status
    reason = "Suggestion is succeeded"
    if has_condition(status.conditions, "Running"):
        status = _with(status, "Running", reason, "Suggestion is not running", now, false=True)
    if has_condition(status.conditions, "DeploymentReady"):
        status = _with(status, "DeploymentReady", reason, "Deployment is not ready", now, false=True)
    return _with(status, "Succeeded", "Experiment is succeeded", _FINISHED_MESSAGES[policy], now)


def _policy(experiment: Experiment) -> ResumePolicy:
    return ResumePolicy(experiment.spec.resume_policy or ResumePolicy.NEVER)


def service_failure(suggestion: Suggestion | None) -> str:
    """Why the algorithm service cannot answer at the moment; "" when nothing is known against it."""
    ready = find_condition(suggestion.status.conditions, "DeploymentReady") if suggestion else None
    is_failing = ready is not None and ready.status == "False" and ready.reason == _NOT_READY
    return ready.message if ready is not None and is_failing else ""


def _with(
    status: SuggestionStatus, kind: str, reason: str, message: str, now: datetime, *, false: bool = False
) -> SuggestionStatus:
    condition = Condition(type=kind, status="False" if false else "True", reason=reason, message=message)
    return _set(status, condition, now)


def _set(status: SuggestionStatus, condition: Condition, now: datetime) -> SuggestionStatus:
    conditions = set_condition(status.conditions, condition, now)
    return status if conditions is status.conditions else status.but(conditions=conditions)
