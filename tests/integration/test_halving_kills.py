"""Sixty trials of Hyperband, ASHA and BOHB, with the algorithm service killed between requests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from katibpy.algo.algorithm import Proposal
from katibpy.api.lineage import CHECKPOINT_FROM_LABEL
from katibpy.api.model import NameValue
from katibpy.core.phases import TrialPhase
from katibpy.core.records import TrialRecord
from katibpy.launchers.child_process import ChildProcessLauncher
from katibpy.launchers.in_process import DirectGateway
from katibpy.ports import SuggestionGateway
from katibpy.rpc.suggestion_gateway import GrpcSuggestionGateway
from tests.unit.rpc.parts import Ledger, call, experiment

ALGORITHMS = ("hyperband", "asha", "bohb")
TRIALS = 60
EPOCHS = {"name": "epochs", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "9"}}
RATE = {"name": "lr", "parameterType": "double", "feasibleSpace": {"min": "0", "max": "1"}}


def put(ledger: Ledger, number: int, proposed: Proposal, *, has_ended: bool) -> None:
    """A trial that still runs, or whose loss is its rate; every seventh fails."""
    failed = number % 7 == 3
    phase = TrialPhase.FAILED if failed else TrialPhase.SUCCEEDED
    record = TrialRecord(
        name=f"trial-{number}",
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
        algorithm,
        uid=f"uid-of-{algorithm}",
        seed=4,
        settings={"resource_name": "epochs"},
        parameters=[RATE, EPOCHS],
        maxTrialCount=TRIALS,
    )
    ledger, proposals, running = Ledger(), list[Proposal](), list[int]()
    while len(proposals) < TRIALS:
        count = min(4 - len(running), TRIALS - len(proposals))
        reply = gateway.suggest(call(of, ledger, count=count, total=len(proposals) + count, seconds=30))
        assert reply.memory is None
        for proposed in reply.proposals:
            running.append(len(proposals))
            put(ledger, len(proposals), proposed, has_ended=False)
            proposals.append(proposed)
        ended, running = running[:2], running[2:]
        for number in ended:
            put(ledger, number, proposals[number], has_ended=True)
        yield proposals


def test_killing_the_service_between_requests_changes_no_proposal(tmp_path: Path) -> None:
    undisturbed = {name: list(sixty_trials(DirectGateway(), name))[-1] for name in ALGORITHMS}
    for proposals in undisturbed.values():
        assert sum(CHECKPOINT_FROM_LABEL in proposed.labels for proposed in proposals) >= 10
    launcher = ChildProcessLauncher(tmp_path)
    launcher.start()
    gateway = GrpcSuggestionGateway(launcher)
    victims = set[int]()
    try:
        # One service answers for all three in turn.
        runs = [sixty_trials(gateway, name) for name in ALGORITHMS]
        replies = {name: next(run) for name, run in zip(ALGORITHMS, runs, strict=True)}
        for request, _ in enumerate(zip_longest(*runs), start=1):
            if request in (1, 9, 17):
                assert launcher.pid is not None
                victims.add(launcher.pid)
                os.kill(launcher.pid, signal.SIGKILL)
    finally:
        gateway.close()
        launcher.close()
    assert replies == undisturbed
    assert len(victims) == 3
