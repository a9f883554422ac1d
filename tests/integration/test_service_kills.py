"""Sixty trials of each algorithm, with the one service of them all killed between requests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from katibpy.algo.algorithm import Proposal
from katibpy.api.lineage import CHECKPOINT_FROM_LABEL, CHECKPOINT_PATH_SETTING
from katibpy.api.model import NameValue
from katibpy.core.endpoints import Endpoint
from katibpy.core.phases import TrialPhase
from katibpy.core.records import TrialRecord
from katibpy.launchers.child_process import ChildProcessLauncher
from katibpy.launchers.in_process import DirectGateway
from katibpy.ports import SuggestionGateway
from katibpy.rpc.suggestion_gateway import GrpcSuggestionGateway
from tests.unit.rpc.parts import Ledger, call, experiment

TRIALS = 60


def number(name: str, kind: str, lowest: str, highest: str, **more: str) -> dict[str, Any]:
    return {"name": name, "parameterType": kind, "feasibleSpace": {"min": lowest, "max": highest, **more}}


RATE = number("lr", "double", "0", "1")
EPOCHS = number("epochs", "int", "1", "9")
MOMENTUM = number("momentum", "double", "0", "0.9")
LEVEL = number("lr", "double", "0.05", "0.95", step="0.05")
KIND = {"name": "kind", "parameterType": "categorical", "feasibleSpace": {"list": ["a", "b", "c", "d"]}}

BY_RUNGS: Mapping[str, Any] = {"settings": {"resource_name": "epochs"}, "parameters": [RATE, EPOCHS]}
POPULATION = {CHECKPOINT_PATH_SETTING: "/checkpoints", "n_population": "8", "truncation_threshold": "0.25"}

SPECS: Mapping[str, Mapping[str, Any]] = {
    "random": {"parameters": [LEVEL, KIND]},
    "grid": {"parameters": [LEVEL, KIND]},
    "sobol": {"parameters": [RATE, KIND]},
    "cmaes": {"parameters": [RATE, MOMENTUM]},
    "hyperband": BY_RUNGS,
    "asha": BY_RUNGS,
    "bohb": BY_RUNGS,
    "pbt": {"settings": POPULATION, "parameters": [RATE, MOMENTUM]},
    "tpe": {"settings": {"n_startup_trials": "4"}, "parameters": [LEVEL, KIND]},
    "multivariate-tpe": {"parameters": [RATE, KIND]},
}

PROMOTING = ("hyperband", "asha", "bohb", "pbt")
"""Those whose trials train on."""


class Replaceable:
    """A launcher whose service can be killed as often as wanted, and is started anew without a pause."""

    def __init__(self, folder: Path) -> None:
        self.kills = 0
        self._folder = folder
        self._launcher = ChildProcessLauncher(folder)

    def endpoint(self, algorithm_name: str, *, timeout_seconds: float, experiment_uid: str = "") -> Endpoint:
        return self._launcher.endpoint(algorithm_name, timeout_seconds=timeout_seconds)

    def release(self, experiment_uid: str) -> None:
        self._launcher.release(experiment_uid)

    def kill(self) -> None:
        assert self._launcher.pid is not None
        os.kill(self._launcher.pid, signal.SIGKILL)
        self.kills += 1
        # The launcher itself would wait, longer each time, before it starts what dies so often.
        self._launcher.close()
        self._launcher = ChildProcessLauncher(self._folder)

    def close(self) -> None:
        self._launcher.close()


@contextmanager
def served(folder: Path) -> Iterator[tuple[Replaceable, GrpcSuggestionGateway]]:
    launcher = Replaceable(folder)
    gateway = GrpcSuggestionGateway(launcher)
    try:
        yield launcher, gateway
    finally:
        gateway.close()
        launcher.close()


def put(ledger: Ledger, number: int, proposed: Proposal, *, has_ended: bool) -> None:
    """A trial that still runs, or whose loss is its rate; every seventh fails."""
    failed = number % 7 == 3
    phase = TrialPhase.FAILED if failed else TrialPhase.SUCCEEDED
    record = TrialRecord(
        name=proposed.trial_name or f"trial-{number}",
        uid=f"uid-{number}",
        number=number,
        assignments=tuple(NameValue(name=key, value=text) for key, text in proposed.assignment.items()),
        labels=dict(proposed.labels),
        phase=phase if has_ended else TrialPhase.RUNNING,
        metrics=(NameValue(name="loss", value=proposed.assignment["lr"]),)
        if has_ended and not failed
        else (),
    )
    ledger.records[record.name] = record
    ledger.log.append(record.name)


def sixty_trials(gateway: SuggestionGateway, algorithm: str) -> Iterator[list[Proposal]]:
    """All proposals so far after each request of a run in which four trials run at once.

    The two oldest end between two requests.
    """
    of = experiment(
        algorithm, uid=f"uid-of-{algorithm}", seed=4, maxTrialCount=TRIALS, **dict(SPECS[algorithm])
    )
    ledger, proposals, running, memory = Ledger(), list[Proposal](), list[int](), None
    while len(proposals) < TRIALS:
        count = min(4 - len(running), TRIALS - len(proposals))
        total = len(proposals) + count
        reply = gateway.suggest(call(of, ledger, count=count, total=total, memory=memory, seconds=30))
        memory = memory if reply.memory is None else reply.memory
        for proposed in reply.proposals:
            running.append(len(proposals))
            put(ledger, len(proposals), proposed, has_ended=False)
            proposals.append(proposed)
        assert running, "it waits for results, and there are none to come"
        ended, running = running[:2], running[2:]
        for each in ended:
            put(ledger, each, proposals[each], has_ended=True)
        yield proposals


@pytest.mark.parametrize(
    "rounds_between_kills",
    [5, pytest.param(1, marks=[pytest.mark.soak, pytest.mark.timeout(600)])],
)
def test_killing_the_service_between_requests_changes_no_proposal(
    tmp_path: Path, rounds_between_kills: int
) -> None:
    undisturbed = {name: list(sixty_trials(DirectGateway(), name))[-1] for name in SPECS}
    for name, proposals in undisturbed.items():
        assert len(proposals) == TRIALS
        promoted = sum(CHECKPOINT_FROM_LABEL in proposed.labels for proposed in proposals)
        assert promoted >= 10 if name in PROMOTING else promoted == 0
    with served(tmp_path) as (launcher, gateway):
        # One service answers for all in turn.
        runs = [sixty_trials(gateway, name) for name in SPECS]
        replies = {name: next(run) for name, run in zip(SPECS, runs, strict=True)}
        rounds = 1
        launcher.kill()
        for _ in zip_longest(*runs):
            rounds += 1
            if rounds % rounds_between_kills == 0:
                launcher.kill()
        assert launcher.kills >= rounds // rounds_between_kills
    assert replies == undisturbed
    assert rounds >= TRIALS / 4
