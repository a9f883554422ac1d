"""Puts the findings about an Experiment or a Trial together, the one that matters most first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from katibpy.api.status_conditions import find_condition
from katibpy.core.explanation import endings, progress
from katibpy.core.explanation.facts import ExperimentFacts, FailureGroup, TrialFacts
from katibpy.core.explanation.failures import failure_finding
from katibpy.core.explanation.finding import Finding, Severity, counted
from katibpy.core.phases import TrialPhase, experiment_phase, trial_phase
from katibpy.core.records import loss_of, strategy_value

_GROUPS_SHOWN = 3
_ORDER = tuple(Severity)


def explain_experiment(facts: ExperimentFacts) -> tuple[Finding, ...]:
    """Why the Experiment is not advancing or how it ended; at least one finding."""
    experiment = facts.experiment
    if experiment.metadata.deletion_timestamp is not None:
        return (_deleting(facts),)
    if experiment_phase(experiment.status.conditions).is_finished:
        return tuple(_of_ended(facts))
    idle = tuple(progress.nothing_runs_it(facts))
    if idle:
        # What it waited for when it was left is old news.
        return _sorted((*idle, *_failures(facts)))
    found = [
        *progress.service_troubles(facts),
        *_failures(facts),
        *progress.waiting_trials(facts),
        *progress.slow_algorithm(facts),
        *progress.silent_trials(facts),
        *progress.parallel_limits(facts),
    ]
    without_best = endings.without_best(facts)
    if without_best is not None:
        found.append(without_best)
    if all(each.severity is Severity.NOTE for each in found):
        found += progress.at_work(facts)
    return _sorted(found)


def explain_trial(trial: TrialFacts, owner: ExperimentFacts | None) -> tuple[Finding, ...]:
    """Why the Trial stands where it stands.

    Args:
        trial: what is known of it.
        owner: what is known of its Experiment, with `active` made of this trial alone when it is active; None
            when the Experiment is gone.
    """
    phase = trial_phase(trial.trial.status.conditions)
    if phase in (TrialPhase.FAILED, TrialPhase.METRICS_UNAVAILABLE):
        return (_with_files(failure_finding(FailureGroup(1, trial), 1), trial),)
    if not phase.is_active:
        return (_with_files(_ended_trial(trial, phase, owner), trial),)
    if owner is None:
        return (
            Finding(
                "Orphaned",
                Severity.PROBLEM,
                "its experiment is gone",
                (),
                f"`katib delete trial {trial.trial.metadata.name}`",
            ),
        )
    alone = replace(owner, active=(trial,))
    idle = tuple(progress.nothing_runs_it(alone))
    return idle or _sorted(
        [*progress.waiting_trials(alone), *progress.silent_trials(alone)] or progress.at_work(alone)
    )


def _of_ended(facts: ExperimentFacts) -> Iterable[Finding]:
    yield_first = endings.ending(facts)
    failures = list(_failures(facts))
    if yield_first.severity is Severity.PROBLEM and failures:
        # That too many failed is plain; why they did is what matters.
        yield failures.pop(0)
    yield yield_first
    without_best = endings.without_best(facts)
    if without_best is not None:
        yield without_best
    yield from failures


def _failures(facts: ExperimentFacts) -> Iterable[Finding]:
    has_ended = experiment_phase(facts.experiment.status.conditions).is_finished
    for group in facts.failures[:_GROUPS_SHOWN]:
        finding = failure_finding(group, facts.failures_read)
        is_fatal = not facts.tally.count(TrialPhase.SUCCEEDED, TrialPhase.EARLY_STOPPED)
        if not is_fatal:
            # An experiment may go on for long with some that fail.
            finding = replace(finding, severity=Severity.NOTE)
        yield _with_limit(finding, facts, has_ended=has_ended)


def _with_limit(finding: Finding, facts: ExperimentFacts, *, has_ended: bool) -> Finding:
    limit = facts.experiment.spec.max_failed_trial_count
    failed = facts.tally.count(TrialPhase.FAILED, TrialPhase.METRICS_UNAVAILABLE)
    if has_ended or limit is None:
        return finding
    line = f"{counted(failed, 'trial')} failed so far; it is given up at {limit} (spec.maxFailedTrialCount)"
    return replace(finding, evidence=(*finding.evidence, line))


def _ended_trial(facts: TrialFacts, phase: TrialPhase, owner: ExperimentFacts | None) -> Finding:
    trial = facts.trial
    name = trial.spec.objective.objective_metric_name
    value = strategy_value(trial, name)
    reported = f"{name}={value}" if value is not None else f"no {name}"
    condition = find_condition(trial.status.conditions, phase.value)
    message = "" if condition is None else condition.message
    if phase is TrialPhase.SUCCEEDED:
        evidence = [each for each in (_rank(facts, owner),) if each]
        return Finding("Succeeded", Severity.RESULT, f"it succeeded with {reported}", tuple(evidence), "")
    if phase is TrialPhase.EARLY_STOPPED:
        return Finding("EarlyStopped", Severity.RESULT, f"it was stopped early with {reported}: {message}")
    return Finding("Killed", Severity.RESULT, f"it was ended before it was done, with {reported}: {message}")


def _rank(facts: TrialFacts, owner: ExperimentFacts | None) -> str:
    best, loss = owner.tally.best if owner is not None else None, loss_of(facts.trial)
    if best is None or loss is None:
        return ""
    if best.name == facts.trial.metadata.name:
        return "it is the best trial"
    return f"the best trial is {best.name}"


def _with_files(finding: Finding, facts: TrialFacts) -> Finding:
    if not facts.removed_by:
        return finding
    line = f"its files were removed after it ended (--keep-trials {facts.removed_by})"
    return replace(finding, evidence=(*finding.evidence, line))


def _deleting(facts: ExperimentFacts) -> Finding:
    operator = facts.operator
    if operator.holder is not None:
        what = f"it is being deleted by pid {operator.holder}"
        return Finding("Deleting", Severity.WAITING, what, (), "")
    what = "it is marked for deletion, and nothing works on its state directory"
    name = facts.experiment.metadata.name
    return Finding("Deleting", Severity.PROBLEM, what, (), f"`katib delete experiment {name}` ends it")


def _sorted(found: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(found, key=lambda each: _ORDER.index(each.severity)))
