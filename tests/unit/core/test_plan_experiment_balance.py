"""How many trials an Experiment starts, stops and asks for, and what it counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from katibpy.api.experiment import Experiment, Metric, MetricStrategy, Observation
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import Trial
from katibpy.core.building import trial_name
from katibpy.core.instructions import (
    CreateSuggestion,
    CreateTrial,
    Instruction,
    RequestProposals,
    RequestStop,
)
from katibpy.core.phases import ExperimentPhase, TrialPhase, experiment_phase
from katibpy.core.plan_experiment import plan_experiment
from katibpy.core.records import NAME_LIMIT
from katibpy.testing import builders as build
from tests.unit.core.views import KILL, seen, succeeded, tuned


def steps(experiment: Experiment, *trials: Trial, **view: Any) -> tuple[Instruction, ...]:
    return plan_experiment(seen(experiment, trials, **view)).instructions


def made(experiment: Experiment, count: int) -> Suggestion:
    """The Suggestion after that many proposals, all asked for."""
    return build.suggestion(experiment, count, suggestion_count=count)


def asked(instructions: tuple[Instruction, ...]) -> int | None:
    """Total number of proposals asked for, None when nothing is asked."""
    found = [step.suggestion.spec.requests for step in instructions if isinstance(step, RequestProposals)]
    assert len(found) < 2
    return found[0] if found else None


def started(instructions: tuple[Instruction, ...]) -> list[int]:
    return [step.proposal.number for step in instructions if isinstance(step, CreateTrial)]


def stopped(instructions: tuple[Instruction, ...]) -> list[str]:
    return [step.trial_name for step in instructions if isinstance(step, RequestStop)]


def running(experiment: Experiment, *numbers: int) -> list[Trial]:
    return [build.trial(experiment, number, TrialPhase.RUNNING) for number in numbers]


def test_a_new_experiment_asks_for_as_many_proposals_as_may_run() -> None:
    experiment = tuned(parallel_trial_count=3, max_trial_count=10, resume_policy="FromVolume")
    (create,) = steps(experiment)
    assert isinstance(create, CreateSuggestion)
    suggestion = create.suggestion
    assert suggestion.spec.requests == 3
    assert suggestion.spec.algorithm == experiment.spec.algorithm
    assert suggestion.spec.resume_policy == "FromVolume"
    assert suggestion.metadata.name == experiment.metadata.name
    assert suggestion.metadata.owner_references[0].uid == experiment.metadata.uid
    assert suggestion.metadata.owner_references[0].controller


def test_it_never_asks_for_more_than_the_maximum() -> None:
    experiment = tuned(parallel_trial_count=3, max_trial_count=4)
    trials = [*running(experiment, 0, 1), succeeded(experiment, 2, 1)]
    assert asked(steps(experiment, *trials, suggestion=made(experiment, 3))) == 4
    full = [*running(experiment, 0, 1, 3), succeeded(experiment, 2, 1)]
    assert steps(experiment, *full, suggestion=made(experiment, 4)) == ()


def test_proposals_become_trials_before_more_are_asked_for() -> None:
    experiment = tuned(parallel_trial_count=3)
    ready = [build.proposal(experiment, 1), build.proposal(experiment, 2)]
    trials = running(experiment, 0)
    instructions = steps(experiment, *trials, suggestion=made(experiment, 3), proposals=ready)
    assert started(instructions) == [1, 2]
    assert asked(instructions) is None
    instructions = steps(experiment, *trials, suggestion=made(experiment, 2), proposals=ready[:1])
    assert started(instructions) == [1]
    assert asked(instructions) == 3


def test_what_is_asked_for_already_is_not_asked_again() -> None:
    experiment = tuned(parallel_trial_count=3)
    assert steps(experiment, suggestion=build.suggestion(experiment, 3)) == ()


def test_a_place_is_free_when_a_stopped_trial_has_really_ended() -> None:
    experiment = tuned(parallel_trial_count=2)
    trials = running(experiment, 0, 1)
    trials[0] = trials[0].but(status=trials[0].status.but(stop_request=KILL))
    assert steps(experiment, *trials, suggestion=made(experiment, 2)) == ()
    trials[0] = build.trial(experiment, 0, TrialPhase.KILLED)
    assert asked(steps(experiment, *trials, suggestion=made(experiment, 2))) == 3


def test_nothing_is_asked_of_an_exhausted_algorithm() -> None:
    experiment = tuned(parallel_trial_count=3)
    last = build.suggestion(experiment, 3, suggestion_count=1, exhausted=True)
    assert steps(experiment, *running(experiment, 0), suggestion=last) == ()


def test_an_exhausted_search_waits_for_a_trial_that_ended_after_the_tally_was_read() -> None:
    experiment = tuned(max_trial_count=2)
    view = seen(
        experiment,
        [succeeded(experiment, 0, 1), *running(experiment, 1)],
        suggestion=build.suggestion(experiment, 2, suggestion_count=2, exhausted=True),
    )
    status = plan_experiment(replace(view, active=())).status
    assert experiment_phase(status.conditions) is ExperimentPhase.RUNNING


def test_a_deleted_trial_is_replaced_by_a_new_proposal() -> None:
    experiment = tuned(parallel_trial_count=1, max_trial_count=3)
    trials = [succeeded(experiment, 0, 1)]  # number 1 was deleted
    assert asked(steps(experiment, *trials, suggestion=made(experiment, 2))) == 3


def test_parallelism_defaults_to_three() -> None:
    experiment = tuned()
    experiment = experiment.but(spec=experiment.spec.but(parallel_trial_count=None))
    (create,) = steps(experiment)
    assert isinstance(create, CreateSuggestion)
    assert create.suggestion.spec.requests == 3


# A Suggestion that somebody deleted.


def test_while_a_suggestion_is_being_deleted_nothing_is_asked_of_it() -> None:
    experiment = tuned(parallel_trial_count=2)
    leaving = made(experiment, 1)
    leaving = leaving.but(metadata=leaving.metadata.but(deletion_timestamp=build.moment(1)))
    assert steps(experiment, *running(experiment, 0), suggestion=leaving) == ()


def test_a_deleted_suggestion_begins_anew_and_counts_on_from_the_trials_there_are() -> None:
    experiment = tuned(parallel_trial_count=2)
    trials = running(experiment, 6)
    view = seen(experiment, trials, next_number=7)
    (create,) = plan_experiment(view).instructions
    assert isinstance(create, CreateSuggestion)
    assert create.suggestion.status.suggestion_count == 7
    assert create.suggestion.spec.requests == 8


# Budget edits while it runs.


def test_a_larger_parallelism_asks_for_more_at_once() -> None:
    experiment = tuned(parallel_trial_count=5, max_trial_count=20)
    assert asked(steps(experiment, *running(experiment, 0, 1), suggestion=made(experiment, 2))) == 5


def test_a_smaller_parallelism_stops_pending_trials_first_then_the_youngest() -> None:
    experiment = tuned(parallel_trial_count=2)
    trials = [
        succeeded(experiment, 0, 1),
        build.trial(experiment, 1),
        *running(experiment, 2, 3, 4),
        build.trial(experiment, 5),
        succeeded(experiment, 6, 1),
    ]
    instructions = steps(experiment, *trials, suggestion=made(experiment, 7))
    assert stopped(instructions) == [trials[number].metadata.name for number in (5, 1, 4)]
    requests = {step.request.message for step in instructions if isinstance(step, RequestStop)}
    assert requests == {"Trial was stopped because spec.parallelTrialCount was cut"}
    assert started(instructions) == []
    assert asked(instructions) is None


def test_trials_that_are_stopping_are_not_stopped_twice_nor_replaced_by_others() -> None:
    experiment = tuned(parallel_trial_count=1)
    trials = running(experiment, 0, 1, 2)
    trials[1:] = [trial.but(status=trial.status.but(stop_request=KILL)) for trial in trials[1:]]
    assert steps(experiment, *trials, suggestion=made(experiment, 3)) == ()


def test_a_smaller_parallelism_takes_back_requests_that_are_not_answered() -> None:
    experiment = tuned(parallel_trial_count=2)
    trials = running(experiment, 0, 1)
    waiting = build.suggestion(experiment, 5, suggestion_count=2)
    assert asked(steps(experiment, *trials, suggestion=waiting)) == 2


def test_a_smaller_maximum_takes_back_requests_that_are_not_answered() -> None:
    experiment = tuned(parallel_trial_count=3, max_trial_count=3)
    trials = [succeeded(experiment, 0, 1), *running(experiment, 1)]
    waiting = build.suggestion(experiment, 4, suggestion_count=2)
    assert asked(steps(experiment, *trials, suggestion=waiting)) == 3


def test_a_larger_maximum_goes_on_without_a_restart() -> None:
    experiment = tuned(parallel_trial_count=2, max_trial_count=4)
    trials = [succeeded(experiment, 0, 1), succeeded(experiment, 1, 1), *running(experiment, 2, 3)]
    assert steps(experiment, *trials, suggestion=made(experiment, 4)) == ()
    more = experiment.but(spec=experiment.spec.but(max_trial_count=9))
    trials[3] = succeeded(experiment, 3, 1)
    assert asked(steps(more, *trials, suggestion=made(experiment, 4))) == 5


def test_a_maximum_cut_below_what_has_ended_ends_it_and_stops_the_rest() -> None:
    experiment = tuned(parallel_trial_count=2, max_trial_count=2)
    trials = [succeeded(experiment, 0, 1), succeeded(experiment, 1, 1), *running(experiment, 2, 3)]
    plan = plan_experiment(seen(experiment, trials, suggestion=made(experiment, 4)))
    assert plan.status.conditions[-1].reason == "ExperimentMaxTrialsReached"
    assert len(stopped(plan.instructions)) == 2


# What the status shows.


def test_counters_and_name_lists_show_every_phase() -> None:
    experiment = tuned(parallel_trial_count=5)
    phases = list(TrialPhase)
    trials = [build.trial(experiment, number, phase) for number, phase in enumerate(phases)]
    trials.append(build.trial(experiment, 9, TrialPhase.RUNNING))
    names = [trial.metadata.name for trial in trials]
    status = plan_experiment(seen(experiment, trials)).status
    assert status.trials == 8
    assert (status.trials_pending, status.trials_running) == (1, 2)
    assert (status.trials_succeeded, status.trials_failed, status.trials_killed) == (1, 1, 1)
    assert (status.trials_early_stopped, status.trial_metrics_unavailable) == (1, 1)
    assert status.pending_trial_list == (names[phases.index(TrialPhase.PENDING)],)
    assert status.running_trial_list == (names[phases.index(TrialPhase.RUNNING)], names[-1])
    assert status.succeeded_trial_list == (names[phases.index(TrialPhase.SUCCEEDED)],)
    assert status.failed_trial_list == (names[phases.index(TrialPhase.FAILED)],)
    assert status.killed_trial_list == (names[phases.index(TrialPhase.KILLED)],)
    assert status.early_stopped_trial_list == (names[phases.index(TrialPhase.EARLY_STOPPED)],)
    assert status.metrics_unavailable_trial_list == (names[phases.index(TrialPhase.METRICS_UNAVAILABLE)],)


def test_all_active_names_and_the_newest_hundred_of_the_others_are_shown() -> None:
    experiment = tuned(parallel_trial_count=150)
    trials = [succeeded(experiment, number, 1) for number in range(120)] + running(
        experiment, *range(120, 240)
    )
    status = plan_experiment(seen(experiment, trials)).status
    assert len(status.running_trial_list) == 120
    assert status.succeeded_trial_list == tuple(trial.metadata.name for trial in trials[20:120])
    assert len(status.succeeded_trial_list) == NAME_LIMIT
    assert status.trials_succeeded == 120


def best_name(experiment: Experiment, *trials: Trial) -> str | None:
    optimal = plan_experiment(seen(experiment, trials)).status.current_optimal_trial
    return optimal.best_trial_name if optimal else None


def measured(experiment: Experiment, number: int, **values: str) -> Trial:
    """A Trial that succeeded with this min, max and latest of its objective."""
    observation = Observation(metrics=(Metric(name="loss", **values),))
    return build.trial(experiment, number, TrialPhase.SUCCEEDED, observation=observation)


@pytest.mark.parametrize(
    ("kind", "strategy", "best"),
    [
        ("minimize", "min", 0),
        ("minimize", "max", 1),
        ("minimize", "latest", 2),
        ("maximize", "min", 2),
        ("maximize", "max", 0),
        ("maximize", "latest", 1),
        ("minimize", None, 0),
        ("maximize", None, 0),
    ],
)
def test_the_best_trial_is_chosen_by_the_strategy(kind: str, strategy: str | None, best: int) -> None:
    strategies = (MetricStrategy(name="loss", value=strategy),) if strategy else ()
    objective = build.minimize().but(type=kind, metric_strategies=strategies)
    experiment = tuned(objective=objective)
    trials = [
        measured(experiment, 0, min="1", max="9", latest="5"),
        measured(experiment, 1, min="2", max="6", latest="6"),
        measured(experiment, 2, min="3", max="7", latest="3.5"),
    ]
    assert best_name(experiment, *trials) == trials[best].metadata.name


def test_a_strategy_without_a_value_falls_back_to_the_latest() -> None:
    experiment = tuned()
    trials = [
        measured(experiment, 0, min="unavailable", max="unavailable", latest="0.2"),
        measured(experiment, 1, min="0.3", max="0.3", latest="0.3"),
    ]
    assert best_name(experiment, *trials) == trials[0].metadata.name


def test_the_earliest_of_equal_trials_is_the_best() -> None:
    experiment = tuned()
    trials = [succeeded(experiment, number, 0.5) for number in (3, 1, 2)]
    assert best_name(experiment, *trials) == trials[1].metadata.name


def test_an_early_stopped_trial_is_best_only_when_none_succeeded() -> None:
    experiment = tuned()
    early = build.trial(experiment, 0, TrialPhase.EARLY_STOPPED, metrics={"loss": 0.1})
    assert best_name(experiment, early) == early.metadata.name
    assert best_name(experiment, early, succeeded(experiment, 1, 0.9)) == trial_name("tune", "uid-of-tune", 1)


@pytest.mark.parametrize("phase", [TrialPhase.FAILED, TrialPhase.KILLED, TrialPhase.METRICS_UNAVAILABLE])
def test_what_a_failed_or_killed_trial_measured_is_not_the_best(phase: TrialPhase) -> None:
    experiment = tuned()
    assert best_name(experiment, build.trial(experiment, 0, phase, metrics={"loss": 0})) is None


def test_no_number_no_best() -> None:
    experiment = tuned()
    trials = [succeeded(experiment, number, text) for number, text in enumerate(["nan", "inf", "", "a b"])]
    assert best_name(experiment, *trials) is None


def test_the_best_trial_is_shown_with_what_it_was_run_with_and_measured() -> None:
    experiment = tuned()
    trial = succeeded(experiment, 0, 0.25)
    optimal = plan_experiment(seen(experiment, [trial])).status.current_optimal_trial
    assert optimal is not None
    assert optimal.parameter_assignments == trial.spec.parameter_assignments
    assert optimal.observation == trial.status.observation


# Names.


def test_a_trial_name_follows_from_the_experiment_and_the_number() -> None:
    assert trial_name("tune", "uid", 3) == trial_name("tune", "uid", 3)
    assert trial_name("tune", "uid", 3) == "tune-vqfgckck"
    names = {trial_name("tune", uid, number) for uid in ("a", "b") for number in range(2000)}
    assert len(names) == 4000
    assert all(name.startswith("tune-") and len(name) == 13 for name in names)
