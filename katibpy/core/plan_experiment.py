"""Decides what to do about an Experiment: how many trials to start or stop, and when it has ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from katibpy.api.experiment import (
    Experiment,
    ExperimentStatus,
    ObjectiveType,
    OptimalTrial,
    ResumePolicy,
)
from katibpy.api.model import Condition
from katibpy.api.status_conditions import (
    find_condition,
    set_condition,
    without_conditions,
)
from katibpy.api.trial import StopRequest
from katibpy.core.building import suggestion_of, suggestion_spec
from katibpy.core.instructions import (
    CreateSuggestion,
    CreateTrial,
    DeleteOwned,
    Instruction,
    Plan,
    RemoveExperiment,
    RequestProposals,
    RequestStop,
)
from katibpy.core.phases import TrialPhase, experiment_phase
from katibpy.core.plan_suggestion import service_failure
from katibpy.core.views import ActiveTrial, ExperimentView

GOAL_REACHED = "ExperimentGoalReached"
MAX_TRIALS_REACHED = "ExperimentMaxTrialsReached"
SUGGESTION_END_REACHED = "ExperimentSuggestionEndReached"
FAILED = "ExperimentFailed"
DEFAULT_PARALLEL = 3
_LONGEST_TROUBLE = 500

_CREATED = Condition(type="Created", reason="ExperimentCreated", message="Experiment is created")
_RUNNING = Condition(type="Running", reason="ExperimentRunning", message="Experiment is running")
_OPTIMAL = OptimalTrial()
_RESTARTING = Condition(type="Restarting", reason="ExperimentRestarting", message="Experiment is restarted")


@dataclass(frozen=True, slots=True)
class _Verdict:
    """How an Experiment ends."""

    type: str
    reason: str
    message: str


def plan_experiment(view: ExperimentView) -> Plan[ExperimentStatus]:
    """What to do about an Experiment."""
    experiment = view.experiment
    if experiment.metadata.deletion_timestamp is not None:
        return Plan(experiment.status, _leave(view))
    status = _counted(experiment.status, view)
    if status.start_time is None:
        status = status.but(start_time=view.now)
        status = _with(status, _CREATED, view.now)
    if experiment_phase(status.conditions).is_finished:
        if not _can_continue(experiment, view):
            return Plan(status, _stops(view, view.active, "the Experiment has ended"))
        conditions = without_conditions(status.conditions, "Succeeded", "Failed", "Restarting")
        status = status.but(completion_time=None, conditions=conditions)
        status = _with(status, _RESTARTING, view.now)
    verdict = _verdict(view)
    if verdict is not None:
        return Plan(
            _ended(status, verdict, view.now),
            _stops(view, view.active, "the Experiment has ended"),
        )
    return Plan(_told(status, view), _balance(view))


def _told(status: ExperimentStatus, view: ExperimentView) -> ExperimentStatus:
    """The status with its current condition, which says it when the algorithm service does not answer."""
    trouble = service_failure(view.suggestion)
    line = " ".join(trouble.split())
    is_begun = view.tally.count() > 0
    current = _RUNNING if is_begun else _CREATED
    if line:
        current = current.but(message=f"{current.message}; {line[:_LONGEST_TROUBLE]}")
    if is_begun:
        # What it waited for before its first trial.
        status = _with(status, _CREATED, view.now)
    return _with(status, current, view.now)


def _leave(view: ExperimentView) -> tuple[Instruction, ...]:
    """What a deleted Experiment still has to do."""
    suggestion, count = view.suggestion, view.tally.count()
    if suggestion is None and count == 0:
        return (RemoveExperiment(view.experiment),)
    # A Trial or Suggestion that was being created while the deletion came in has not been marked.
    is_overlooked = suggestion is not None and suggestion.metadata.deletion_timestamp is None
    is_overlooked |= any(not trial.is_stopping for trial in view.active)
    is_overlooked |= count > 0 and not view.active
    return (DeleteOwned(view.experiment),) if is_overlooked else ()


def _counted(status: ExperimentStatus, view: ExperimentView) -> ExperimentStatus:
    """The status with counters, name lists and best trial as the tally has them."""
    tally, newest = view.tally, view.tally.newest
    best, counts = tally.best, tally.counts
    running: list[str] = []
    pending: list[str] = []
    is_running = TrialPhase.RUNNING
    for trial in view.active:
        (running if trial.phase is is_running else pending).append(trial.name)
    optimal = None
    if best is not None:
        optimal = _OPTIMAL.but(
            best_trial_name=best.name, parameter_assignments=best.assignments, observation=best.observation
        )
    return status.but(
        current_optimal_trial=optimal,
        running_trial_list=tuple(running),
        pending_trial_list=tuple(pending),
        failed_trial_list=newest.get(TrialPhase.FAILED, ()),
        succeeded_trial_list=newest.get(TrialPhase.SUCCEEDED, ()),
        killed_trial_list=newest.get(TrialPhase.KILLED, ()),
        early_stopped_trial_list=newest.get(TrialPhase.EARLY_STOPPED, ()),
        metrics_unavailable_trial_list=newest.get(TrialPhase.METRICS_UNAVAILABLE, ()),
        trials=tally.count(),
        trials_succeeded=counts.get(TrialPhase.SUCCEEDED, 0),
        trials_failed=counts.get(TrialPhase.FAILED, 0),
        trials_killed=counts.get(TrialPhase.KILLED, 0),
        trials_pending=counts.get(TrialPhase.PENDING, 0),
        trials_running=counts.get(TrialPhase.RUNNING, 0),
        trials_early_stopped=counts.get(TrialPhase.EARLY_STOPPED, 0),
        trial_metrics_unavailable=counts.get(TrialPhase.METRICS_UNAVAILABLE, 0),
        observed_generation=view.experiment.metadata.generation,
    )


def is_restartable(experiment: Experiment) -> bool:
    """Whether a finished Experiment may go on when its budget is raised."""
    succeeded = find_condition(experiment.status.conditions, "Succeeded")
    policy = ResumePolicy(experiment.spec.resume_policy or ResumePolicy.NEVER)
    return (
        succeeded is not None
        and succeeded.status == "True"
        and succeeded.reason == MAX_TRIALS_REACHED
        and policy is not ResumePolicy.NEVER
    )


def _can_continue(experiment: Experiment, view: ExperimentView) -> bool:
    # Only an edit is a wish to go on: a Trial deleted after the end makes room for another as well.
    is_edited = experiment.metadata.generation != experiment.status.observed_generation
    limit = experiment.spec.max_trial_count
    is_roomy = limit is None or limit > view.tally.count()
    return is_edited and is_roomy and is_restartable(experiment)


def goal_is_reached(experiment: Experiment, loss: float) -> bool:
    """Whether a loss (minimised) is at least as good as the objective's goal."""
    objective = experiment.spec.objective
    if objective is None or objective.goal is None:
        return False
    return loss <= (-objective.goal if objective.type == ObjectiveType.MAXIMIZE else objective.goal)


