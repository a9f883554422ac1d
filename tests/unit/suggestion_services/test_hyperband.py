"""Hyperband: its brackets, what it makes of failures, how it fills its workers and when it ends."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from katibpy.algo.history import Entry, History, Outcome
from katibpy.algo.session import ask, check
from katibpy.api.experiment import ParameterSpec, ParameterType
from katibpy.api.lineage import CHECKPOINT_FROM_LABEL
from katibpy.errors import InvalidSettings
from katibpy.testing.algorithm_cases import parameter
from suggestion_services.hyperband import Hyperband
from tests.unit.suggestion_services.halving_runs import (
    NINE_EPOCHS,
    RATE,
    Fate,
    Played,
    every_fifth_fails,
    problem,
    rate_is_the_loss,
)

NINE = {0: [(9, 1), (3, 3), (1, 9)], 1: [(5, 3), (1, 9)], 2: [(3, 9)]}
OPTIMIZER = parameter("optimizer", ParameterType.CATEGORICAL, list=("sgd", "adam"))


def epochs(**feasible: str) -> ParameterSpec:
    return parameter("epochs", ParameterType.INT, **feasible)


@pytest.mark.parametrize("fate", [rate_is_the_loss, every_fifth_fails])
@pytest.mark.parametrize("parallel", [1, 2, 9, 40])
def test_with_r_l_9_and_eta_3_every_rung_of_every_bracket_has_its_count(parallel: int, fate: Fate) -> None:
    played = Played(problem(r_l=9, eta=3), parallel=parallel, fate=fate).run(Hyperband)
    assert played.counts() == NINE
    assert played.is_exhausted
    played.must_promote_once_each()
    failed = [entry for entry in played.entries if entry.loss is None or math.isnan(entry.loss)]
    assert bool(failed) == (fate is every_fifth_fails)


def test_the_counts_follow_the_paper() -> None:
    played = Played(problem(RATE, epochs(min="1", max="81"), eta=3), parallel=50).run(Hyperband)
    first = [rungs[0] for rungs in played.counts().values()]
    assert first == [(81, 1), (34, 3), (15, 9), (8, 27), (5, 81)]
    assert played.counts()[1] == [(34, 3), (11, 9), (3, 27), (1, 81)]


@settings(max_examples=25, deadline=None)
@given(
    eta=st.sampled_from((2, 2.5, 3, 4)),
    most=st.integers(1, 40),
    parallel=st.integers(1, 30),
    order=st.integers(0, 99),
    fate=st.sampled_from((rate_is_the_loss, every_fifth_fails)),
)
def test_whatever_the_settings_and_the_order_of_results_the_same_trials_are_run(
    eta: float, most: int, parallel: int, order: int, fate: Fate
) -> None:
    posed = problem(RATE, epochs(min="1", max=str(most)), eta=eta)
    played = Played(posed, parallel=parallel, order=order, fate=fate).run(Hyperband)
    played.must_promote_once_each()
    rungs = played.rungs()
    for (bracket, rung), entries in rungs.items():
        above = {entry.labels[CHECKPOINT_FROM_LABEL] for entry in rungs.get((bracket, rung + 1), ())}
        usable = [entry for entry in entries if entry.loss is not None and math.isfinite(entry.loss)]
        best = sorted(usable, key=lambda entry: entry.loss or 0.0)[: len(above)]
        assert above == {entry.name for entry in best}
        assert len(above) <= max(len(entries) / eta, 1)


def test_a_rung_waits_for_all_its_trials_and_the_next_bracket_begins_meanwhile() -> None:
    played = Played(problem(eta=3))
    algorithm = Hyperband()
    assert len(played.request(algorithm, 9)) == 9
    for place in range(8):
        played.end(place)
    (early,) = played.request(algorithm, 1)
    assert early.assignment["epochs"] == "3"
    assert CHECKPOINT_FROM_LABEL not in early.labels
    played.end(8)
    promoted = played.request(algorithm, 3)
    parents = [each.labels[CHECKPOINT_FROM_LABEL] for each in promoted]
    ranked = sorted(played.entries[:9], key=lambda entry: float(entry.assignment["rate"]))
    assert parents == [entry.name for entry in ranked[:3]]


def test_it_answers_short_while_it_has_to_wait() -> None:
    played = Played(problem(eta=3))
    assert len(played.request(Hyperband(), 100)) == 9 + 5 + 3
    assert not played.is_exhausted
    assert played.request(Hyperband(), 5) == ()
    assert not played.is_exhausted
    played.end_all()
    assert len(played.request(Hyperband(), 100)) == 3 + 1
    played.end_all()
    assert len(played.request(Hyperband(), 100)) == 1
    assert played.is_exhausted


def test_a_trial_limit_leaves_enough_for_the_promotions_of_brackets_that_have_begun() -> None:
    played = Played(problem(eta=3, limit=13), parallel=13).run(Hyperband)
    assert played.counts() == {0: NINE[0]}


def test_a_higher_trial_limit_is_met_with_further_rounds() -> None:
    played = Played(problem(eta=3, limit=22 + 13), parallel=3).run(Hyperband)
    assert played.counts() == {**NINE, 3: NINE[0]}
    assert len({entry.assignment["rate"] for entry in played.entries}) == 9 + 5 + 3 + 9


def test_katibs_example_runs_its_two_trials() -> None:
    posed = problem(RATE, OPTIMIZER, epochs(min="1", max="1"), eta=2, r_l=2, limit=2)
    played = Played(posed, parallel=2).run(Hyperband)
    assert played.counts() == {0: [(2, 1)]}


def test_it_says_what_is_planned_and_when_the_trial_limit_leaves_no_promotion() -> None:
    plan = "trials by epochs: 9 at 1 -> 3 at 3 -> 1 at 9; 5 at 3 -> 1 at 9; 3 at 9"
    for limit, is_warned in ((None, False), (10, False), (9, True), (4, True)):
        note = ask(Hyperband(), problem(eta=3, limit=limit), History(), count=1).note
        assert note.startswith(plan)
        assert ("None will be promoted" in note) == is_warned


def test_when_all_trials_fail_every_bracket_ends_with_its_first_rung() -> None:
    def fails(entry: Entry) -> tuple[Outcome, float | None]:
        return Outcome.FAILED, None

    played = Played(problem(eta=3), fate=fails).run(Hyperband)
    assert played.counts() == {0: [(9, 1)], 1: [(5, 3)], 2: [(3, 9)]}
    assert played.is_exhausted


@pytest.mark.parametrize(
    ("outcome", "loss"),
    [
        (Outcome.FAILED, None),
        (Outcome.FAILED, -1.0),
        (Outcome.KILLED, None),
        (Outcome.SUCCEEDED, None),
        (Outcome.SUCCEEDED, math.nan),
        (Outcome.SUCCEEDED, -math.inf),
        (Outcome.EARLY_STOPPED, None),
    ],
)
def test_what_has_no_usable_loss_is_never_promoted(outcome: Outcome, loss: float | None) -> None:
    def fate(entry: Entry) -> tuple[Outcome, float | None]:
        return (outcome, loss) if entry.number % 3 else rate_is_the_loss(entry)

    played = Played(problem(eta=3), fate=fate).run(Hyperband)
    played.must_promote_once_each()


def test_what_was_stopped_early_counts_with_what_it_showed() -> None:
    def fate(entry: Entry) -> tuple[Outcome, float | None]:
        return (Outcome.EARLY_STOPPED, -1.0) if entry.number == 4 else rate_is_the_loss(entry)

    played = Played(problem(eta=3), fate=fate).run(Hyperband)
    parents = [entry.labels.get(CHECKPOINT_FROM_LABEL) for entry in played.entries]
    assert "trial-4" in parents


@pytest.mark.parametrize(
    ("resource", "amounts"),
    [
        (parameter("epochs", ParameterType.INT, min="10", max="90", step="10"), [10, 30, 90]),
        (parameter("epochs", ParameterType.INT, min="0", max="9"), [1, 3, 9]),
        (parameter("epochs", ParameterType.INT, min="1", max="9", distribution="logUniform"), [1, 3, 9]),
        (parameter("epochs", ParameterType.DOUBLE, min="0.1", max="0.9"), [0.1, 0.3, 0.9]),
        (parameter("epochs", ParameterType.DOUBLE, min="0.25", max="1", step="0.25"), [0.25, 1.0]),
        (parameter("epochs", ParameterType.DOUBLE, min="0", max="9"), [1.0, 3.0, 9.0]),
        (parameter("epochs", ParameterType.DISCRETE, list=("0.5", "1e1", "2")), [2, 10.0]),
    ],
)
def test_a_resource_of_any_kind_keeps_to_its_own_values(
    resource: ParameterSpec, amounts: list[float]
) -> None:
    played = Played(problem(RATE, resource, eta=3)).run(Hyperband)
    got = [amount for _, amount in played.counts()[0]]
    assert [float(str(each)) for each in got] == pytest.approx(amounts)
    if resource.parameter_type == "discrete":
        assert {each.assignment["epochs"] for each in played.proposals} == {"2", "1e1"}


def test_amounts_beyond_the_parameters_range_are_cut_and_no_trial_is_run_twice() -> None:
    played = Played(problem(RATE, epochs(min="1", max="5"), r_l=9, eta=3)).run(Hyperband)
    assert played.counts() == {0: [(9, 1), (3, 3), (1, 5)], 1: [(5, 3), (1, 5)], 2: [(3, 5)]}
    played = Played(problem(RATE, epochs(min="1", max="3"), r_l=9, eta=3)).run(Hyperband)
    assert played.counts() == {0: [(9, 1), (3, 3)], 1: [(5, 3)], 2: [(3, 3)]}


def test_a_finite_space_starts_each_configuration_once_and_ends() -> None:
    depth = parameter("rate", ParameterType.INT, min="1", max="6")
    played = Played(problem(depth, OPTIMIZER, NINE_EPOCHS, eta=3, limit=1000)).run(Hyperband)
    assert played.counts() == {0: [(9, 1), (3, 3), (1, 9)], 1: [(3, 3), (1, 9)]}
    assert played.is_exhausted
    assert len({tuple(each.assignment.items()) for each in played.proposals}) == len(played.proposals)


def test_trials_of_a_deleted_bracket_do_not_stop_the_search() -> None:
    played = Played(problem(eta=3, limit=30), parallel=4)
    played.request(Hyperband(), 9)
    played.end_all()
    played.request(Hyperband(), 3)
    del played.entries[2:10]
    played.end_all()
    played.run(Hyperband)
    assert len(played.entries) == 30


@pytest.mark.parametrize("parallel", [1, 5])
def test_a_restart_between_any_two_requests_changes_nothing(parallel: int) -> None:
    posed = problem(RATE, epochs(min="1", max="27"), eta=3, limit=60)
    one = Hyperband()
    kept = Played(posed, parallel=parallel, fate=every_fifth_fails).run(lambda: one)
    anew = Played(posed, parallel=parallel, fate=every_fifth_fails).run(Hyperband)
    assert len(kept.proposals) == 60
    assert kept.proposals == anew.proposals


@pytest.mark.parametrize(
    ("written", "fragments"),
    [
        ({"r_l": "0"}, ("r_l", "above 0", "'0'")),
        ({"r_l": "nan"}, ("r_l", "'nan'")),
        ({"eta": "1"}, ("eta", "at least 2", "'1'")),
        ({"eta": "0"}, ("eta", "at least 2", "'0'")),
        ({"resource_name": "epoch"}, ("resource_name", "'epoch'", "did you mean epochs?")),
        ({"resource_name": "optimizer"}, ("resource_name", "'optimizer'", "categorical")),
        ({"r_min": "10"}, ("r_min", "at most r_l (9)", "10")),
        ({"resource_name": "rate", "r_l": "1"}, ("r_min must be given", "rate")),
        ({"r_1": "9"}, ("r_1", "did you mean")),
    ],
)
def test_a_bad_setting_is_named_with_rule_and_value(
    written: dict[str, object], fragments: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidSettings) as refused:
        check(Hyperband(), problem(RATE, OPTIMIZER, NINE_EPOCHS, limit=None, **written))
    missing = [fragment for fragment in fragments if fragment not in str(refused.value)]
    assert not missing, str(refused.value)


def test_a_resource_alone_is_nothing_to_search_and_one_below_zero_is_none() -> None:
    with pytest.raises(InvalidSettings, match="nothing to search"):
        check(Hyperband(), problem(NINE_EPOCHS))
    with pytest.raises(InvalidSettings, match=r"epochs.*must have values above 0"):
        check(Hyperband(), problem(RATE, epochs(min="-5", max="0")))
    with pytest.raises(InvalidSettings, match="resource_name must be given"):
        check(Hyperband(), dataclasses.replace(problem(), settings={"eta": "3"}))


def test_katibs_settings_may_be_written_as_katib_takes_them() -> None:
    check(Hyperband(), problem(r_l="9.0", eta="3.0"))
    assert Played(problem(r_l="9.0", eta="3.0")).run(Hyperband).counts() == NINE
