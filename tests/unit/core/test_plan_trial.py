"""A Trial's way from proposal to result."""

from __future__ import annotations

from typing import Any

import pytest

from katibpy.api.experiment import Collector, Metric, MetricsCollectorSpec
from katibpy.api.trial import Trial
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
from katibpy.core.phases import FINISHED_PHASES, TrialPhase, trial_phase
from katibpy.core.plan_trial import plan_trial
from katibpy.core.runs import CollectionState, RunPhase, RunState
from katibpy.testing import builders as build
from tests.unit.core.views import ABSENT, ATTACHED, DRAINED, KILL, STOP_EARLY, job, tuned, watched

EXPERIMENT = tuned(objective=build.minimize(also=("accuracy",)))
CREATED = ("Created", "True", "TrialCreated", "Trial is created")
RUNNING = ("Running", "True", "TrialRunning", "Trial is running")
NOT_RUNNING = ("Running", "False", "TrialRunning", "Trial is running")
WAITING = RunState(RunPhase.WAITING, message="no GPU is free", resource={"kind": "Job"})
COMPLETE = job(RunPhase.ENDED, "Complete", exit_code=0, ended_at=build.moment(77))
FAILED = job(RunPhase.ENDED, "Failed", exit_code=1, ended_at=build.moment(77))


def pending(**status: Any) -> Trial:
    return build.trial(EXPERIMENT, 0, **status)


def running(**status: Any) -> Trial:
    return build.trial(EXPERIMENT, 0, TrialPhase.RUNNING, **status)


def deleted(trial: Trial) -> Trial:
    return trial.but(metadata=trial.metadata.but(deletion_timestamp=build.moment(90)))


def conditions_of(plan: Plan[Any]) -> list[tuple[str, str, str, str]]:
    return [(each.type, each.status, each.reason, each.message) for each in plan.status.conditions]


def kinds(plan: Plan[Any]) -> list[type[Instruction]]:
    return [type(step) for step in plan.instructions]


# To the start.


def test_a_new_trial_is_started() -> None:
    plan = plan_trial(watched(pending()))
    assert kinds(plan) == [StartRun]
    assert conditions_of(plan) == [CREATED]


def test_a_trial_without_conditions_is_created_first() -> None:
    bare = pending().but(status=pending().status.but(conditions=(), start_time=None))
    plan = plan_trial(watched(bare))
    assert conditions_of(plan) == [CREATED]
    assert plan.status.start_time == build.moment(100)
    assert kinds(plan) == [StartRun]


def test_a_waiting_run_says_what_it_waits_for() -> None:
    plan = plan_trial(watched(pending(), WAITING, ATTACHED))
    assert plan.instructions == ()
    assert conditions_of(plan) == [
        ("Created", "True", "TrialCreated", "Trial is created and waits: no GPU is free")
    ]
    assert trial_phase(plan.status.conditions) is TrialPhase.PENDING


def test_it_is_running_once_its_job_really_runs_and_waits_for_nothing_any_more() -> None:
    waited = pending().but(status=plan_trial(watched(pending(), WAITING, ATTACHED)).status)
    plan = plan_trial(watched(waited, job(RunPhase.RUNNING), ATTACHED))
    assert plan.instructions == ()
    assert conditions_of(plan) == [CREATED, RUNNING]


def test_looking_at_a_running_trial_again_changes_nothing() -> None:
    trial = running()
    assert plan_trial(watched(trial, job(RunPhase.RUNNING), ATTACHED)) == Plan(trial.status)


@pytest.mark.parametrize("run", [WAITING, job(RunPhase.RUNNING)])
def test_a_run_that_an_earlier_controller_started_is_followed_again(run: RunState) -> None:
    assert kinds(plan_trial(watched(running(), run))) == [FollowMetrics]


def test_a_withdrawn_run_is_started_again_without_what_it_reported() -> None:
    plan = plan_trial(watched(running(), ABSENT))
    assert kinds(plan) == [DropMetrics, StartRun]
    assert trial_phase(plan.status.conditions) is TrialPhase.RUNNING
    paused = running()
    conditions = (paused.status.conditions[0], paused.status.conditions[1].but(status="False"))
    paused = paused.but(status=paused.status.but(conditions=conditions))
    assert kinds(plan_trial(watched(paused, ABSENT))) == [DropMetrics, StartRun]


