from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katibpy.algo.algorithm import Reads
from katibpy.algo.history import Entry, Outcome
from katibpy.algo.merged_history import Entries, Line, MergedHistory
from katibpy.algo.posing import problem_of
from katibpy.algo.problem import Problem
from katibpy.api.experiment import Experiment
from katibpy.errors import InvalidSettings

LINES = st.builds(
    Line,
    name=st.integers(0, 600).map("trial-{}".format),
    number=st.integers(0, 600),
    outcome=st.sampled_from(Outcome),
    assignment=st.fixed_dictionaries({"x": st.sampled_from(["0.1", "0.2", "0.9", "7", "text"])}),
    metrics=st.dictionaries(
        st.sampled_from(["loss", "time"]), st.sampled_from(["1", "nan", "-inf", "1_0", ""])
    ),
)


def posed(kind: str = "minimize") -> Problem:
    return problem_of(
        Experiment.model_validate(
            {
                "metadata": {"name": "e", "uid": "u"},
                "spec": {
                    "objective": {"type": kind, "objectiveMetricName": "loss"},
                    "parameters": [
                        {"name": "x", "parameterType": "double", "feasibleSpace": {"min": "0", "max": "1"}}
                    ],
                },
            }
        )
    )


def line(number: int, **changes: object) -> Line:
    usual = Line(f"trial-{number}", number, Outcome.SUCCEEDED, {"x": "0.5"}, {"loss": "1.5"})
    return replace(usual, **changes)  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.lists(LINES, max_size=8), st.lists(LINES, max_size=3)), max_size=6))
def test_differences_give_what_the_whole_gives(steps: list[tuple[list[Line], list[Line]]]) -> None:
    merged = MergedHistory(posed())
    current: dict[str, Line] = {}
    for changed, gone in steps:
        removed = [each.name for each in gone]
        merged.merge(changed, removed=removed, token="t")
        for name in removed:
            current.pop(name, None)
        current |= {each.name: each for each in changed}
    whole = MergedHistory(posed())
    whole.replace(current.values(), token="t")
    for reads in Reads:
        left, right = merged.history(reads, total=9), whole.history(reads, total=9)
        assert repr(list(left)) == repr(list(right))
    everything = merged.history(Reads.ALL, total=9)
    assert [(entry.number, entry.name) for entry in everything] == sorted(
        (each.number, each.name) for each in current.values()
    )
    finished = list(merged.history(Reads.FINISHED, total=9))
    assert finished == list(everything.finished())
    assert len(merged) == len(current) == len(everything)


def test_an_earlier_history_stays_as_it_was() -> None:
    merged = MergedHistory(posed())
    merged.replace([line(n) for n in range(600)], token="a")
    before = merged.history(Reads.ALL, total=600)
    merged.merge([line(3, outcome=Outcome.FAILED), line(600)], removed=["trial-599"], token="b")
    assert len(before) == 600
    assert {entry.outcome for entry in before} == {Outcome.SUCCEEDED}
    assert before.token == "a"
    after = merged.history(Reads.ALL, total=601)
    assert (len(after), after.entries[3].outcome, after.entries[-1].name) == (
        600,
        Outcome.FAILED,
        "trial-600",
    )
    assert after.token == "b"


def test_entries_behave_like_a_tuple() -> None:
    entries = tuple(Entry(str(n), {}, Outcome.ACTIVE, number=n) for n in range(10))
    shared = Entries([entries[:3], entries[3:4], entries[4:]])
    assert list(shared) == list(entries)
    assert [shared[n] for n in range(-10, 10)] == [entries[n] for n in range(-10, 10)]
    assert shared[2:8:3] == entries[2:8:3]
    assert len(Entries()) == 0
    for index in (10, -11):
        with pytest.raises(IndexError):
            shared[index]


