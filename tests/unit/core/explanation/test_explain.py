from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from katibpy.api.experiment import Experiment
from katibpy.api.suggestion import Suggestion
from katibpy.core.explanation.explain import explain_experiment, explain_trial
from katibpy.core.explanation.facts import Operator, TrialFacts
from katibpy.core.explanation.finding import Finding, Severity, length
from katibpy.core.phases import TrialPhase, experiment_phase
from katibpy.core.plan_suggestion import plan_suggestion
from katibpy.core.views import Refusal, ServiceFailure, SuggestionView
from katibpy.testing import builders as build
from tests.unit.core.explanation.cases import (
    ended,
    explained,
    facts,
    failed,
    only,
    running,
    waiting,
    without_metric,
)
from tests.unit.core.views import KILL, succeeded, tuned


def kinds(findings: tuple[Finding, ...]) -> list[str]:
    return [each.kind for each in findings]


def asked(experiment: Experiment, **view: Any) -> Suggestion:
    """The Suggestion with the status that its planner gives it."""
    suggestion = build.suggestion(experiment, 2)
    plan = plan_suggestion(SuggestionView(suggestion, experiment, now=build.moment(40), **view))
    return suggestion.but(status=plan.status)


# While it runs.


def test_an_experiment_at_work_tells_what_runs_and_when_it_last_reported() -> None:
    experiment = tuned(max_trial_count=10)
    trials = [running(experiment, 0), running(experiment, 1), succeeded(experiment, 2, 0.5)]
    active = (TrialFacts(trials[0], last_report=build.moment(90), reports=3), TrialFacts(trials[1]))
    (finding,) = explained(experiment, trials, active=active)
    assert (finding.kind, finding.severity) == ("Running", Severity.RESULT)
    assert finding.what == "2 trials running, 1 of 10 trials have ended"
    assert finding.evidence == (
        f"{trials[0].metadata.name} runs for 1m40s, last of 3 reports 10s ago",
        f"{trials[1].metadata.name} runs for 1m40s, no report yet",
    )


def test_an_experiment_that_has_just_begun_is_no_problem() -> None:
    (finding,) = explained(tuned())
    assert (finding.kind, finding.severity) == ("Starting", Severity.RESULT)


def test_nothing_runs_it_and_how_to_go_on() -> None:
    experiment = tuned()
    operator = Operator(last_pid=41, resume_command="katib run tune.yaml")
    active: tuple[TrialFacts, ...] = (TrialFacts(running(experiment, 0), is_alive=True),)
    active += (TrialFacts(waiting(experiment, 1, "it needs 1 GPU: 0 of 2 free")),)
    findings = explained(experiment, [each.trial for each in active], operator=operator, active=active)
    assert kinds(findings) == ["NotRunning"]
    assert findings[0].severity is Severity.PROBLEM
    assert findings[0].evidence == (
        "the last one that ran it (pid 41) is gone and left it unfinished",
        "processes of 1 trial are alive; the next run takes them over as they are",
    )
    assert findings[0].advice == "go on with `katib run tune.yaml`"


def test_an_interruption_is_told_with_its_time() -> None:
    paused = build.condition("Running", status="False", reason="Interrupted")
    experiment = tuned()
    experiment = experiment.but(status=experiment.status.but(conditions=(paused,)))
    finding = only(explained(experiment, operator=Operator(resume_command="katib run f")), "NotRunning")
    assert finding.evidence[0] == "it was interrupted 1m40s ago"


def test_another_run_on_the_same_directory_does_not_run_it() -> None:
    operator = Operator(holder=99, last_pid=41, resume_command="katib run tune.yaml")
    finding = only(explained(tuned(), operator=operator), "NotRunning")
    assert "the `katib run` that works on its state directory was not given this one" in finding.what
    assert finding.advice == "wait for pid 99 or end it, then go on with `katib run tune.yaml`"


