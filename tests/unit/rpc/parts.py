"""What tests of the wire are put together from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from katibpy.algo.algorithm import Algorithm, Proposal, Reads, Reply
from katibpy.algo.cancellation import stop_if_cancelled
from katibpy.algo.history import History
from katibpy.algo.problem import Problem
from katibpy.api.experiment import Experiment
from katibpy.api.model import NameValue
from katibpy.core.phases import TrialPhase
from katibpy.core.records import HistoryDelta, TrialRecord
from katibpy.errors import UnknownName
from katibpy.launchers.fixed import FixedLauncher
from katibpy.ports import SuggestionCall
from katibpy.rpc.server import ServiceServer
from katibpy.rpc.suggestion_gateway import GrpcSuggestionGateway
from katibpy.rpc.suggestion_servicer import SuggestionServicer


def experiment(algorithm: str = "random", *, uid: str = "uid-1", **spec: Any) -> Experiment:
    """An Experiment over one double and one categorical parameter."""
    settings = spec.pop("settings", {})
    usual = {
        "objective": {"type": "minimize", "objectiveMetricName": "loss"},
        "algorithm": {
            "algorithmName": algorithm,
            "algorithmSettings": [{"name": name, "value": value} for name, value in settings.items()],
        },
        "parameters": [
            {"name": "lr", "parameterType": "double", "feasibleSpace": {"min": "0.01", "max": "1"}},
            {"name": "kind", "parameterType": "categorical", "feasibleSpace": {"list": ["a", "b"]}},
        ],
        "parallelTrialCount": 3,
        "maxTrialCount": 12,
    }
    return Experiment.model_validate({"metadata": {"name": "tuned", "uid": uid}, "spec": usual | spec})


class Ledger:
    """A history source like a store's: tokens count changes, and what is read is noted."""

    def __init__(self) -> None:
        self.records: dict[str, TrialRecord] = {}
        self.log: list[str] = []
        self.reads: list[str | None] = []

    def put(
        self,
        number: int,
        phase: TrialPhase | None = TrialPhase.SUCCEEDED,
        *,
        loss: str | None = None,
        lr: str = "0.5",
    ) -> TrialRecord:
        """Adds or changes a record."""
        record = TrialRecord(
            name=f"trial-{number}",
            uid="" if phase is None else f"uid-{number}",
            number=number,
            assignments=(NameValue(name="lr", value=lr), NameValue(name="kind", value="a")),
            labels={},
            phase=phase,
            metrics=() if loss is None else (NameValue(name="loss", value=loss),),
        )
        self.records[record.name] = record
        self.log.append(record.name)
        return record

    def remove(self, number: int) -> None:
        """Takes a record out."""
        del self.records[f"trial-{number}"]
        self.log.append(f"trial-{number}")

    def read(self, since: str | None) -> HistoryDelta:
        """What changed since the token."""
        self.reads.append(since)
        place = int(since) if since is not None and since.isdigit() else None
        names = self.records if place is None else dict.fromkeys(self.log[place:])
        changed = (self.records[name] for name in names if name in self.records)
        return HistoryDelta(
            token=str(len(self.log)),
            base=None if place is None else since,
            records=tuple(sorted(changed, key=lambda record: record.number)),
            removed=() if place is None else tuple(name for name in names if name not in self.records),
            size=len(self.records),
        )


@dataclass(frozen=True, slots=True)
class NoSettings:
    """Nothing to set."""


class Scripted(Algorithm):
    """Notes what it is shown and answers as it is told."""

    name = "scripted"
    summary = "for tests"
    Settings = NoSettings

    def __init__(self, reads: Reads = Reads.ALL, answer: Callable[[int], Reply] | None = None) -> None:
        self.shown: list[History] = []
        self.memories: list[bytes | None] = []
        self._reads = reads
        self._answer = answer or usual_reply

    def reads(self, problem: Problem) -> Reads:
        return self._reads

    def suggest(
        self,
        problem: Problem,
        history: History,
        *,
        count: int,
        memory: bytes | None,
        rng: np.random.Generator,
    ) -> Reply:
        self.shown.append(history)
        self.memories.append(memory)
        return self._answer(count)


class Endless(Algorithm):
    """Works until nobody waits for it."""

    name = "endless"
    summary = "for tests"
    Settings = NoSettings

    def __init__(self) -> None:
        self.began = threading.Event()
        self.ended = threading.Event()

    def suggest(
        self,
        problem: Problem,
        history: History,
        *,
        count: int,
        memory: bytes | None,
        rng: np.random.Generator,
    ) -> Reply:
        self.began.set()
        pause = threading.Event()
        try:
            while True:
                stop_if_cancelled()
                pause.wait(0.01)
        finally:
            self.ended.set()


def usual_reply(count: int) -> Reply:
    """As many proposals as were asked for, always the same."""
    return Reply(tuple(Proposal({"lr": f"{0.5 + place / 1e6:g}", "kind": "a"}) for place in range(count)))


def finder(*algorithms: Algorithm) -> Callable[[str], Algorithm]:
    """Finds the algorithms given, by name."""
    table: Mapping[str, Algorithm] = {algorithm.name: algorithm for algorithm in algorithms}

    def find(name: str) -> Algorithm:
        if name not in table:
            raise UnknownName(f"there is no algorithm {name!r}")
        return table[name]

    return find


@contextmanager
def serving(servicer: SuggestionServicer) -> Iterator[str]:
    """Serves on loopback and gives the address."""
    with ServiceServer(servicer.handlers()) as server:
        yield server.address


@contextmanager
def reaching(address: str) -> Iterator[GrpcSuggestionGateway]:
    """A gateway to whoever listens at the address."""
    gateway = GrpcSuggestionGateway(FixedLauncher({}, otherwise=address))
    try:
        yield gateway
    finally:
        gateway.close()


def call(
    of: Experiment,
    history: Ledger | None = None,
    *,
    count: int = 2,
    total: int | None = None,
    memory: bytes | None = None,
    seconds: float = 4.0,
) -> SuggestionCall:
    """A request for proposals."""
    source = history or Ledger()
    made = len(source.records) + count if total is None else total
    return SuggestionCall(
        experiment=of, history=source, count=count, total=made, memory=memory, timeout_seconds=seconds
    )