# To the end.


def test_metrics_are_collected_to_the_end_before_a_trial_is_judged() -> None:
    assert kinds(plan_trial(watched(running(), COMPLETE))) == [FollowMetrics, DrainMetrics]
    plan = plan_trial(watched(running(), COMPLETE, ATTACHED))
    assert kinds(plan) == [DrainMetrics]
    assert trial_phase(plan.status.conditions) is TrialPhase.RUNNING


def test_it_succeeds_with_its_metrics_the_objective_first() -> None:
    plan = plan_trial(watched(running(), COMPLETE, DRAINED, metrics={"accuracy": 0.9, "loss": 0.1}))
    assert conditions_of(plan) == [
        CREATED,
        NOT_RUNNING,
        (
            "Succeeded",
            "True",
            "TrialSucceeded. Job reason: BecauseComplete",
            "Trial has succeeded. Job message: it says Complete",
        ),
    ]
    assert plan.status.observation is not None
    assert [metric.name for metric in plan.status.observation.metrics] == ["loss", "accuracy"]
    assert plan.status.completion_time == build.moment(77)
    assert plan.instructions == ()


def test_a_job_that_says_nothing_of_why_leaves_nothing_behind_the_words() -> None:
    silent = RunState(
        RunPhase.ENDED,
        resource={"status": {"conditions": [{"type": "Complete", "status": "True"}]}},
    )
    plan = plan_trial(watched(running(), silent, DRAINED, metrics={"loss": 1}))
    assert conditions_of(plan)[-1] == ("Succeeded", "True", "TrialSucceeded", "Trial has succeeded")
    assert plan.status.completion_time == build.moment(100)


def test_an_additional_metric_that_never_appeared_is_shown_as_unavailable() -> None:
    plan = plan_trial(watched(running(), COMPLETE, DRAINED, metrics={"loss": 1}))
    assert plan.status.observation is not None
    assert plan.status.observation.metrics[1] == Metric(name="accuracy")
    assert plan.status.observation.metrics[1].latest == "unavailable"


def test_it_fails_and_keeps_its_metrics_and_last_output() -> None:
    collection = CollectionState(is_attached=True, is_drained=True, last_lines=("Traceback", "ValueError"))
    plan = plan_trial(watched(running(), FAILED, collection, metrics={"loss": 3}))
    assert conditions_of(plan) == [
        CREATED,
        NOT_RUNNING,
        (
            "Failed",
            "True",
            "TrialFailed. Job reason: BecauseFailed",
            "Trial has failed. Job message: it says Failed\nLast output:\n  Traceback\n  ValueError",
        ),
    ]
    assert plan.status.observation is not None
    assert plan.status.observation.metrics[0].latest == "3"


def test_failure_counts_more_than_success() -> None:
    both = job(RunPhase.ENDED, "Complete", "Failed")
    plan = plan_trial(watched(running(), both, DRAINED, metrics={"loss": 1}))
    assert trial_phase(plan.status.conditions) is TrialPhase.FAILED


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "(conv, pool)", "0"])
def test_any_value_of_the_objective_is_a_result(value: str) -> None:
    plan = plan_trial(watched(running(), COMPLETE, DRAINED, metrics={"loss": value}))
    assert trial_phase(plan.status.conditions) is TrialPhase.SUCCEEDED
    assert plan.status.observation is not None
    assert plan.status.observation.metrics[0].latest == value


def test_a_missing_objective_says_what_was_seen_and_the_last_output() -> None:
    collection = CollectionState(
        is_attached=True,
        is_drained=True,
        seen_names=("val_loss", "accuracy"),
        last_lines=("epoch 1", "val_loss=0.3"),
        problem="the filter matched nothing",
    )
    plan = plan_trial(watched(running(), COMPLETE, collection, metrics={"accuracy": 0.3}))
    assert conditions_of(plan)[-1] == (
        "MetricsUnavailable",
        "True",
        "MetricsUnavailable. Job reason: BecauseComplete",
        (
            "Metrics are not available: the objective 'loss' never appeared (collector StdOut); "
            "the filter matched nothing; metrics that did appear: val_loss, accuracy\n"
            "Last output:\n  epoch 1\n  val_loss=0.3"
        ),
    )
    assert plan.status.completion_time is not None
    assert plan.status.observation is not None
    assert plan.status.observation.metrics[1].latest == "0.3"