def test_an_algorithm_service_that_does_not_answer_is_told_with_its_error_and_since_when() -> None:
    experiment = tuned()
    suggestion = asked(experiment, failure=ServiceFailure("connection refused\nlast line", 4))
    findings = explained(experiment, suggestion=suggestion, service_log="/s/logs/a.log")
    finding = only(findings, "AlgorithmServiceFailing")
    assert finding.what == "the algorithm service has given no usable answer for 1m00s"
    assert finding.evidence == (
        "the algorithm service gave no usable answer (4 in a row): connection refused",
        "last line",
    )
    assert "its log is /s/logs/a.log" in finding.advice
    assert "AlgorithmThinking" not in kinds(findings)


def test_an_algorithm_that_takes_long_is_told() -> None:
    experiment = tuned()
    suggestion = asked(experiment, is_accepted=True)
    finding = only(
        explained(experiment, suggestion=suggestion, quiet_since=build.moment(58)), "AlgorithmThinking"
    )
    assert finding.severity is Severity.WAITING
    assert finding.what == "the algorithm random has owed 2 proposals for 42s"
    assert finding.evidence[0] == "0 of 2 proposals have come"
    quick = explained(experiment, suggestion=suggestion, quiet_since=build.moment(95))
    assert kinds(quick) == ["Starting"]


@pytest.mark.parametrize(
    ("message", "kind", "advice"),
    [
        (
            "it needs 1 GPU: 0 of 2 free; held by trials other-1 (katib with pid 5)",
            "WaitsForGPU",
            "share one",
        ),
        ("it needs 0.5 of a GPU: none has any room", "WaitsForGPU", "gpu-fraction"),
        ("it needs 4 cpus: 1 of 8 free; held by trial tune-x", "WaitsForCPU", "requests.cpu"),
        ("it needs 6Gi of memory: 2Gi of 8Gi free", "WaitsForMemory", "requests.memory"),
        ("512Mi must be free on the disk of /x, 1Mi of 9Gi is", "WaitsForDisk", "--min-free-disk"),
        ("this host cannot start a process now: [Errno 11]", "HostBusy", "ulimit -u"),
        ("something else", "Waiting", "by itself"),
    ],
)
def test_a_waiting_trial_says_what_for_and_who_has_it(message: str, kind: str, advice: str) -> None:
    experiment = tuned()
    trial = waiting(experiment, 0, message)
    (finding,) = explained(experiment, [trial])
    assert (finding.kind, finding.severity) == (kind, Severity.WAITING)
    assert finding.what == f"trial {trial.metadata.name} waits for 1m40s: {message}"
    assert advice in finding.advice
    (of_trial,) = explain_trial(TrialFacts(trial), facts(experiment, [trial]))
    assert of_trial == finding


def test_trials_that_wait_for_the_same_are_one_finding() -> None:
    experiment = tuned()
    trials = [waiting(experiment, n, f"it needs {n + 1} GPUs: 0 of 2 free") for n in range(3)]
    (finding,) = explained(experiment, trials)
    assert finding.what.startswith("3 trials wait for 1m40s: it needs 1 GPU")


def test_a_trial_that_is_being_started_does_not_wait() -> None:
    experiment = tuned()
    assert kinds(explained(experiment, [waiting(experiment, 0, "its process is being started")])) == [
        "Starting"
    ]


def test_trials_that_report_nothing_for_long_are_told_with_their_last_output() -> None:
    experiment = tuned()
    trial = running(experiment, 0)
    quiet = TrialFacts(trial, last_report=build.moment(50), reports=9, output=("epoch 3", "saving"))
    known = facts(experiment, [trial], active=(quiet,), typical_seconds=30.0)
    assert kinds(explain_experiment(replace(known, now=build.moment(640)))) == ["Running"]
    (finding,) = explain_experiment(replace(known, now=build.moment(651)))
    assert finding.kind == "NoReports"
    assert finding.what == "1 trial running without a report for more than 10m00s"
    assert f"the last output of {trial.metadata.name}: saving" in finding.evidence
    assert "activeDeadlineSeconds" in finding.advice
    slow = replace(known, now=build.moment(651), typical_seconds=3600.0)
    assert kinds(explain_experiment(slow)) == ["Running"]


