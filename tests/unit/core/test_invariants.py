"""Every rule notices what breaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from katibpy.api.trial import Trial
from katibpy.core.invariants import Snapshot, broken_rules, recount
from katibpy.core.phases import TrialPhase
from katibpy.core.plan_experiment import plan_experiment
from katibpy.testing import builders as build
from tests.unit.core.views import KILL, seen, succeeded, tuned

EXPERIMENT = tuned(max_trial_count=6, parallel_trial_count=2)


def snapshot(*trials: Trial, proposals: int = 0, **spec: Any) -> Snapshot:
    """A snapshot in which everything is in order: trials first, then proposals."""
    experiment = EXPERIMENT.but(spec=EXPERIMENT.spec.but(**spec))
    made = len(trials) + proposals
    waiting = tuple(build.proposal(experiment, number) for number in range(len(trials), made))
    suggestion = build.suggestion(experiment, made, suggestion_count=made)
    status = plan_experiment(seen(experiment, trials, suggestion=suggestion, proposals=waiting)).status
    return Snapshot(experiment.but(status=status), suggestion, trials, waiting, recount(trials))


def running(number: int, **status: Any) -> Trial:
    return build.trial(EXPERIMENT, number, TrialPhase.RUNNING, **status)


def good() -> Snapshot:
    return snapshot(succeeded(EXPERIMENT, 0, 0.5), succeeded(EXPERIMENT, 1, 0.4), running(2), running(3))


def ended() -> Snapshot:
    losses = (0.5, 0.4, 3, 4, 5, 6)
    return snapshot(*(succeeded(EXPERIMENT, number, loss) for number, loss in enumerate(losses)))


def with_trial(base: Snapshot, index: int, changed: Trial, *, is_counted: bool = True) -> Snapshot:
    trials = tuple(changed if place == index else trial for place, trial in enumerate(base.trials))
    return replace(base, trials=trials, tally=recount(trials) if is_counted else base.tally)


def with_status(base: Snapshot, **status: Any) -> Snapshot:
    return replace(base, experiment=base.experiment.but(status=base.experiment.status.but(**status)))


def with_meta(trial: Trial, **metadata: Any) -> Trial:
    return trial.but(metadata=trial.metadata.but(**metadata))


def test_what_is_in_order_breaks_no_rule() -> None:
    for base in (good(), ended(), snapshot()):
        assert broken_rules(base) == ()
        assert broken_rules(base, base) == ()
    assert broken_rules(good(), is_settled=True) == ()
    assert broken_rules(ended(), is_settled=True) == ()
    assert broken_rules(ended(), good()) == ()


ALWAYS: dict[str, tuple[Callable[[], Snapshot], str]] = {
    "a count is off": (
        lambda: replace(good(), tally=replace(good().tally, counts={TrialPhase.RUNNING: 2})),
        "must count 2 Succeeded trials, got 0",
    ),
    "the best is not the best": (
        lambda: replace(good(), tally=replace(good().tally, best=recount(good().trials[:1]).best)),
        "best trial must be",
    ),
    "a newest name is missing": (
        lambda: replace(good(), tally=replace(good().tally, newest={})),
        "newest Succeeded trials must be",
    ),
    "two trials of one name": (
        lambda: with_trial(good(), 3, with_meta(running(3), name=running(2).metadata.name)),
        "every name must be given once",
    ),
    "a proposal that is a trial": (
        lambda: replace(good(), proposals=(build.proposal(EXPERIMENT, 3),)),
        "every name must be given once",
    ),
    "two trials of one number": (
        lambda: with_trial(good(), 3, running(3).but(spec=running(3).spec.but(number=2))),
        "every number must be given once",
    ),
    "a number that was never proposed": (
        lambda: with_trial(good(), 3, running(7)),
        "numbers must be below the 4 proposals ever made, got [7]",
    ),
    "proposals of nobody": (
        lambda: replace(snapshot(running(0), proposals=1), suggestion=None),
        "no proposals without a Suggestion",
    ),
    "too many at once": (
        lambda: snapshot(*(running(number) for number in range(3))),
        "at most 2 trials may be active at once, got 3",
    ),
    "too many in all": (
        lambda: snapshot(*(succeeded(EXPERIMENT, number, 1) for number in range(7))),
        "at most 6 trials may be made, got 7",
    ),
    "an end without a time": (
        lambda: with_status(ended(), completion_time=None),
        "completionTime must be set when an Experiment has ended",
    ),
    "a time without an end": (
        lambda: with_status(good(), completion_time=build.MOMENT),
        "completionTime must be set when an Experiment has ended",
    ),
    "ended and running": (
        lambda: with_status(
            ended(),
            conditions=(
                *(each.but(status="True") for each in ended().experiment.status.conditions),
                build.condition("Running"),
            ),
        ),
        "must not be Running as well",
    ),
    "a list too long": (
        lambda: with_status(good(), failed_trial_list=tuple(map(str, range(101)))),
        "must show at most 100 names, got 101",
    ),
    "a trial's end without a time": (
        lambda: with_trial(
            good(),
            0,
            succeeded(EXPERIMENT, 0, 0.5).but(
                status=succeeded(EXPERIMENT, 0, 0.5).status.but(completion_time=None)
            ),
        ),
        "completionTime must be set when it has ended",
    ),
    "a stop request of an ended trial": (
        lambda: with_trial(
            good(),
            0,
            build.trial(EXPERIMENT, 0, TrialPhase.SUCCEEDED, metrics={"loss": 0.5}, stop_request=KILL),
        ),
        "must have no stop request",
    ),
    "two ends": (
        lambda: with_trial(
            good(),
            0,
            build.trial(
                EXPERIMENT,
                0,
                TrialPhase.FAILED,
                conditions=(build.condition("Failed"), build.condition("Succeeded")),
            ),
        ),
        "must end in one way, got ['Failed', 'Succeeded']",
    ),
    "a label that names another": (
        lambda: with_trial(good(), 2, with_meta(running(2), labels={})),
        "its label must name its owner",
    ),
    "one condition twice": (
        lambda: with_trial(good(), 2, running(2, conditions=(build.condition("Running"),) * 2)),
        "must have one condition of each type",
    ),
    "a condition without times": (
        lambda: with_status(good(), conditions=(build.condition("Created").but(last_update_time=None),)),
        "must have both its times",
    ),
}


@pytest.mark.parametrize("case", ALWAYS)
def test_a_rule_that_always_holds_notices(case: str) -> None:
    make, sentence = ALWAYS[case]
    assert sentence in "\n".join(broken_rules(make()))


def test_limits_that_were_cut_bind_only_what_comes_after() -> None:
    before = snapshot(*(running(number) for number in range(4)), parallel_trial_count=4)
    cut = replace(
        before, experiment=before.experiment.but(spec=before.experiment.spec.but(parallel_trial_count=2))
    )
    assert broken_rules(cut, before) == ()
    assert broken_rules(cut, cut) == ()
    grown = snapshot(*(running(number) for number in range(5)))
    assert "at most 2 trials may be active at once, got 5" in broken_rules(grown, cut)


def killed(base: Snapshot, index: int) -> Snapshot:
    number = base.trials[index].spec.number or 0
    return with_trial(base, index, build.trial(EXPERIMENT, number, TrialPhase.KILLED))


CHANGES: dict[str, tuple[Callable[[], Snapshot], Callable[[], Snapshot], str]] = {
    "an end is taken back": (ended, good, "an Experiment that is Succeeded must stay so, got Running"),
    "a beginning is taken back": (
        good,
        lambda: with_status(good(), conditions=()),
        "must not be new again",
    ),
    "a trial's end changes": (good, lambda: killed(good(), 0), "must stay Succeeded, got Killed"),
    "a result changes": (
        good,
        lambda: with_trial(good(), 1, succeeded(EXPERIMENT, 1, 0.3)),
        "what it measured must not change once it has ended",
    ),
    "a spec changes": (
        good,
        lambda: with_trial(good(), 2, running(2).but(spec=running(2).spec.but(retain_run=True))),
        "its spec must not change",
    ),
    "a deletion is taken back": (
        lambda: with_trial(good(), 2, with_meta(running(2), deletion_timestamp=build.MOMENT)),
        good,
        "a deletion must not be taken back",
    ),
    "proposals are forgotten": (
        lambda: snapshot(running(0)),
        lambda: replace(snapshot(running(0), proposals=1), proposals=()),
        "every proposal must be kept until its Trial is deleted, lost numbers [1]",
    ),
    "the count shrinks": (
        lambda: snapshot(running(0), proposals=1),
        lambda: snapshot(running(0)),
        "suggestionCount must not shrink from 2, got 1",
    ),
    "the exhausted propose again": (
        lambda: replace(
            snapshot(running(0)),
            suggestion=build.suggestion(EXPERIMENT, 1, suggestion_count=1, exhausted=True),
        ),
        lambda: snapshot(running(0)),
        "must not propose again",
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_rule_about_what_may_change_notices(case: str) -> None:
    before, now, sentence = CHANGES[case]
    assert sentence in "\n".join(broken_rules(now(), before()))


def deleted(base: Snapshot) -> Snapshot:
    meta = base.experiment.metadata.but(deletion_timestamp=build.MOMENT)
    return replace(base, experiment=base.experiment.but(metadata=meta))


SETTLED: dict[str, tuple[Callable[[], Snapshot], str]] = {
    "a counter lags": (
        lambda: with_status(good(), trials_running=1),
        "the status must count 2 Running, got 1",
    ),
    "the sum lags": (lambda: with_status(good(), trials=3), "the status must count 4 trials, got 3"),
    "the best lags": (
        lambda: with_status(good(), current_optimal_trial=None),
        "currentOptimalTrial must be",
    ),
    "a name is missing": (lambda: with_status(good(), running_trial_list=()), "the status must list"),
    "trials of an ended experiment go on": (
        lambda: snapshot(*(succeeded(EXPERIMENT, number, number) for number in range(6)), running(6)),
        "must stop its trials, got 1 that go on",
    ),
    "a cut was not followed": (
        lambda: snapshot(running(0), running(1), parallel_trial_count=1),
        "at most 1 trials may go on after an edit, got 2",
    ),
    "a proposal waits for nothing": (
        lambda: snapshot(running(0), proposals=1),
        "1 places are free, and 1 proposals wait",
    ),
    "nothing is asked for": (
        lambda: snapshot(running(0)),
        "1 places are free, but only 0 proposals are asked for",
    ),
    "a suggestion outlives its experiment": (
        lambda: deleted(good()),
        "a deleted Experiment's Suggestion must be removed",
    ),
    "ended trials outlive their experiment": (
        lambda: deleted(replace(ended(), suggestion=None)),
        "a deleted Experiment's ended trials must be removed",
    ),
    "trials of a deleted experiment are not deleted": (
        lambda: deleted(replace(good(), suggestion=None)),
        "a deleted Experiment's trials must be deleted",
    ),
    "nothing keeps a deleted experiment": (
        lambda: deleted(replace(snapshot(), suggestion=None)),
        "that owns nothing must be removed",
    ),
}


@pytest.mark.parametrize("case", SETTLED)
def test_a_rule_of_rest_notices(case: str) -> None:
    make, sentence = SETTLED[case]
    assert sentence in "\n".join(broken_rules(make(), is_settled=True))
