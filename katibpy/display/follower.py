"""Follows an Experiment in its store; a look costs the same however many trials there are."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from katibpy.api.experiment import Experiment, Objective, ObjectiveType
from katibpy.api.model import NameValue
from katibpy.api.status_conditions import find_condition
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import Trial
from katibpy.core.phases import ExperimentPhase, TrialPhase, experiment_phase, trial_phase
from katibpy.core.records import BestTrial, Tally, TrialRecord, number_of
from katibpy.display.failures import failure_line, last_output
from katibpy.ports import ObservationStore, ResourceStore

_FAILING = (TrialPhase.FAILED, TrialPhase.METRICS_UNAVAILABLE)
_FEW = 2
"""Trials that must have ended before the time left is guessed."""


@dataclass(frozen=True, slots=True)
class FinishedTrial:
    """A trial that ended since the last look.

    Attributes:
        record: name, phase, parameters and metrics.
        place: how many trials had ended with it.
        is_best: it beat all that ended before it.
        message: why it failed, in one line; empty for others.
    """

    record: TrialRecord
    place: int
    is_best: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class RunningTrial:
    """A trial that has not ended.

    Attributes:
        name: its name.
        phase: Pending or Running.
        seconds: since it was created.
        latest: newest value of its objective; empty while there is none.
    """

    name: str
    phase: TrialPhase
    seconds: float
    latest: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An Experiment at one moment.

    Attributes:
        name: of the Experiment.
        phase: None when it has been deleted.
        objective: what it optimises.
        limit: `maxTrialCount`.
        tally: counts by phase, and the best trial.
        running: the oldest trials that have not ended.
        running_count: how many have not ended in all.
        news: trials that ended since the last look, in the order of their ends.
        last_failure: why the newest failed trial of this session failed.
        waits_for: what keeps the algorithm from answering; empty when nothing does.
        elapsed_seconds: since following began, until the Experiment ended.
        seconds_left: a guess from the trials that ended since then; None when there is nothing to guess from.
    """

    name: str
    phase: ExperimentPhase | None
    objective: Objective
    limit: int | None
    tally: Tally
    running: tuple[RunningTrial, ...] = ()
    running_count: int = 0
    news: tuple[FinishedTrial, ...] = ()
    last_failure: str = ""
    waits_for: str = ""
    elapsed_seconds: float = 0.0
    seconds_left: float | None = None

    @property
    def best(self) -> BestTrial | None:
        """The best trial so far."""
        return self.tally.best


