"""Algorithms without a service: called right here, for simulations, benchmarks and tests."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime

from katibpy.algo.algorithm import Algorithm, Reads, Reply
from katibpy.algo.history import Outcome
from katibpy.algo.hosting import HostedExperiment, algorithm_named
from katibpy.algo.merged_history import Line
from katibpy.api.experiment import Experiment
from katibpy.core.phases import TrialPhase
from katibpy.core.records import TrialRecord
from katibpy.ports import HistorySource, SuggestionCall

_OUTCOMES = {
    None: Outcome.PROPOSED,
    TrialPhase.PENDING: Outcome.ACTIVE,
    TrialPhase.RUNNING: Outcome.ACTIVE,
    TrialPhase.SUCCEEDED: Outcome.SUCCEEDED,
    TrialPhase.EARLY_STOPPED: Outcome.EARLY_STOPPED,
    TrialPhase.FAILED: Outcome.FAILED,
    TrialPhase.METRICS_UNAVAILABLE: Outcome.FAILED,
    TrialPhase.KILLED: Outcome.KILLED,
}


class DirectGateway:
    """A SuggestionGateway that calls algorithms in the calling thread, without gRPC.

    The history is read as differences, as a service reads it. The timeout of a call is not enforced: there
    is no process that could be left alone. `_lock` guards the table of Experiments; each Experiment has a
    lock of its own that is held while its algorithm works.
    """

    def __init__(
        self,
        *,
        find_algorithm: Callable[[str], Algorithm] = algorithm_named,
        experiment_limit: int = 256,
    ) -> None:
        """Prepares the gateway.

        Args:
            find_algorithm: gives the algorithm of a name.
            experiment_limit: how many Experiments keep their history here; others are read anew.
        """
        self._find_algorithm = find_algorithm
        self._experiment_limit = experiment_limit
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def validate(self, experiment: Experiment, *, timeout_seconds: float) -> None:
        """Checks settings and space; raises InvalidSettings."""
        HostedExperiment(self._algorithm(experiment), experiment)

    def suggest(self, call: SuggestionCall) -> Reply:
        """Asks the algorithm."""
        kept = self._of(call.experiment.metadata.uid or "")
        with kept.lock:
            hosted = kept.hosted_for(call.experiment, self._algorithm(call.experiment))
            if hosted.reads is not Reads.NOTHING:
                _update(hosted, call.history)
            return hosted.ask(count=call.count, total=call.total, memory=call.memory)

    def forget(self, experiment_uid: str) -> None:
        """Drops what is kept for the Experiment."""
        with self._lock:
            self._kept.pop(experiment_uid, None)

    def _algorithm(self, experiment: Experiment) -> Algorithm:
        algorithm = experiment.spec.algorithm
        return self._find_algorithm(algorithm.algorithm_name if algorithm else "")

    def _of(self, uid: str) -> _Kept:
        if not uid:
            return _Kept()
        with self._lock:
            kept = self._kept.setdefault(uid, _Kept())
            self._kept.move_to_end(uid)
            while len(self._kept) > self._experiment_limit:
                self._kept.popitem(last=False)
            return kept


class _Kept:
    """What is kept for one Experiment; `lock` guards all of it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._hosted: HostedExperiment | None = None
        self._experiment: Experiment | None = None

    def hosted_for(self, experiment: Experiment, algorithm: Algorithm) -> HostedExperiment:
        hosted = self._hosted
        if hosted is None or hosted.algorithm is not algorithm:
            hosted = self._hosted = HostedExperiment(algorithm, experiment)
        elif self._experiment is None or self._experiment.spec != experiment.spec:
            hosted.adopt(experiment)
        self._experiment = experiment
        return hosted


def _update(hosted: HostedExperiment, source: HistorySource) -> None:
    history = hosted.history
    delta = source.read(history.token or None)
    if delta.base is not None and delta.base == history.token:
        history.merge(map(line_of, delta.records), removed=delta.removed, token=delta.token)
        if len(history) == delta.size:
            return
    if delta.base is not None:
        # A difference to something else than is held here: start over rather than go on with a wrong history.
        delta = source.read(None)
    history.replace(map(line_of, delta.records), token=delta.token)


def line_of(record: TrialRecord) -> Line:
    """The history line as algorithms' hosts take it."""
    return Line(
        name=record.name,
        number=record.number,
        outcome=_OUTCOMES[record.phase],
        assignment={pair.name: pair.value for pair in record.assignments},
        metrics={pair.name: pair.value for pair in record.metrics},
        labels=record.labels,
        start_time=_seconds(record.start_time),
        completion_time=_seconds(record.completion_time),
    )


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