def test_the_last_trials_run_with_less_than_the_parallel_count() -> None:
    experiment = tuned(max_trial_count=3, parallel_trial_count=3)
    trials = [succeeded(experiment, 0, 1), succeeded(experiment, 1, 2), running(experiment, 2)]
    finding = only(explained(experiment, trials), "LastTrials")
    assert finding.severity is Severity.NOTE
    assert finding.what.startswith("1 of up to 3 trials run at once, because spec.maxTrialCount (3)")


def test_an_exhausted_space_leaves_slots_empty() -> None:
    experiment = tuned(max_trial_count=9, parallel_trial_count=3)
    suggestion = build.suggestion(experiment, 2, exhausted=True, suggestion_count=2)
    finding = only(explained(experiment, [running(experiment, 0)], suggestion=suggestion), "LastTrials")
    assert "the search space is exhausted" in finding.what


def test_failures_so_far_are_a_problem_only_if_nothing_succeeds() -> None:
    experiment = tuned(max_failed_trial_count=3, max_trial_count=9)
    bad = [failed(experiment, 0), running(experiment, 1)]
    finding = explained(experiment, bad)[0]
    assert (finding.kind, finding.severity) == ("ProcessFailed", Severity.PROBLEM)
    assert finding.what == f"trial {bad[0].metadata.name} failed: the process ended with exit code 1"
    assert finding.evidence[-1] == "1 trial failed so far; it is given up at 3 (spec.maxFailedTrialCount)"
    mixed = explained(experiment, [*bad, succeeded(experiment, 2, 0.1)])
    assert only(mixed, "ProcessFailed").severity is Severity.NOTE
    assert kinds(mixed)[-1] == "Running"


def test_an_experiment_that_is_being_deleted_is_nothing_else() -> None:
    experiment = tuned()
    marked = experiment.but(metadata=experiment.metadata.but(deletion_timestamp=build.moment(1)))
    assert explained(marked)[0].severity is Severity.WAITING
    (finding,) = explained(marked, operator=Operator())
    assert finding.advice == "`katib delete experiment tune` ends it"


# Once it has ended.


def test_a_reached_goal_is_told_with_the_best_trial() -> None:
    experiment = tuned(objective=build.maximize(goal=0.9), max_trial_count=9)
    trials = [succeeded(experiment, 0, 0.5), succeeded(experiment, 1, 0.95)]
    (finding,) = explained(ended(experiment, trials), trials)
    assert (finding.kind, finding.severity) == ("GoalReached", Severity.RESULT)
    assert finding.what == "it reached its goal: accuracy at least 0.9"
    assert f"best trial: {trials[1].metadata.name} with accuracy=0.95, with lr=" in finding.evidence[1]


@pytest.mark.parametrize(
    ("policy", "advice"),
    [("Never", "another name, or --replace"), ("LongRunning", "raise spec.maxTrialCount in its file")],
)
def test_a_spent_budget_says_how_to_go_on(policy: str, advice: str) -> None:
    experiment = tuned(max_trial_count=1, parallel_trial_count=1, resume_policy=policy)
    trials = [succeeded(experiment, 0, 0.5)]
    (finding,) = explained(ended(experiment, trials), trials)
    assert finding.kind == "MaxTrialsReached"
    assert "it ran 1 trial, as many as spec.maxTrialCount allows" in finding.what
    assert advice in finding.advice


def test_an_exhausted_search_is_told() -> None:
    experiment = tuned(max_trial_count=9)
    trials = [succeeded(experiment, 0, 0.5)]
    suggestion = build.suggestion(experiment, 2, exhausted=True, suggestion_count=1)
    (finding,) = explained(ended(experiment, trials, suggestion=suggestion), trials)
    assert finding.kind == "SearchExhausted"
    assert "after 1 trial nothing new is left to try" in finding.what


