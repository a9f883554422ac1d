from __future__ import annotations

import pytest

from katibpy.api.experiment import Objective
from katibpy.api.suggestion import Suggestion
from katibpy.core.phases import ExperimentPhase, TrialPhase
from katibpy.testing import builders
from tests.unit.display.followed import Followed

OUTPUT = "Trial has failed. Job message: it ended with exit code 3\nLast output:\n  before\n  no luck"


@pytest.fixture
def followed() -> Followed:
    return Followed(builders.experiment(max_trial_count=10))


def test_only_trials_that_ended_since_the_last_look_are_news(followed: Followed) -> None:
    followed.end(followed.begin(), loss=0.5)
    follower = followed.follower()
    assert follower.look().news == ()
    trial = followed.begin()
    assert follower.look().news == ()
    name = followed.end(trial, loss=0.4)
    (news,) = follower.look().news
    assert (news.record.name, news.place, news.is_best) == (name, 2, True)
    assert follower.look().news == ()


def test_news_come_in_the_order_of_their_ends(followed: Followed) -> None:
    follower = followed.follower()
    trials = [followed.begin() for _ in range(3)]
    names = []
    for seconds, trial in enumerate(reversed(trials)):
        followed.seconds = seconds
        names.append(followed.end(trial, loss=seconds))
    assert [each.record.name for each in follower.look().news] == names


@pytest.mark.parametrize(
    ("objective", "values", "best"),
    [
        (builders.minimize(), [0.5, 0.6, 0.4, 0.4, "nan", "inf", 0.3], [0, 2, 6]),
        (builders.maximize("loss"), [0.5, 0.6, 0.4, 0.6, "nan", "inf", 0.7], [0, 1, 6]),
    ],
    ids=["minimize", "maximize"],
)
def test_a_trial_is_best_when_it_beats_all_before_it(
    objective: Objective, values: list[object], best: list[int]
) -> None:
    followed = Followed(builders.experiment(objective=objective))
    follower = followed.follower()
    marked = []
    for index, value in enumerate(values):
        followed.end(followed.begin(), loss=value)
        (news,) = follower.look().news
        marked += [index] if news.is_best else []
    assert marked == best


def test_a_trial_that_was_stopped_early_is_best_only_while_none_has_succeeded(followed: Followed) -> None:
    follower = followed.follower()
    marks = []
    for phase, value in (
        (TrialPhase.EARLY_STOPPED, 0.2),
        (TrialPhase.KILLED, 0.1),
        (TrialPhase.SUCCEEDED, 0.5),
        (TrialPhase.EARLY_STOPPED, 0.1),
    ):
        name = followed.end(followed.begin(), phase, loss=value)
        snapshot = follower.look()
        marks.append(snapshot.news[0].is_best)
        assert snapshot.best is not None
        assert (snapshot.best.name == name) is marks[-1]
    assert marks == [True, False, True, False]


def test_a_failure_is_told_in_a_line_with_the_end_of_its_output(followed: Followed) -> None:
    follower = followed.follower()
    followed.end(followed.begin(), TrialPhase.FAILED, message=OUTPUT)
    snapshot = follower.look()
    assert snapshot.news[0].message == "it ended with exit code 3; last output: no luck"
    followed.end(followed.begin(), loss=0.1)
    assert follower.look().last_failure == snapshot.news[0].message


def test_running_trials_come_with_their_newest_value(followed: Followed) -> None:
    follower = followed.follower(running_limit=2)
    trials = [followed.begin() for _ in range(3)]
    for text in ("0.5", "0.25", "0.75"):
        followed.report(trials[1], text)
    snapshot = follower.look()
    assert [(each.name, each.latest) for each in snapshot.running] == [
        (trials[0].metadata.name, ""),
        (trials[1].metadata.name, "0.75"),
    ]
    assert snapshot.running_count == 3


def test_the_time_left_follows_from_the_trials_of_this_session(followed: Followed) -> None:
    for _ in range(4):
        followed.end(followed.begin(), loss=1)
    follower = followed.follower()
    followed.seconds = 10.0
    followed.end(followed.begin(), loss=1)
    assert follower.look().seconds_left is None
    followed.end(followed.begin(), loss=1)
    snapshot = follower.look()
    assert (snapshot.elapsed_seconds, snapshot.seconds_left) == (10.0, 20.0)


def test_the_clock_stops_when_the_experiment_ends(followed: Followed) -> None:
    follower = followed.follower()
    followed.seconds = 3.0
    followed.finish("Succeeded")
    assert follower.look().elapsed_seconds == 3.0
    followed.seconds = 9.0
    snapshot = follower.look()
    assert (snapshot.elapsed_seconds, snapshot.phase) == (3.0, ExperimentPhase.SUCCEEDED)


def test_an_algorithm_that_does_not_answer_is_told_until_there_are_trials(followed: Followed) -> None:
    follower = followed.follower()
    assert follower.look().waits_for == ""
    suggestion = followed.resources.find(Suggestion, *followed.experiment.key[1:])
    assert suggestion is not None
    waiting = builders.condition("DeploymentReady", status="False", message="no answer yet")
    followed.resources.replace_status(suggestion.but(status=suggestion.status.but(conditions=(waiting,))))
    assert follower.look().waits_for == "no answer yet"
    followed.begin()
    assert follower.look().waits_for == ""


def test_an_experiment_that_was_deleted_has_no_phase(followed: Followed) -> None:
    follower = followed.follower()
    suggestion = followed.resources.find(Suggestion, *followed.experiment.key[1:])
    assert suggestion is not None
    followed.resources.remove(suggestion)
    followed.resources.remove(followed.experiment)
    snapshot = follower.look()
    assert (snapshot.phase, snapshot.news) == (None, ())
