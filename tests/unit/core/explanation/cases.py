"""Trials as the planner leaves them when they fail, and what is known of Experiments around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from katibpy.api.experiment import Experiment, Filter, MetricsCollectorSpec, MetricsSource
from katibpy.api.trial import Trial
from katibpy.core.explanation.explain import explain_experiment
from katibpy.core.explanation.facts import ExperimentFacts, FailureGroup, Operator, TrialFacts
from katibpy.core.explanation.finding import Finding
from katibpy.core.explanation.trial_failure import alike
from katibpy.core.invariants import recount
from katibpy.core.phases import TrialPhase, trial_phase
from katibpy.core.plan_experiment import plan_experiment
from katibpy.core.plan_trial import plan_trial
from katibpy.core.runs import CollectionState, RunPhase, RunState
from katibpy.runners.outcome import Outcome
from katibpy.testing import builders as build
from tests.unit.core.views import seen, watched

MINE = Operator(holder=7, is_running_it=True, last_pid=7, resume_command="katib run tune.yaml")


def failed(
    experiment: Experiment,
    number: int,
    message: str = "the process ended with exit code 1",
    *,
    reason: str = "ProcessFailed",
    lines: Sequence[str] = (),
    **assignments: object,
) -> Trial:
    """A Trial whose run failed, with the condition that the planner gives it."""
    ended = Outcome(reason=reason, message=message, failed=1, ended_at=build.moment(60))
    run = ended.state(build.trial(experiment, number))
    return _ended(experiment, number, run, lines=lines, assignments=assignments)


def without_metric(
    experiment: Experiment,
    number: int = 0,
    *,
    seen_names: Sequence[str] = (),
    lines: Sequence[str] = (),
    problem: str = "",
    filters: Sequence[str] = (),
) -> Trial:
    """A Trial that succeeded without its objective, with the condition that the planner gives it."""
    run = RunState(
        RunPhase.ENDED, resource={"status": {"conditions": [{"type": "Complete", "status": "True"}]}}
    )
    trial = _ended(experiment, number, run, lines=lines, seen_names=seen_names, problem=problem)
    if not filters:
        return trial
    source = MetricsSource(filter=Filter(metrics_format=tuple(filters)))
    return trial.but(spec=trial.spec.but(metrics_collector=MetricsCollectorSpec(source=source)))


def _ended(
    experiment: Experiment,
    number: int,
    run: RunState,
    *,
    lines: Sequence[str],
    assignments: dict[str, object] | None = None,
    **collected: Any,
) -> Trial:
    trial = build.trial(experiment, number, TrialPhase.RUNNING)
    if assignments:
        parameters = build.proposal(experiment, number, **assignments).assignment.parameter_assignments
        trial = trial.but(spec=trial.spec.but(parameter_assignments=parameters))
    conditions = {
        "success_condition": 'status.conditions.#(type=="Complete")#|#(status=="True")#',
        "failure_condition": 'status.conditions.#(type=="Failed")#|#(status=="True")#',
    }
    trial = trial.but(spec=trial.spec.but(**conditions))
    collection = CollectionState(is_attached=True, is_drained=True, last_lines=tuple(lines), **collected)
    ended = trial.but(status=plan_trial(watched(trial, run, collection)).status)
    assert trial_phase(ended.status.conditions) in (TrialPhase.FAILED, TrialPhase.METRICS_UNAVAILABLE)
    return ended


def running(experiment: Experiment, number: int = 0) -> Trial:
    """A Trial that runs since the beginning of all."""
    return build.trial(experiment, number, TrialPhase.RUNNING)


def waiting(experiment: Experiment, number: int, message: str) -> Trial:
    """A Trial whose run waits, with the condition that the planner gives it."""
    trial = build.trial(experiment, number)
    run = RunState(RunPhase.WAITING, resource={"status": {}}, message=message)
    return trial.but(status=plan_trial(watched(trial, run)).status)


def facts(experiment: Experiment, trials: Sequence[Trial] = (), **known: Any) -> ExperimentFacts:
    """What is known when these Trials are stored; 100 seconds after the beginning."""
    groups = alike(trials)
    given: dict[str, Any] = {
        "now": build.moment(100),
        "operator": MINE,
        "tally": recount(trials),
        "active": tuple(TrialFacts(each) for each in trials if trial_phase(each.status.conditions).is_active),
        "failures": tuple(FailureGroup(len(group), TrialFacts(group[0])) for group in groups),
        "failures_read": sum(map(len, groups)),
    }
    return ExperimentFacts(experiment, **{**given, **known})


def ended(experiment: Experiment, trials: Sequence[Trial], **view: Any) -> Experiment:
    """The Experiment with the status that its planner gives it."""
    return experiment.but(status=plan_experiment(seen(experiment, trials, **view)).status)


def explained(experiment: Experiment, trials: Sequence[Trial] = (), **known: Any) -> tuple[Finding, ...]:
    """The findings about an Experiment."""
    return explain_experiment(facts(experiment, trials, **known))


def only(findings: Sequence[Finding], kind: str) -> Finding:
    """The one finding of that kind."""
    (found,) = [each for each in findings if each.kind == kind]
    return found