def _verdict(view: ExperimentView) -> _Verdict | None:
    experiment, spec, tally = view.experiment, view.experiment.spec, view.tally
    suggestion = view.suggestion
    if tally.best is not None and goal_is_reached(experiment, tally.best.loss):
        message = "Experiment has succeeded because Objective goal has reached"
        return _Verdict("Succeeded", GOAL_REACHED, message)
    failed = tally.count(TrialPhase.FAILED, TrialPhase.METRICS_UNAVAILABLE)
    if spec.max_failed_trial_count is not None and 0 < failed >= spec.max_failed_trial_count:
        return _Verdict("Failed", FAILED, "Experiment has failed because max failed count has reached")
    if spec.max_trial_count is not None and tally.finished >= spec.max_trial_count:
        message = "Experiment has succeeded because max trial count has reached"
        return _useful(view, MAX_TRIALS_REACHED, message)
    if suggestion is None:
        return None
    refusal = find_condition(suggestion.status.conditions, "Failed")
    if refusal is not None and refusal.status == "True":
        return _Verdict("Failed", FAILED, f"Suggestion has failed: {refusal.message}")
    # The tally was read before the active Trials: one that ended in between is yet to be counted.
    has_active = view.active or tally.finished < tally.count()
    if suggestion.status.exhausted and not has_active and not view.proposals:
        message = "Experiment has succeeded because suggestion service has reached the end"
        return _useful(view, SUGGESTION_END_REACHED, message)
    return None