def test_of_a_failed_experiment_the_cause_comes_first() -> None:
    experiment = tuned(max_failed_trial_count=2, max_trial_count=9)
    trials = [failed(experiment, n, lines=["KeyError: 'x'"]) for n in range(2)]
    findings = explained(ended(experiment, trials), trials)
    assert kinds(findings) == ["ProcessFailed", "MaxFailedReached"]
    assert "2 of 2 failed trials" in findings[0].what
    assert findings[1].what == "it was given up after 2 failed trials (spec.maxFailedTrialCount)"


def test_an_experiment_without_one_success_is_told() -> None:
    experiment = tuned(max_trial_count=2, max_failed_trial_count=None)
    trials = [without_metric(experiment, n) for n in range(2)]
    findings = explained(ended(experiment, trials), trials)
    assert kinds(findings) == ["MetricsUnavailable", "NoTrialSucceeded"]
    assert "not one of its 2 trials succeeded" in findings[1].what


def test_a_refusal_of_the_algorithm_is_the_whole_story() -> None:
    experiment = tuned(max_trial_count=2)
    suggestion = asked(experiment, refusal=Refusal("parameter lr must have a step"))
    finished = ended(experiment, [], suggestion=suggestion)
    assert experiment_phase(finished.status.conditions).is_finished
    (finding,) = explained(finished, suggestion=suggestion)
    assert finding.what == "the algorithm random refuses it: parameter lr must have a step"
    assert "`katib algorithms random`" in finding.advice


@pytest.mark.parametrize(
    ("value", "advice"), [("nan", "the training diverges"), ("a(b)", "must be a number to be compared")]
)
def test_success_without_a_finite_objective_is_a_problem(value: str, advice: str) -> None:
    experiment = tuned(max_trial_count=1, parallel_trial_count=1)
    trials = [succeeded(experiment, 0, value)]
    findings = explained(ended(experiment, trials), trials, objectives=(value, value))
    assert kinds(findings) == ["MaxTrialsReached", "NoBestTrial"]
    assert findings[1].evidence == (f"reported were: {value}",)
    assert advice in findings[1].advice


# Single trials.


def test_an_ended_trial_is_told_by_its_phase() -> None:
    experiment = tuned()
    best, other = succeeded(experiment, 0, 0.1), succeeded(experiment, 1, 0.5)
    owner = facts(experiment, [best, other])
    assert explain_trial(TrialFacts(best), owner)[0].evidence == ("it is the best trial",)
    (finding,) = explain_trial(TrialFacts(other), owner)
    assert finding.what == "it succeeded with loss=0.5"
    assert finding.evidence == (f"the best trial is {best.metadata.name}",)
    killed = build.trial(experiment, 2, TrialPhase.KILLED)
    conditions = (build.condition("Killed", message=KILL.message),)
    killed = killed.but(status=killed.status.but(conditions=conditions))
    assert KILL.message in explain_trial(TrialFacts(killed), owner)[0].what


def test_a_running_trial_nobody_watches_is_told() -> None:
    experiment = tuned()
    trial = running(experiment, 0)
    owner = facts(experiment, [trial], operator=Operator(resume_command="katib run f"))
    assert kinds(explain_trial(TrialFacts(trial), owner)) == ["NotRunning"]
    assert kinds(explain_trial(TrialFacts(trial), facts(experiment, [trial]))) == ["Running"]
    assert kinds(explain_trial(TrialFacts(trial), None)) == ["Orphaned"]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0s"), (59, "59s"), (61, "1m01s"), (7500, "2h05m"), (273600, "3d04h")]
)
def test_lengths_are_short(seconds: float, shown: str) -> None:
    assert length(timedelta(seconds=seconds).total_seconds()) == shown
