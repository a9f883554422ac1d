from __future__ import annotations

import pytest

from katibpy.algo.algorithm import Reads
from katibpy.algo.history import Outcome
from katibpy.core.phases import TrialPhase
from katibpy.errors import InvalidSettings, UnknownName
from katibpy.launchers.fixed import FixedLauncher
from katibpy.launchers.in_process import DirectGateway
from katibpy.rpc.suggestion_servicer import SuggestionServicer
from tests.unit.rpc.parts import Ledger, Scripted, call, experiment, finder, reaching, serving

SCRIPTED = experiment("scripted")


def test_histories_are_read_as_differences() -> None:
    algorithm, ledger = Scripted(), Ledger()
    gateway = DirectGateway(find_algorithm=finder(algorithm))
    ledger.put(0, loss="1")
    gateway.suggest(call(SCRIPTED, ledger))
    ledger.put(1, TrialPhase.RUNNING)
    ledger.remove(0)
    gateway.suggest(call(SCRIPTED, ledger))
    gateway.forget("uid-1")
    gateway.suggest(call(SCRIPTED, ledger))
    assert ledger.reads == [None, "1", None]
    assert [[entry.name for entry in history] for history in algorithm.shown] == [
        ["trial-0"],
        ["trial-1"],
        ["trial-1"],
    ]
    assert algorithm.shown[1].entries[0].outcome is Outcome.ACTIVE


def test_a_store_that_lost_its_place_is_read_whole() -> None:
    algorithm, ledger = Scripted(), Ledger()
    gateway = DirectGateway(find_algorithm=finder(algorithm))
    for number in range(3):
        ledger.put(number)
    gateway.suggest(call(SCRIPTED, ledger))
    # Records vanish without a word in the change log, as after a restore from a backup.
    del ledger.records["trial-0"]
    gateway.suggest(call(SCRIPTED, ledger))
    assert ledger.reads == [None, "3", None]
    assert len(algorithm.shown[1]) == 2


def test_an_algorithm_that_reads_nothing_leaves_the_store_alone() -> None:
    ledger = Ledger()
    DirectGateway(find_algorithm=finder(Scripted(Reads.NOTHING))).suggest(call(SCRIPTED, ledger, total=3))
    assert ledger.reads == []


def test_only_so_many_experiments_are_kept() -> None:
    algorithm, ledger = Scripted(), Ledger()
    gateway = DirectGateway(find_algorithm=finder(algorithm), experiment_limit=1)
    for uid in ("a", "a", "b", "a", ""):
        gateway.suggest(call(experiment("scripted", uid=uid), ledger))
    assert ledger.reads == [None, "0", None, None, None]


def test_settings_are_checked_also_when_they_change() -> None:
    gateway = DirectGateway()
    gateway.validate(experiment(), timeout_seconds=1)
    gateway.suggest(call(experiment()))
    wrong = experiment(settings={"random_state": "-1"})
    with pytest.raises(InvalidSettings, match="random_state"):
        gateway.validate(wrong, timeout_seconds=1)
    with pytest.raises(InvalidSettings, match="random_state"):
        gateway.suggest(call(wrong))
    with pytest.raises(InvalidSettings, match="did you mean 'random'"):
        gateway.validate(experiment("rndom"), timeout_seconds=1)


@pytest.mark.parametrize("algorithm", ["random", "grid", "sobol", "tpe"])
def test_a_service_gives_the_same_replies(algorithm: str) -> None:
    of = experiment(
        algorithm,
        seed=5,
        parameters=[
            {
                "name": "lr",
                "parameterType": "double",
                "feasibleSpace": {"min": "0.1", "max": "0.9", "step": "0.1"},
            },
            {"name": "kind", "parameterType": "categorical", "feasibleSpace": {"list": ["a", "b"]}},
        ],
    )
    ledger, direct = Ledger(), DirectGateway()
    with serving(SuggestionServicer()) as address, reaching(address) as gateway:
        for number in range(0, 14, 2):
            request = call(of, ledger, total=number + 2)
            reply = direct.suggest(request)
            assert gateway.suggest(request) == reply
            for place, proposal in enumerate(reply.proposals):
                ledger.put(number + place, loss=str(number * 0.1), lr=proposal.assignment["lr"])


def test_services_of_others_are_where_they_are_said_to_be() -> None:
    launcher = FixedLauncher({"mine": "10.0.0.1:6789"})
    assert launcher.endpoint("mine", timeout_seconds=1).address == "10.0.0.1:6789"
    with pytest.raises(UnknownName, match="did you mean 'mine'"):
        launcher.endpoint("mime", timeout_seconds=1)
    assert FixedLauncher({}, otherwise="x:1").endpoint("any", timeout_seconds=1).address == "x:1"
    launcher.close()