def test_an_assignment_is_parsed_once() -> None:
    merged = MergedHistory(posed())
    merged.replace([line(0, outcome=Outcome.ACTIVE)])
    first = merged.history(Reads.ALL, total=1).entries[0]
    merged.merge([line(0)])
    second = merged.history(Reads.ALL, total=1).entries[0]
    assert second.assignment is first.assignment
    merged.merge([line(0, assignment={"x": "0.25"})])
    assert merged.history(Reads.ALL, total=1).entries[0].assignment == {"x": 0.25}


@pytest.mark.parametrize(
    ("kind", "text", "loss"),
    [
        ("minimize", "2.5", 2.5),
        ("maximize", "2.5", -2.5),
        ("maximize", "inf", -math.inf),
        ("minimize", "unavailable", None),
        ("minimize", "1_000", None),
        ("minimize", "", None),
    ],
)
def test_the_loss_is_the_objective_with_its_sign_turned(kind: str, text: str, loss: float | None) -> None:
    merged = MergedHistory(posed(kind))
    merged.replace([line(0, metrics={"loss": text})])
    assert merged.history(Reads.ALL, total=1).entries[0].loss == loss


@pytest.mark.parametrize("kind", ["minimize", "maximize"])
def test_a_loss_that_is_not_a_number_is_kept(kind: str) -> None:
    merged = MergedHistory(posed(kind))
    merged.replace([line(0, metrics={"loss": "NaN"})])
    loss = merged.history(Reads.ALL, total=1).entries[0].loss
    assert loss is not None
    assert math.isnan(loss)


@pytest.mark.parametrize("outcome", Outcome)
def test_only_results_have_a_loss(outcome: Outcome) -> None:
    merged = MergedHistory(posed())
    merged.replace([line(0, outcome=outcome)])
    entry = merged.history(Reads.ALL, total=1).entries[0]
    has_result = outcome in (Outcome.SUCCEEDED, Outcome.EARLY_STOPPED)
    assert (entry.loss is not None, entry.metrics) == (has_result, {"loss": 1.5})


def test_what_lies_outside_the_space_is_left_out_but_stays_as_text() -> None:
    merged = MergedHistory(posed())
    merged.replace([line(0, assignment={"x": "7", "y": "1"})])
    entry = merged.history(Reads.ALL, total=1).entries[0]
    assert (entry.assignment, entry.raw) == ({}, {"x": "7", "y": "1"})


def test_a_far_number_costs_no_memory() -> None:
    merged = MergedHistory(posed())
    merged.replace([line(10**15), line(0)])
    assert [entry.number for entry in merged.history(Reads.ALL, total=2)] == [0, 10**15]


def test_a_history_suits_problems_of_the_same_space_and_objective() -> None:
    merged = MergedHistory(posed())
    assert merged.suits(posed())
    assert not merged.suits(posed("maximize"))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"seed": -1}, "spec.seed must be at least 0, got -1"),
        (
            {"parameters": [{"name": "x", "parameterType": "double", "feasibleSpace": {"min": "a"}}]},
            "make no search space",
        ),
        (
            {"parameters": [{"name": "x", "parameterType": "categorical", "feasibleSpace": {"list": []}}]},
            "parameter x has no value to choose from",
        ),
        (
            {
                "parameters": [
                    {"name": "x", "parameterType": "categorical", "feasibleSpace": {"list": ["a"]}},
                    {"name": "x", "parameterType": "categorical", "feasibleSpace": {"list": ["b"]}},
                ]
            },
            "different names, got x, x",
        ),
    ],
)
def test_what_no_algorithm_could_solve_is_refused(spec: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidSettings, match=said):
        problem_of(Experiment.model_validate({"metadata": {"name": "e"}, "spec": spec}))


def test_the_seed_follows_from_the_uid_unless_it_is_given() -> None:
    def seed(**metadata: str) -> int:
        return problem_of(Experiment.model_validate({"metadata": metadata})).seed

    assert seed(name="a", uid="1") == seed(name="b", uid="1")
    assert seed(name="a", uid="1") != seed(name="a", uid="2")
    assert seed(name="a") == seed(name="a")
    assert problem_of(Experiment.model_validate({"spec": {"seed": 7}})).seed == 7