class Follower:
    """Looks at one Experiment again and again. Not for several threads."""

    def __init__(
        self,
        resources: ResourceStore,
        observations: ObservationStore,
        experiment: Experiment,
        *,
        running_limit: int = 0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begins to follow; what ended before is not news.

        Args:
            resources: where the Experiment is stored.
            observations: where its trials' metrics are.
            experiment: as it is now.
            running_limit: how many running trials a snapshot lists; each costs a query.
            monotonic: tells the time.
        """
        self._resources = resources
        self._observations = observations
        self._key = experiment.key
        self._uid = experiment.metadata.uid or ""
        self._objective = experiment.spec.objective or Objective()
        self._running_limit = running_limit
        self._monotonic = monotonic
        self._began = monotonic()
        self._elapsed = 0.0
        self._is_over = False
        self._last_failure = ""
        tally = resources.tally(self._uid)
        self._tally = tally
        self._ended_before = self._ended = tally.finished
        self._best_loss = math.inf if tally.best is None else tally.best.loss
        self._has_succeeded = tally.count(TrialPhase.SUCCEEDED) > 0
        delta = resources.history(self._uid)
        self._token = delta.token
        self._seen = {record.name for record in delta.records if _has_ended(record)}

    def look(self) -> Snapshot:
        """The Experiment now, and what is new since the last look."""
        _, namespace, name = self._key
        experiment = self._resources.find(Experiment, namespace, name)
        if experiment is None or experiment.metadata.uid != self._uid:
            return Snapshot(name, None, self._objective, None, self._tally)
        news = self._news()
        self._tally = tally = self._resources.tally(self._uid)
        active = self._resources.active_trials(self._uid)
        phase = experiment_phase(experiment.status.conditions)
        if not (phase.is_finished and self._is_over):
            self._elapsed = self._monotonic() - self._began
        self._is_over = phase.is_finished
        elapsed = self._elapsed
        limit = experiment.spec.max_trial_count
        return Snapshot(
            name,
            phase,
            self._objective,
            limit,
            tally,
            running=tuple(self._running(trial) for trial in active[: self._running_limit]),
            running_count=len(active),
            news=news,
            last_failure=self._last_failure,
            waits_for="" if tally.count() else self._waits_for(namespace, name),
            elapsed_seconds=elapsed,
            seconds_left=self._seconds_left(limit, tally.finished, elapsed),
        )

    def _news(self) -> tuple[FinishedTrial, ...]:
        delta = self._resources.history(self._uid, since=self._token)
        self._token = delta.token
        fresh = [each for each in delta.records if _has_ended(each) and each.name not in self._seen]
        fresh.sort(key=lambda each: (each.completion_time or datetime.max.replace(tzinfo=UTC), each.number))
        return tuple(self._finished(record) for record in fresh)

    def _finished(self, record: TrialRecord) -> FinishedTrial:
        self._seen.add(record.name)
        self._ended += 1
        message = self._failure(record) if record.phase in _FAILING else ""
        self._last_failure = message or self._last_failure
        return FinishedTrial(record, self._ended, self._is_best(record), message)

    def _is_best(self, record: TrialRecord) -> bool:
        # As the tally has it: a trial that was stopped early counts only while none has succeeded.
        if record.phase is TrialPhase.SUCCEEDED:
            if not self._has_succeeded:
                self._has_succeeded, self._best_loss = True, math.inf
        elif record.phase is not TrialPhase.EARLY_STOPPED or self._has_succeeded:
            return False
        loss = loss_of_record(record, self._objective)
        if loss is None or not math.isfinite(loss) or loss >= self._best_loss:
            return False
        self._best_loss = loss
        return True

    def _failure(self, record: TrialRecord) -> str:
        trial = self._resources.find(Trial, self._key[1], record.name)
        if trial is None:
            return ""
        line, output = failure_line(trial), last_output(trial)
        return f"{line}; last output: {output}" if output else line

    def _running(self, trial: Trial) -> RunningTrial:
        name = self._objective.objective_metric_name
        summary = self._observations.summarize(trial.metadata.uid or "", (name,)).get(name)
        start = trial.status.start_time
        return RunningTrial(
            trial.metadata.name,
            trial_phase(trial.status.conditions),
            0.0 if start is None else (datetime.now(UTC) - start).total_seconds(),
            "" if summary is None else summary.latest,
        )

    def _waits_for(self, namespace: str, name: str) -> str:
        suggestion = self._resources.find(Suggestion, namespace, name)
        ready = find_condition(suggestion.status.conditions, "DeploymentReady") if suggestion else None
        return ready.message if ready is not None and ready.status != "True" else ""

    def _seconds_left(self, limit: int | None, finished: int, elapsed: float) -> float | None:
        done = finished - self._ended_before
        if limit is None or done < _FEW:
            return None
        return max(limit - finished, 0) * elapsed / done


def loss_of_record(record: TrialRecord, objective: Objective) -> float | None:
    """The minimised objective of a history line; None when it has none or it is not a number."""
    text = metric_of(record.metrics, objective.objective_metric_name)
    number = None if text is None else number_of(text)
    if number is None:
        return None
    return -number if objective.type == ObjectiveType.MAXIMIZE else number


def metric_of(metrics: tuple[NameValue, ...], name: str) -> str | None:
    """The value of a metric."""
    return next((each.value for each in metrics if each.name == name), None)


def _has_ended(record: TrialRecord) -> bool:
    return record.phase is not None and not record.phase.is_active
