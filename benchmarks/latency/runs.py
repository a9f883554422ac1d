"""Runs of one algorithm behind a real service: histories that grow, and requests."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from katibpy.algo.algorithm import Proposal, Reply
from katibpy.api.experiment import Experiment
from katibpy.api.model import NameValue
from katibpy.core.phases import TrialPhase
from katibpy.core.records import HistoryDelta, TrialRecord
from katibpy.launchers.child_process import ChildProcessLauncher
from katibpy.ports import SuggestionCall, SuggestionGateway
from katibpy.rpc.suggestion_gateway import GrpcSuggestionGateway
from katibpy.testing import builders as build
from latency.landscapes import Terrain

_TIMEOUT_SECONDS = 600.0


@contextmanager
def served() -> Iterator[SuggestionGateway]:
    """A gateway to a real algorithm service, a child process on a Unix socket."""
    with tempfile.TemporaryDirectory() as folder:
        launcher = ChildProcessLauncher(Path(folder))
        gateway = GrpcSuggestionGateway(launcher)
        try:
            yield gateway
        finally:
            gateway.close()
            launcher.close()


@dataclass
class GrowingHistory:
    """A history to which finished trials are added; tells what is new since a token."""

    records: list[TrialRecord] = field(default_factory=list)

    def add(self, proposal: Proposal, loss: float) -> None:
        """One more finished trial, which took a second."""
        number = len(self.records)
        self.records.append(
            TrialRecord(
                name=proposal.trial_name or f"trial-{number}",
                uid=f"uid-{number}",
                number=number,
                assignments=tuple(
                    NameValue(name=name, value=text) for name, text in proposal.assignment.items()
                ),
                labels=proposal.labels,
                phase=TrialPhase.SUCCEEDED,
                metrics=(NameValue(name="loss", value=str(loss)),),
                start_time=build.moment(number),
                completion_time=build.moment(number + 1),
            )
        )

    def read(self, since: str | None) -> HistoryDelta:
        """What a store would say."""
        base = 0 if since is None else int(since)
        size = len(self.records)
        return HistoryDelta(token=str(size), base=since, records=tuple(self.records[base:]), size=size)


class Run:
    """One Experiment, whose trials end as soon as they begin.

    Attributes:
        history: its trials.
    """

    def __init__(self, gateway: SuggestionGateway, experiment: Experiment, terrain: Terrain) -> None:
        self._gateway, self._experiment, self._terrain = gateway, experiment, terrain
        self._memory: bytes | None = None
        self.history = GrowingHistory()

    def add(self, assignment: Mapping[str, object], loss: float) -> None:
        """A trial that the algorithm has not proposed."""
        texts = self._terrain.space.format_assignment(assignment)  # type: ignore[arg-type]
        self.history.add(Proposal(texts), loss)

    def play(self, count: int) -> bool:
        """Takes over that many proposals, with losses; whether there were any."""
        return bool(self.take_over(self.ask(count)[1]))

    def ask(self, count: int) -> tuple[float, Reply]:
        """Seconds that a request takes, and what came back."""
        call = SuggestionCall(
            experiment=self._experiment,
            history=self.history,
            count=count,
            total=len(self.history.records) + count,
            memory=self._memory,
            timeout_seconds=_TIMEOUT_SECONDS,
        )
        before = time.perf_counter()
        reply = self._gateway.suggest(call)
        return time.perf_counter() - before, reply

    def take_over(self, reply: Reply) -> int:
        """The proposals end with their losses; how many there were."""
        self._memory = self._memory if reply.memory is None else reply.memory
        for proposal in reply.proposals:
            assignment = self._terrain.space.parse_assignment(proposal.assignment)
            self.history.add(proposal, self._terrain.loss(assignment))
        return len(reply.proposals)

    def wire(self) -> float:
        """Seconds of a call with the whole Experiment and next to no work."""
        before = time.perf_counter()
        self._gateway.validate(self._experiment, timeout_seconds=_TIMEOUT_SECONDS)
        return time.perf_counter() - before

    def restarted(self, experiment: Experiment) -> Run:
        """The same run for a service that knows nothing of it."""
        again = Run(self._gateway, experiment, self._terrain)
        again.history, again._memory = self.history, self._memory
        return again