def test_a_silent_trial_is_told_apart_from_one_with_other_metrics() -> None:
    plan = plan_trial(watched(running(), COMPLETE, DRAINED))
    assert conditions_of(plan)[-1][3] == (
        "Metrics are not available: the objective 'loss' never appeared (collector StdOut); "
        "no other metric appeared either"
    )
    assert plan.status.observation is None


def test_the_message_names_the_collector() -> None:
    spec = MetricsCollectorSpec(collector=Collector(kind="TensorFlowEvent"))
    trial = build.trial(tuned(metrics_collector_spec=spec), 0, TrialPhase.RUNNING)
    assert (
        "(collector TensorFlowEvent)" in conditions_of(plan_trial(watched(trial, COMPLETE, DRAINED)))[-1][3]
    )


def test_a_run_that_ended_without_either_condition_fails_and_says_so() -> None:
    plan = plan_trial(watched(running(), job(RunPhase.ENDED, "Suspended", exit_code=0), DRAINED))
    kind, _, reason, message = conditions_of(plan)[-1]
    assert (kind, reason) == ("Failed", "TrialFailed. Job reason: ConditionsNotMet")
    assert "(exit code 0)" in message
    assert EXPERIMENT.spec.trial_template is not None
    assert repr(EXPERIMENT.spec.trial_template.success_condition) in message


def test_a_run_that_never_became_a_job_fails_with_the_runners_words() -> None:
    run = RunState(RunPhase.ENDED, reason="CommandNotFound", message="there is no command 'trian'")
    plan = plan_trial(watched(pending(), run, DRAINED))
    assert conditions_of(plan) == [
        CREATED,
        (
            "Failed",
            "True",
            "TrialFailed. Job reason: CommandNotFound",
            "Trial has failed. Job message: there is no command 'trian'",
        ),
    ]


def test_the_runners_reason_stands_in_when_the_condition_gives_none() -> None:
    resource = {"status": {"conditions": [{"type": "Failed", "status": "True"}]}}
    run = RunState(RunPhase.ENDED, resource=resource, reason="DeadlineExceeded", message="took 10 s")
    plan = plan_trial(watched(running(), run, DRAINED))
    assert conditions_of(plan)[-1][2:] == (
        "TrialFailed. Job reason: DeadlineExceeded",
        "Trial has failed. Job message: took 10 s",
    )


# Conditions of the user's own.


def with_conditions(success: str, failure: str) -> Trial:
    trial = running()
    return trial.but(spec=trial.spec.but(success_condition=success, failure_condition=failure))


def test_own_conditions_decide_even_while_the_job_goes_on() -> None:
    trial = with_conditions('status.state|[@this]|#(=="Done")', "status.broken")
    run = RunState(RunPhase.RUNNING, resource={"status": {"state": "Running"}})
    assert plan_trial(watched(trial, run, ATTACHED)).instructions == ()
    trial = with_conditions("status.done", "status.broken")
    done = RunState(RunPhase.RUNNING, resource={"status": {"done": True}})
    assert kinds(plan_trial(watched(trial, done, ATTACHED))) == [DrainMetrics]
    plan = plan_trial(watched(trial, done, DRAINED, metrics={"loss": 1}))
    assert trial_phase(plan.status.conditions) is TrialPhase.SUCCEEDED
    broken = RunState(RunPhase.RUNNING, resource={"status": {"broken": True, "done": True}})
    plan = plan_trial(watched(trial, broken, DRAINED, metrics={"loss": 1}))
    assert trial_phase(plan.status.conditions) is TrialPhase.FAILED


def test_without_conditions_a_run_is_judged_by_its_end_alone() -> None:
    trial = with_conditions("", "")
    assert plan_trial(watched(trial, job(RunPhase.RUNNING), ATTACHED)).instructions == ()
    plan = plan_trial(watched(trial, COMPLETE, DRAINED, metrics={"loss": 1}))
    assert trial_phase(plan.status.conditions) is TrialPhase.FAILED


