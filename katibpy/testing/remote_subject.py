"""An algorithm behind gRPC, as the algorithm suite asks it."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from katibpy.algo.algorithm import Reply
from katibpy.algo.history import Outcome
from katibpy.algo.merged_history import Line
from katibpy.algo.settings import SettingRow
from katibpy.api.experiment import Experiment, ParameterSpec
from katibpy.api.model import NameValue
from katibpy.core.phases import TrialPhase
from katibpy.core.records import HistoryDelta, TrialRecord
from katibpy.errors import BadReply
from katibpy.ports import SuggestionCall
from katibpy.rpc.suggestion_gateway import GrpcSuggestionGateway
from katibpy.testing.algorithm_subject import BrokenPromiseError, NotApplicableError, Question

_PHASES = {
    Outcome.PROPOSED: None,
    Outcome.ACTIVE: TrialPhase.RUNNING,
    Outcome.SUCCEEDED: TrialPhase.SUCCEEDED,
    Outcome.EARLY_STOPPED: TrialPhase.EARLY_STOPPED,
    Outcome.FAILED: TrialPhase.FAILED,
    Outcome.KILLED: TrialPhase.KILLED,
}
_LIVES = itertools.count()


@dataclass(frozen=True)
class RemoteSubject:
    """A service that answers for one algorithm.

    Attributes:
        name: what Experiments call the algorithm.
        gateway: reaches the service.
        settings: see `Subject`.
        said_to_learn: what its author says of `learns`; None for nothing.
        repeats: see `Subject`; what its author says.
        call_seconds: how long one call may take.
        parameters: see `Subject`.
        life: unlike that of any other subject, so that the service can take nothing for known.
    """

    name: str
    gateway: GrpcSuggestionGateway
    settings: Mapping[str, str] = field(default_factory=dict)
    said_to_learn: bool | None = None
    repeats: bool = False
    call_seconds: float = 20.0
    parameters: tuple[ParameterSpec, ...] = ()
    life: int = field(default_factory=lambda: next(_LIVES))

    @property
    def learns(self) -> bool:
        """What its author says.

        Raises:
            NotApplicableError: that is nothing.
        """
        if self.said_to_learn is None:
            raise NotApplicableError("whether it learns from results is not known: --learns or --no-learns")
        return self.said_to_learn

    @property
    def described(self) -> tuple[SettingRow, ...]:
        """Nothing: the wire does not tell settings."""
        return ()

    def check(self, experiment: Experiment) -> None:
        """Asks the service."""
        self.gateway.validate(self._own(experiment), timeout_seconds=self.call_seconds)

    def suggest(self, question: Question) -> Reply:
        """Asks the service, with all of the history."""
        call = SuggestionCall(
            experiment=self._own(question.experiment),
            history=_WholeHistory(question.lines),
            count=question.count,
            total=question.made + question.count,
            memory=question.memory,
            timeout_seconds=self.call_seconds,
        )
        try:
            return self.gateway.suggest(call)
        except BadReply as error:
            raise BrokenPromiseError(f"{question}: {error}") from error

    def restarted(self) -> RemoteSubject:
        """The same service, for which no Experiment is one that it has seen."""
        return replace(self, life=next(_LIVES))

    def elsewhere(self, arguments: Sequence[str], *, hash_seed: int) -> list[dict[str, str]]:
        """There is no other process of it."""
        raise NotApplicableError("there is one process of the service only")

    def _own(self, experiment: Experiment) -> Experiment:
        """The Experiment with a uid that its spec and this subject alone have."""
        spec = hashlib.sha256(experiment.spec.model_dump_json().encode()).hexdigest()[:12]
        uid = f"{experiment.metadata.uid}-{self.life}-{spec}"
        return experiment.but(metadata=experiment.metadata.but(uid=uid))


class _WholeHistory:
    """A history of which nothing has been sent before."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines

    def read(self, since: str | None) -> HistoryDelta:
        records = tuple(map(_record, self._lines))
        return HistoryDelta(token="", base=None, records=records, removed=(), size=len(records))


def _record(line: Line) -> TrialRecord:
    phase = _PHASES[line.outcome]
    return TrialRecord(
        name=line.name,
        uid="" if phase is None else f"uid-{line.number}",
        number=line.number,
        assignments=tuple(NameValue(name=name, value=text) for name, text in line.assignment.items()),
        labels=dict(line.labels),
        phase=phase,
        metrics=tuple(NameValue(name=name, value=text) for name, text in line.metrics.items()),
        start_time=_moment(line.start_time),
        completion_time=_moment(line.completion_time),
    )


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
