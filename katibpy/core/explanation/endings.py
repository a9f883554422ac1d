"""What is said of an Experiment that has ended: by which limit or failure, and how to go on."""

from __future__ import annotations

from datetime import timedelta

from katibpy.api.experiment import Experiment, ResumePolicy
from katibpy.api.status_conditions import find_condition
from katibpy.core.explanation.facts import ExperimentFacts
from katibpy.core.explanation.finding import REFUSED, Finding, Severity, counted, length, listed
from katibpy.core.phases import ExperimentPhase, TrialPhase, experiment_phase
from katibpy.core.plan_experiment import (
    GOAL_REACHED,
    MAX_TRIALS_REACHED,
    SUGGESTION_END_REACHED,
    is_restartable,
)
from katibpy.core.records import number_of

_REFUSED = "Suggestion has failed: "
_VALIDATION = "Validation failed: "


def ending(facts: ExperimentFacts) -> Finding:
    """How a finished Experiment ended."""
    experiment = facts.experiment
    phase = experiment_phase(experiment.status.conditions)
    condition = find_condition(experiment.status.conditions, phase.value)
    reason = "" if condition is None else condition.reason
    message = "" if condition is None else condition.message
    if phase is ExperimentPhase.FAILED:
        return _failure(facts, message)
    if reason == GOAL_REACHED:
        return _result("GoalReached", f"it reached its goal{_goal(experiment)}", facts, "")
    if reason == MAX_TRIALS_REACHED:
        what = f"it ran {counted(facts.tally.count(), 'trial')}, as many as spec.maxTrialCount allows"
        return _result("MaxTrialsReached", what, facts, _more(facts))
    if reason == SUGGESTION_END_REACHED:
        tried = counted(facts.tally.count(), "trial")
        what = f"the search is exhausted: after {tried} nothing new is left to try"
        advice = (
            "widen the search space (more values, smaller steps) and run it under another name to try more"
        )
        return _result("SearchExhausted", what, facts, advice)
    return _result("Succeeded", message or "it succeeded", facts, "")


def without_best(facts: ExperimentFacts) -> Finding | None:
    """That trials succeeded, but none gave a number that can be compared."""
    succeeded = facts.tally.count(TrialPhase.SUCCEEDED, TrialPhase.EARLY_STOPPED)
    if facts.tally.best is not None or not succeeded:
        return None
    objective = facts.experiment.spec.objective
    name = objective.objective_metric_name if objective is not None else ""
    values = tuple(dict.fromkeys(facts.objectives))
    is_number = any(number_of(value) is not None for value in values)
    advice = (
        "the training diverges: look at its loss, try smaller learning rates, or end it when it is not finite"
    )
    if not is_number:
        advice = f"the objective must be a number to be compared; have the program print {name}=0.123"
    return Finding(
        "NoBestTrial",
        Severity.PROBLEM,
        f"{counted(succeeded, 'trial')} succeeded, but not one with a finite number for {name}",
        (f"reported were: {listed(values)}",) if values else (),
        advice,
    )


def _failure(facts: ExperimentFacts, message: str) -> Finding:
    spec, tally = facts.experiment.spec, facts.tally
    failed = tally.count(TrialPhase.FAILED, TrialPhase.METRICS_UNAVAILABLE)
    if message.startswith(_REFUSED):
        algorithm = spec.algorithm.algorithm_name if spec.algorithm else ""
        return Finding(
            REFUSED,
            Severity.PROBLEM,
            f"the algorithm {algorithm} refuses it: "
            f"{message.removeprefix(_REFUSED).removeprefix(_VALIDATION)}",
            (),
            f"correct the file, and start over with --replace; see `katib algorithms {algorithm}`",
        )
    if spec.max_failed_trial_count is not None and failed >= spec.max_failed_trial_count:
        return Finding(
            "MaxFailedReached",
            Severity.PROBLEM,
            f"it was given up after {counted(failed, 'failed trial')} (spec.maxFailedTrialCount)",
            _counts(facts),
            "mend what makes trials fail, then start over with --replace; a larger maxFailedTrialCount would "
            "tolerate more",
        )
    if tally.count():
        what = f"it ended without a result: not one of its {counted(tally.count(), 'trial')} succeeded"
        advice = "mend what makes trials fail, then start over with --replace"
        return Finding("NoTrialSucceeded", Severity.PROBLEM, what, _counts(facts), advice)
    return Finding("Failed", Severity.PROBLEM, message or "it failed", (), "")


def _result(kind: str, what: str, facts: ExperimentFacts, advice: str) -> Finding:
    best = facts.tally.best
    evidence = [*_counts(facts)]
    if best is not None:
        values = " ".join(f"{each.name}={each.value}" for each in best.assignments)
        evidence.append(f"best trial: {best.name} {_best_value(facts)}, with {values}")
    status = facts.experiment.status
    if status.start_time is not None and status.completion_time is not None:
        took = (status.completion_time - status.start_time) / timedelta(seconds=1)
        evidence.append(f"it took {length(took)}")
    return Finding(kind, Severity.RESULT, what, tuple(evidence), advice)


def _best_value(facts: ExperimentFacts) -> str:
    best, objective = facts.tally.best, facts.experiment.spec.objective
    if best is None or objective is None:
        return ""
    loss = -best.loss if objective.type == "maximize" else best.loss
    return f"with {objective.objective_metric_name}={loss:.6g}"


def _goal(experiment: Experiment) -> str:
    objective = experiment.spec.objective
    if objective is None or objective.goal is None:
        return ""
    comparison = "at least" if objective.type == "maximize" else "at most"
    return f": {objective.objective_metric_name} {comparison} {objective.goal:g}"


def _more(facts: ExperimentFacts) -> str:
    if is_restartable(facts.experiment):
        return "for more trials raise spec.maxTrialCount in its file and run that again: it goes on from here"
    policy = ResumePolicy.LONG_RUNNING.value
    return (
        "more trials need another name, or --replace to start over; with another spec.resumePolicy "
        f"({policy}) it would go on from here when spec.maxTrialCount is raised"
    )


def _counts(facts: ExperimentFacts) -> tuple[str, ...]:
    words = {
        TrialPhase.SUCCEEDED: "succeeded",
        TrialPhase.EARLY_STOPPED: "stopped early",
        TrialPhase.FAILED: "failed",
        TrialPhase.METRICS_UNAVAILABLE: "without the objective",
        TrialPhase.KILLED: "killed",
    }
    found = [
        f"{facts.tally.count(phase)} {word}" for phase, word in words.items() if facts.tally.count(phase)
    ]
    return (f"{counted(facts.tally.count(), 'trial')}: {', '.join(found)}",) if found else ()
