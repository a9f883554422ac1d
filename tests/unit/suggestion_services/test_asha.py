"""Asynchronous successive halving: when it promotes, whom, and what it does when nothing is left."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from katibpy.algo.algorithm import Reply
from katibpy.algo.history import Entry, History, Outcome
from katibpy.algo.problem import Problem
from katibpy.algo.session import check
from katibpy.api.experiment import ParameterSpec, ParameterType
from katibpy.api.lineage import CHECKPOINT_FROM_LABEL
from katibpy.errors import InvalidSettings
from katibpy.testing.algorithm_cases import parameter
from suggestion_services.asha import Asha
from suggestion_services.rung_places import place_of
from tests.unit.suggestion_services.halving_runs import (
    NINE_EPOCHS,
    RATE,
    Fate,
    Played,
    every_fifth_fails,
    problem,
    rate_is_the_loss,
)

OPTIMIZER = parameter("optimizer", ParameterType.CATEGORICAL, list=("sgd", "adam"))


def epochs(**feasible: str) -> ParameterSpec:
    return parameter("epochs", ParameterType.INT, **feasible)


def test_it_promotes_as_soon_as_eta_trials_of_a_rung_have_ended() -> None:
    played = Played(problem(eta=3))
    algorithm = Asha()
    played.request(algorithm, 5)
    played.end(0)
    played.end(3)
    (new,) = played.request(algorithm, 1)
    assert new.assignment["epochs"] == "1"
    played.end(1)
    (promoted,) = played.request(algorithm, 1)
    best = min(
        (played.entries[place] for place in (0, 1, 3)), key=lambda entry: float(entry.assignment["rate"])
    )
    assert promoted.labels[CHECKPOINT_FROM_LABEL] == best.name
    assert promoted.assignment == {"rate": str(best.assignment["rate"]), "epochs": "3"}
    (next_one,) = played.request(algorithm, 1)
    assert CHECKPOINT_FROM_LABEL not in next_one.labels


def test_what_has_come_furthest_goes_on_first() -> None:
    played = Played(problem(RATE, epochs(min="1", max="8"), eta=2))
    algorithm = Asha()
    played.request(algorithm, 8)
    played.end_all()
    played.request(algorithm, 4)
    played.end_all()
    amounts = [each.assignment["epochs"] for each in played.request(algorithm, 4)]
    assert amounts == ["4", "4", "1", "1"]


@pytest.mark.parametrize("parallel", [1, 3, 25])
def test_it_never_waits(parallel: int) -> None:
    played = Played(problem(eta=3, limit=120), parallel=parallel)
    while len(played.entries) < 100:
        wanted = parallel - len(played.active)
        assert len(played.request(Asha(), wanted)) == wanted
        played.end(played.active[len(played.entries) % len(played.active)])


class _Watched(Asha):
    """Looks at each promotion, when it is made."""

    def suggest(
        self,
        problem: Problem,
        history: History,
        *,
        count: int,
        memory: bytes | None,
        rng: np.random.Generator,
    ) -> Reply:
        reply = super().suggest(problem, history, count=count, memory=memory, rng=rng)
        eta = float(problem.settings["eta"])
        by_name = {entry.name: entry for entry in history}
        for proposal in reply.proposals:
            parent = by_name.get(proposal.labels.get(CHECKPOINT_FROM_LABEL, ""))
            if parent is None:
                continue
            rung = _rung(parent)
            ended = [entry for entry in history.finished() if _rung(entry) == rung]
            better = [entry for entry in ended if _loss(entry) < _loss(parent)]
            assert len(better) < math.floor(len(ended) / eta)
        return reply


def _rung(entry: Entry) -> tuple[int, int]:
    place = place_of(entry)
    assert place is not None
    return place.bracket, place.rung


def _loss(entry: Entry) -> float:
    return entry.loss if entry.loss is not None and math.isfinite(entry.loss) else math.inf


@settings(max_examples=25, deadline=None)
@given(
    eta=st.sampled_from((2, 2.5, 3, 4)),
    most=st.integers(1, 40),
    parallel=st.integers(1, 20),
    brackets=st.integers(1, 2),
    order=st.integers(0, 99),
    fate=st.sampled_from((rate_is_the_loss, every_fifth_fails)),
)
def test_no_trial_is_promoted_twice_and_all_are_among_the_best_that_ended_so_far(
    eta: float, most: int, parallel: int, brackets: int, order: int, fate: Fate
) -> None:
    several = brackets if most >= eta else 1
    posed = problem(RATE, epochs(min="1", max=str(most)), eta=eta, brackets=several, limit=60)
    played = Played(posed, parallel=parallel, order=order, fate=fate).run(_Watched)
    assert len(played.entries) == 60
    played.must_promote_once_each()


@pytest.mark.parametrize("parallel", [1, 5])
def test_a_restart_between_any_two_requests_changes_nothing(parallel: int) -> None:
    posed = problem(eta=2, brackets=2, limit=60)
    one = Asha()
    kept = Played(posed, parallel=parallel, fate=every_fifth_fails).run(lambda: one)
    anew = Played(posed, parallel=parallel, fate=every_fifth_fails).run(Asha)
    assert len(kept.proposals) == 60
    assert kept.proposals == anew.proposals


def test_failed_trials_count_as_the_worst_and_killed_ones_not_at_all() -> None:
    for outcome, promotions in ((Outcome.FAILED, 3), (Outcome.KILLED, 1)):

        def fate(entry: Entry, outcome: Outcome = outcome) -> tuple[Outcome, float | None]:
            return rate_is_the_loss(entry) if entry.number < 4 else (outcome, None)

        played = Played(problem(eta=3), fate=fate)
        played.request(Asha(), 9)
        played.end_all()
        proposals = played.request(Asha(), 5)
        parents = [each.labels.get(CHECKPOINT_FROM_LABEL) for each in proposals]
        assert sum(parent is not None for parent in parents) == promotions
        assert set(parents) <= {"trial-0", "trial-1", "trial-2", "trial-3", None}


def test_when_all_trials_fail_new_ones_follow() -> None:
    def fails(entry: Entry) -> tuple[Outcome, float | None]:
        return Outcome.FAILED, None

    played = Played(problem(eta=3, limit=30), fate=fails).run(Asha)
    assert played.counts() == {0: [(30, 1)]}


def test_the_amounts_go_from_r_max_down_to_at_least_r_min() -> None:
    posed = problem(RATE, epochs(min="1", max="200"), eta=4, r_min=2, r_max=100, limit=200)
    played = Played(posed, parallel=8).run(Asha)
    assert [amount for _, amount in played.counts()[0]] == [6, 25, 100]
    bounds = Played(problem(RATE, epochs(min="3", max="30"), eta=3, limit=100)).run(Asha)
    assert [amount for _, amount in bounds.counts()[0]] == [3, 10, 30]


def test_new_configurations_are_spread_over_brackets_as_hyperband_spreads_them() -> None:
    played = Played(problem(eta=3, brackets=3, limit=300), parallel=10).run(Asha)
    first = {bracket: rungs[0] for bracket, rungs in played.counts().items()}
    assert [amount for _, amount in first.values()] == [1, 3, 9]
    started = [count for count, _ in first.values()]
    assert [round(17 * count / sum(started)) for count in started] == [9, 5, 3]


def test_a_finite_space_ends_with_its_best_at_the_top() -> None:
    depth = parameter("rate", ParameterType.INT, min="1", max="6")
    played = Played(problem(depth, OPTIMIZER, NINE_EPOCHS, eta=3), parallel=4).run(Asha)
    assert played.is_exhausted
    played.must_promote_once_each()
    assert played.counts() == {0: [(12, 1), (4, 3), (1, 9)]}
    assert played.entries[-1].assignment["rate"] == 1
    assert len({tuple(each.assignment.items()) for each in played.proposals}) == len(played.proposals)


def test_at_the_end_of_a_small_space_the_best_is_taken_to_the_top_step_by_step() -> None:
    played = Played(problem(OPTIMIZER, epochs(min="1", max="27"), eta=3), parallel=2)
    played.fate = lambda entry: (Outcome.SUCCEEDED, float(entry.assignment["optimizer"] == "sgd"))
    played.run(Asha)
    assert [amount for _, amount in played.counts()[0]] == [1, 3, 9, 27]
    assert played.entries[-1].assignment == {"optimizer": "adam", "epochs": 27}


def test_configurations_of_deleted_trials_are_not_numbered_again() -> None:
    played = Played(problem(eta=3))
    played.request(Asha(), 6)
    del played.entries[2:]
    played.request(Asha(), 4)
    places = [place_of(entry) for entry in played.entries]
    assert [place.configuration for place in places if place] == [0, 1, 6, 7, 8, 9]
    assert Counter(entry.assignment["rate"] for entry in played.entries).most_common(1)[0][1] == 1


@pytest.mark.parametrize(
    ("written", "fragments"),
    [
        ({"eta": "1"}, ("eta", "at least 2", "'1'")),
        ({"brackets": "0"}, ("brackets", "at least 1", "'0'")),
        ({"brackets": "4"}, ("brackets", "at most 3", "got 4")),
        ({"r_min": "10"}, ("r_min", "at most r_max (9)", "10")),
        ({"r_max": "0"}, ("r_max", "above 0", "'0'")),
        ({"resource_name": "optimizer"}, ("resource_name", "'optimizer'", "categorical")),
        ({"resource_name": "rate"}, ("r_min must be given", "rate")),
    ],
)
def test_a_bad_setting_is_named_with_rule_and_value(
    written: dict[str, object], fragments: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidSettings) as refused:
        check(Asha(), problem(RATE, OPTIMIZER, NINE_EPOCHS, limit=None, **written))
    missing = [fragment for fragment in fragments if fragment not in str(refused.value)]
    assert not missing, str(refused.value)