def _useful(view: ExperimentView, reason: str, message: str) -> _Verdict:
    """Success, unless not one trial gave a result: then calling it a success would be a lie."""
    if view.tally.count(TrialPhase.SUCCEEDED, TrialPhase.EARLY_STOPPED):
        return _Verdict("Succeeded", reason, message)
    count = view.tally.count()
    why = f"none of its {count} trials succeeded" if count else "the search ended without a trial"
    return _Verdict("Failed", FAILED, f"Experiment has failed because {why}")


def _ended(status: ExperimentStatus, verdict: _Verdict, now: datetime) -> ExperimentStatus:
    running = find_condition(status.conditions, "Running")
    if running is not None and running.status == "True":
        stopped = _RUNNING.but(status="False", reason=running.reason)
        status = status.but(conditions=set_condition(status.conditions, stopped, now))
    condition = Condition(type=verdict.type, reason=verdict.reason, message=verdict.message)
    return _with(status, condition, now).but(completion_time=now)


def _balance(view: ExperimentView) -> tuple[Instruction, ...]:
    """Instructions that bring the number of running trials to what the spec asks for."""
    experiment, spec, suggestion = view.experiment, view.experiment.spec, view.suggestion
    parallel = spec.parallel_trial_count or DEFAULT_PARALLEL
    staying = [trial for trial in view.active if not trial.is_stopping]
    excess = len(staying) - parallel
    if excess > 0:
        # Those that have not begun lose least, then the youngest. Finished trials are never touched.
        dearest_last = sorted(staying, key=lambda t: (t.phase is TrialPhase.RUNNING, -t.number))
        return _stops(view, tuple(dearest_last[:excess]), "spec.parallelTrialCount was cut")
    wanted = parallel - len(view.active)
    if spec.max_trial_count is not None:
        wanted = min(wanted, spec.max_trial_count - view.tally.count())
    wanted = max(wanted, 0)
    ready = view.proposals[:wanted]
    instructions: list[Instruction] = [CreateTrial(experiment, proposal) for proposal in ready]
    short = wanted - len(ready)
    if suggestion is None:
        if short > 0:
            instructions.append(CreateSuggestion(suggestion_of(experiment, short, made=view.next_number)))
    elif not suggestion.status.exhausted and suggestion.metadata.deletion_timestamp is None:
        # Nothing short after a cut: requests that were not answered yet are taken back.
        requests = suggestion.status.suggestion_count + short
        if requests != suggestion.spec.requests:
            wished = suggestion_spec(experiment, requests)
            instructions.append(RequestProposals(suggestion.but(spec=wished)))
    return tuple(instructions)


def _stops(view: ExperimentView, trials: tuple[ActiveTrial, ...], cause: str) -> tuple[Instruction, ...]:
    namespace = view.experiment.metadata.namespace
    request = StopRequest(
        phase=TrialPhase.KILLED.value, reason="TrialKilled", message=f"Trial was stopped because {cause}"
    )
    return tuple(
        RequestStop(namespace, trial.name, trial.uid, request) for trial in trials if not trial.is_stopping
    )


def _with(status: ExperimentStatus, condition: Condition, now: datetime) -> ExperimentStatus:
    conditions = set_condition(status.conditions, condition, now)
    return status if conditions is status.conditions else status.but(conditions=conditions)