# Stopping.


@pytest.mark.parametrize("run", [WAITING, job(RunPhase.RUNNING)])
def test_a_live_run_is_stopped_on_request(run: RunState) -> None:
    plan = plan_trial(watched(running(stop_request=KILL), run, ATTACHED))
    assert kinds(plan) == [StopRun]
    assert trial_phase(plan.status.conditions).is_active


@pytest.mark.parametrize("run", [WAITING, job(RunPhase.RUNNING)])
def test_a_live_run_of_an_earlier_controller_is_followed_and_stopped(run: RunState) -> None:
    assert kinds(plan_trial(watched(running(stop_request=KILL), run))) == [FollowMetrics, StopRun]


def test_a_trial_that_never_started_ends_at_once_and_never_starts() -> None:
    plan = plan_trial(watched(pending(stop_request=KILL), ABSENT))
    assert plan.instructions == ()
    assert conditions_of(plan) == [CREATED, ("Killed", "True", "TrialKilled", KILL.message)]
    assert plan.status.stop_request is None
    assert plan.status.completion_time == build.moment(100)


@pytest.mark.parametrize(
    ("request_", "condition"),
    [
        (KILL, ("Killed", "True", "TrialKilled", KILL.message)),
        (STOP_EARLY, ("EarlyStopped", "True", "TrialEarlyStopped", STOP_EARLY.message)),
    ],
)
def test_a_stopped_trial_ends_as_asked_and_keeps_its_metrics(request_: Any, condition: Any) -> None:
    trial = running(stop_request=request_)
    stopped = RunState(RunPhase.ENDED, resource={"kind": "Job"}, reason="Stopped", exit_code=-15)
    assert kinds(plan_trial(watched(trial, stopped, ATTACHED))) == [DrainMetrics]
    for run in (stopped, FAILED):  # a killed process makes its job fail
        plan = plan_trial(watched(trial, run, DRAINED, metrics={"loss": 5}))
        assert conditions_of(plan) == [CREATED, NOT_RUNNING, condition]
        assert plan.status.observation is not None
        assert plan.status.observation.metrics[0].latest == "5"
        assert plan.status.stop_request is None
        assert plan.status.completion_time is not None


def test_a_success_counts_more_than_a_stop_that_came_too_late() -> None:
    trial = running(stop_request=KILL)
    assert kinds(plan_trial(watched(trial, COMPLETE, ATTACHED))) == [DrainMetrics]
    plan = plan_trial(watched(trial, COMPLETE, DRAINED, metrics={"loss": 5}))
    assert trial_phase(plan.status.conditions) is TrialPhase.SUCCEEDED
    assert plan.status.stop_request is None


# After the end.


@pytest.mark.parametrize("phase", FINISHED_PHASES)
def test_an_ended_trial_lets_go_of_what_it_holds_and_changes_no_more(phase: TrialPhase) -> None:
    trial = build.trial(EXPERIMENT, 0, phase, metrics={"loss": 1})
    cases = {
        "its sidecar runs on": (job(RunPhase.RUNNING), DRAINED, [StopRun]),
        "it is over": (COMPLETE, DRAINED, [ReleaseRun]),
        "only its collection is left": (ABSENT, DRAINED, [ReleaseRun]),
        "nothing is left": (ABSENT, CollectionState(), []),
    }
    for run, collection, expected in cases.values():
        plan = plan_trial(watched(trial, run, collection))
        assert kinds(plan) == expected
        assert plan.status == trial.status


@pytest.mark.parametrize("phase", TrialPhase)
@pytest.mark.parametrize("request_", [None, KILL])
def test_a_deleted_trial_is_stopped_then_removed_in_every_phase(phase: TrialPhase, request_: Any) -> None:
    trial = deleted(build.trial(EXPERIMENT, 0, phase, stop_request=request_))
    for run in (WAITING, job(RunPhase.RUNNING)):
        assert kinds(plan_trial(watched(trial, run, ATTACHED))) == [StopRun]
    for run in (ABSENT, COMPLETE, FAILED):
        plan = plan_trial(watched(trial, run, ATTACHED))
        assert kinds(plan) == [RemoveTrial]
        assert plan.status == trial.status
