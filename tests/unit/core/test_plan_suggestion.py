"""When the algorithm service is asked, and what its answers become."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from katibpy.api.experiment import Experiment
from katibpy.api.model import NameValue
from katibpy.api.suggestion import EarlyStoppingRule, Suggestion
from katibpy.core.building import trial_name
from katibpy.core.instructions import (
    AskAlgorithm,
    Plan,
    ReleaseAlgorithm,
    RemoveSuggestion,
    SaveReply,
    ValidateSettings,
)
from katibpy.core.plan_suggestion import plan_suggestion
from katibpy.core.records import NAME_LIMIT
from katibpy.core.views import AlgorithmReply, Proposed, Refusal, ServiceFailure, SuggestionView
from katibpy.testing import builders as build
from tests.unit.core.views import tuned

EXPERIMENT = tuned(algorithm=build.algorithm("random", random_state=7))
CREATED = ("Created", "True", "SuggestionCreated", "Suggestion is created")
READY = ("DeploymentReady", "True", "DeploymentReady", "Deployment is ready")
RUNNING = ("Running", "True", "SuggestionRunning", "Suggestion is running")


def conditions_of(plan: Plan[Any]) -> list[tuple[str, str, str, str]]:
    return [(each.type, each.status, each.reason, each.message) for each in plan.status.conditions]


def seen(
    suggestion: Suggestion, experiment: Experiment | None = EXPERIMENT, **answers: Any
) -> SuggestionView:
    return SuggestionView(suggestion=suggestion, experiment=experiment, now=build.moment(100), **answers)


def new(requests: int = 3) -> Suggestion:
    return build.suggestion(EXPERIMENT, requests)


def accepted(requests: int = 3, **status: Any) -> Suggestion:
    """A Suggestion whose algorithm has accepted the Experiment."""
    suggestion = build.suggestion(EXPERIMENT, requests, **status)
    plan = plan_suggestion(seen(suggestion, is_accepted=True))
    return suggestion.but(status=plan.status)


def drawn(*values: float, **reply: Any) -> AlgorithmReply:
    """A reply with one proposal for each value of `lr`."""
    return AlgorithmReply(
        proposals=tuple(Proposed((NameValue(name="lr", value=str(value)),)) for value in values), **reply
    )


def ended(experiment: Experiment, policy: str) -> Experiment:
    status = experiment.status.but(
        conditions=(build.condition("Succeeded", reason="ExperimentMaxTrialsReached"),)
    )
    return experiment.but(spec=experiment.spec.but(resume_policy=policy), status=status)


def test_a_new_one_asks_whether_the_settings_are_accepted() -> None:
    plan = plan_suggestion(seen(new()))
    assert plan.instructions == (ValidateSettings(EXPERIMENT),)
    assert conditions_of(plan) == [CREATED]
    assert plan.status.start_time == build.moment(100)


def test_once_accepted_it_is_running_and_asks_for_what_is_missing() -> None:
    plan = plan_suggestion(seen(new(3), is_accepted=True))
    assert conditions_of(plan) == [CREATED, READY, RUNNING]
    assert plan.instructions == (AskAlgorithm(EXPERIMENT, count=3, total=3),)
    later = accepted(7, suggestion_count=5)
    assert plan_suggestion(seen(later)).instructions == (AskAlgorithm(EXPERIMENT, count=2, total=7),)


def test_it_rests_when_nothing_is_missing() -> None:
    idle = accepted(3, suggestion_count=3)
    assert plan_suggestion(seen(idle)) == Plan(idle.status)


def test_a_refusal_is_final() -> None:
    plan = plan_suggestion(seen(new(), refusal=Refusal("setting n_startup_trials must be at least 1, got 0")))
    assert conditions_of(plan)[-1] == (
        "Failed",
        "True",
        "SuggestionFailed",
        "Validation failed: setting n_startup_trials must be at least 1, got 0",
    )
    assert plan.instructions == ()
    again = plan_suggestion(seen(new().but(status=plan.status)))
    assert again == Plan(plan.status)


def test_a_refusal_of_a_running_one_ends_its_running() -> None:
    plan = plan_suggestion(seen(accepted(), refusal=Refusal("no")))
    assert [each[:2] for each in conditions_of(plan)] == [
        ("Created", "True"),
        ("DeploymentReady", "True"),
        ("Running", "False"),
        ("Failed", "True"),
    ]


def test_a_service_that_does_not_answer_is_asked_again_ever_more_rarely() -> None:
    delays = []
    for attempts in range(1, 12):
        plan = plan_suggestion(seen(accepted(), failure=ServiceFailure("connection refused", attempts)))
        delays.append(plan.again_after_seconds)
        assert plan.instructions == ()
        assert conditions_of(plan)[-1] == (
            "DeploymentReady",
            "False",
            "DeploymentNotReady",
            f"the algorithm service gave no usable answer ({attempts} in a row): connection refused",
        )
    assert all(delay is not None and 0 < delay <= 30 for delay in delays)
    assert delays == sorted(delay for delay in delays if delay is not None)
    assert delays[-1] == 30


def test_a_failing_service_is_ready_again_when_it_answers() -> None:
    failing = accepted()
    failing = failing.but(status=plan_suggestion(seen(failing, failure=ServiceFailure("down"))).status)
    plan = plan_suggestion(seen(failing, reply=drawn(0.1, 0.2, 0.3)))
    assert conditions_of(plan)[-1] == READY


def test_a_reply_is_saved_whole_with_names_and_numbers() -> None:
    suggestion = accepted(5, suggestion_count=3)
    reply = drawn(0.1, 0.2, memory=b"m", note="because")
    plan = plan_suggestion(seen(suggestion, reply=reply))
    (save,) = plan.instructions
    assert isinstance(save, SaveReply)
    assert save.memory == b"m"
    names = [trial_name("tune", EXPERIMENT.metadata.uid or "", number) for number in (3, 4)]
    assert [each.name for each in save.proposals] == names
    assert [each.parameter_assignments[0].value for each in save.proposals] == ["0.1", "0.2"]
    assert plan.status.suggestion_count == 5
    assert plan.status.suggestions == save.proposals
    assert plan.status.note == "because"
    assert not plan.status.exhausted
    assert plan.again_after_seconds is None


def test_names_labels_and_rules_that_the_algorithm_chose_are_kept() -> None:
    rule = EarlyStoppingRule(name="loss", value="1", comparison="greater", start_step=2)
    chosen = Proposed((), name="tune-child", labels={"generation": "1"}, rules=(rule,))
    plan = plan_suggestion(seen(accepted(1), reply=AlgorithmReply((chosen,))))
    (save,) = plan.instructions
    assert isinstance(save, SaveReply)
    (assignment,) = save.proposals
    assert (assignment.name, assignment.labels) == ("tune-child", {"generation": "1"})
    assert assignment.early_stopping_rules == (rule,)


def test_a_short_reply_is_saved_and_the_rest_is_asked_for_later() -> None:
    plan = plan_suggestion(seen(accepted(5), reply=drawn(0.1, memory=b"waiting")))
    assert plan.status.suggestion_count == 1
    assert plan.again_after_seconds is not None
    assert plan.again_after_seconds > 0
    empty = plan_suggestion(seen(accepted(5), reply=drawn(memory=b"waiting")))
    assert empty.instructions == (SaveReply((), b"waiting"),)
    assert empty.again_after_seconds is not None


def test_the_end_of_the_search_is_remembered_and_nothing_is_asked_again() -> None:
    suggestion = accepted(5)
    plan = plan_suggestion(seen(suggestion, reply=drawn(0.1, is_exhausted=True)))
    assert plan.status.exhausted
    assert plan.again_after_seconds is None
    later = suggestion.but(status=plan.status)
    assert plan_suggestion(seen(later)).instructions == ()


def test_a_reply_to_an_earlier_question_is_kept_whole_although_less_is_wanted_now() -> None:
    # An algorithm's memory counts on every proposal it made.
    cut = accepted(1)
    plan = plan_suggestion(seen(cut, reply=drawn(0.1, 0.2, 0.3, memory=b"three")))
    (save,) = plan.instructions
    assert isinstance(save, SaveReply)
    assert len(save.proposals) == 3
    assert plan.status.suggestion_count == 3


def test_the_status_shows_the_newest_proposals_and_not_more_than_a_hundred() -> None:
    plan = plan_suggestion(seen(accepted(150), reply=drawn(*(number / 150 for number in range(150)))))
    assert len(plan.status.suggestions) == NAME_LIMIT
    assert plan.status.suggestions[-1].parameter_assignments[0].value == str(149 / 150)
    assert plan.status.suggestion_count == 150


def test_settings_that_a_reply_gave_are_shown_and_sent_from_then_on() -> None:
    given = (NameValue(name="random_state", value="8"), NameValue(name="bracket", value="2"))
    suggestion = accepted(1)
    plan = plan_suggestion(seen(suggestion, reply=drawn(0.1, settings=given)))
    assert plan.status.algorithm_settings == given
    more = suggestion.but(spec=suggestion.spec.but(requests=2), status=plan.status)
    (ask,) = plan_suggestion(seen(more)).instructions
    assert isinstance(ask, AskAlgorithm)
    assert ask.experiment.spec.algorithm is not None
    assert ask.experiment.spec.algorithm.algorithm_settings == given
    replaced = plan_suggestion(seen(more, reply=drawn(0.2, settings=(given[1].but(value="3"),))))
    assert [each.value for each in replaced.status.algorithm_settings] == ["8", "3"]


# When the Experiment has ended.


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("Never", "Suggestion is succeeded, can't be restarted"),
        ("FromVolume", "Suggestion is succeeded, suggestion volume is not deleted, can be restarted"),
    ],
)
def test_it_succeeds_when_its_experiment_has_ended(policy: str, message: str) -> None:
    suggestion = accepted(3, suggestion_count=3)
    plan = plan_suggestion(seen(suggestion, ended(EXPERIMENT, policy)))
    assert conditions_of(plan) == [
        CREATED,
        ("Running", "False", "Suggestion is succeeded", "Suggestion is not running"),
        ("DeploymentReady", "False", "Suggestion is succeeded", "Deployment is not ready"),
        ("Succeeded", "True", "Experiment is succeeded", message),
    ]
    assert plan.instructions == (ReleaseAlgorithm(ended(EXPERIMENT, policy)),)
    assert plan_suggestion(seen(suggestion.but(status=plan.status), ended(EXPERIMENT, policy))) == plan


def test_a_long_running_one_stays_up() -> None:
    suggestion = accepted(3, suggestion_count=3)
    plan = plan_suggestion(seen(suggestion, ended(EXPERIMENT, "LongRunning")))
    assert plan == Plan(suggestion.status)


def test_an_ended_experiment_asks_for_nothing_even_when_something_is_missing() -> None:
    assert plan_suggestion(seen(accepted(9), ended(EXPERIMENT, "LongRunning"))).instructions == ()
    never = ended(EXPERIMENT, "Never")
    assert plan_suggestion(seen(new(9), never)).instructions == (ReleaseAlgorithm(never),)


def test_one_that_succeeded_is_validated_and_runs_again_after_a_restart() -> None:
    suggestion = accepted(3, suggestion_count=3)
    rested = plan_suggestion(seen(suggestion, ended(EXPERIMENT, "FromVolume")))
    again = suggestion.but(spec=suggestion.spec.but(requests=5), status=rested.status)
    assert plan_suggestion(seen(again)).instructions == (ValidateSettings(EXPERIMENT),)
    plan = plan_suggestion(seen(again, is_accepted=True))
    assert conditions_of(plan) == [CREATED, READY, RUNNING]
    assert plan.instructions == (AskAlgorithm(EXPERIMENT, count=2, total=5),)


# Deletion.


@pytest.mark.parametrize("phase", ["new", "accepted", "failed", "succeeded"])
def test_a_deleted_one_is_removed_in_every_phase(phase: str) -> None:
    suggestion = {
        "new": new(),
        "accepted": accepted(),
        "failed": build.suggestion(EXPERIMENT, 3, conditions=(build.condition("Failed"),)),
        "succeeded": build.suggestion(EXPERIMENT, 3, conditions=(build.condition("Succeeded"),)),
    }[phase]
    leaving = suggestion.but(metadata=suggestion.metadata.but(deletion_timestamp=build.moment(1)))
    assert plan_suggestion(seen(leaving)).instructions == (RemoveSuggestion(leaving),)
    assert plan_suggestion(replace(seen(leaving), refusal=Refusal("no"))).instructions == (
        RemoveSuggestion(leaving),
    )


def test_one_without_its_experiment_is_removed() -> None:
    orphan = accepted()
    assert plan_suggestion(seen(orphan, None)).instructions == (RemoveSuggestion(orphan),)


def test_nothing_is_asked_for_an_experiment_that_is_being_deleted() -> None:
    leaving = EXPERIMENT.but(metadata=EXPERIMENT.metadata.but(deletion_timestamp=build.moment(1)))
    assert plan_suggestion(seen(accepted(), leaving)).instructions == ()
    assert plan_suggestion(seen(new(), leaving)).instructions == ()
