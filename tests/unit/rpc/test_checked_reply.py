from __future__ import annotations

import pytest

from katibpy.algo.algorithm import Proposal, Reply
from katibpy.api.experiment import Experiment
from katibpy.errors import BadReply
from katibpy.rpc.checked_reply import checked_reply
from tests.unit.rpc.parts import experiment

FULL = {"lr": "0.5", "kind": "a"}
OTHER = {"lr": "0.25", "kind": "a"}


@pytest.mark.parametrize(
    ("proposals", "exactly", "said"),
    [
        ([FULL, OTHER, {"lr": "0.1", "kind": "a"}], False, "at most 2 proposals, got 3"),
        ([FULL], True, "exactly 2 proposals, got 1"),
        ([FULL, {"lr": "0.5"}], False, "proposal 1: parameter kind is missing"),
        ([FULL | {"width": "3"}], False, "proposal 0: there is no parameter width"),
        ([FULL | {"lr": "1.5"}], False, "proposal 0: parameter lr must be from 0.01 to 1, got '1.5'"),
        ([FULL | {"lr": "nan"}], False, "parameter lr must be a finite number, got 'nan'"),
        ([FULL | {"lr": "0,5"}], False, "parameter lr must be a finite number, got '0,5'"),
        ([FULL | {"lr": "1e999999999"}], False, "parameter lr must be a finite number"),
        ([FULL | {"kind": "c"}], False, "parameter kind must be one of 'a', 'b', got 'c'"),
        ([FULL, FULL], False, "proposals 0 and 1 are equal: lr=0.5 kind=a"),
        ([{}, {}], False, r"proposal 0: parameter lr is missing.*proposal 1: parameter lr is missing"),
    ],
)
def test_a_reply_that_breaks_the_contract_says_how(
    proposals: list[dict[str, str]], exactly: bool, said: str
) -> None:
    reply = Reply(tuple(map(Proposal, proposals)))
    with pytest.raises(BadReply, match=said):
        checked_reply(reply, experiment(), wanted=2, exactly=exactly)


def test_two_proposals_may_not_share_a_trial_name() -> None:
    reply = Reply((Proposal(FULL, "t"), Proposal(FULL, "t")))
    with pytest.raises(BadReply, match="proposals 0 and 1 have one trial name, t"):
        checked_reply(reply, experiment(), wanted=2, exactly=True)


@pytest.mark.parametrize("name", ["../../etc", "Trial", "a b", "-a", "a" * 64, ""])
def test_a_trial_name_must_be_one_that_files_and_kubernetes_can_have(name: str) -> None:
    reply = Reply((Proposal(FULL, name),))
    with pytest.raises(BadReply, match="trial name must be up to 63"):
        checked_reply(reply, experiment(), wanted=1, exactly=True)


@pytest.mark.parametrize(
    "proposals",
    [
        (Proposal(FULL, "one"), Proposal(FULL, "two")),
        (Proposal(FULL, labels={"replicate": "1"}), Proposal(FULL, labels={"replicate": "2"})),
    ],
    ids=["by-name", "by-label"],
)
def test_equal_assignments_are_fine_when_they_are_told_apart(proposals: tuple[Proposal, ...]) -> None:
    reply = Reply(proposals)
    assert checked_reply(reply, experiment(), wanted=2, exactly=True) == reply


def _small() -> Experiment:
    small = {"name": "kind", "parameterType": "categorical", "feasibleSpace": {"list": ["a", "b"]}}
    return experiment(parameters=[small])


def test_more_proposals_than_there_are_assignments_may_repeat() -> None:
    reply = Reply((Proposal({"kind": "a"}),) * 3)
    assert len(checked_reply(reply, _small(), wanted=3, exactly=True).proposals) == 3


def test_values_are_spelt_as_the_user_writes_them() -> None:
    parameters = [
        {"name": "n", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "9", "step": "2"}},
        {"name": "w", "parameterType": "discrete", "feasibleSpace": {"list": ["8.0", "16"]}},
        {"name": "r", "parameterType": "double", "feasibleSpace": {"min": "0", "max": "1", "step": "0.1"}},
    ]
    reply = Reply((Proposal({"n": "4.0", "w": "8", "r": "0.30000000000000004"}),))
    checked = checked_reply(reply, experiment(parameters=parameters), wanted=1, exactly=True)
    assert checked.proposals[0].assignment == {"n": "4", "w": "8.0", "r": "0.30000000000000004"}


def test_an_int_must_be_whole() -> None:
    parameters = [{"name": "n", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "9"}}]
    with pytest.raises(BadReply, match=r"parameter n must be a whole number, got '1\.5'"):
        checked_reply(
            Reply((Proposal({"n": "1.5"}),)), experiment(parameters=parameters), wanted=1, exactly=True
        )


def test_an_architecture_may_have_parameters_that_the_spec_does_not_name() -> None:
    searched = experiment(nasConfig={"graphConfig": {"numLayers": 1}}, parameters=[])
    reply = Reply((Proposal({"architecture": "[]"}),))
    assert checked_reply(reply, searched, wanted=1, exactly=True) == reply
