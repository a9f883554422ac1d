"""Facts that stores keep beside the resources: what is counted, listed and sent to algorithms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from katibpy.api.experiment import ObjectiveType, Observation, StrategyType
from katibpy.api.model import NameValue
from katibpy.api.suggestion import TrialAssignment
from katibpy.api.trial import Trial
from katibpy.core.phases import FINISHED_PHASES, TrialPhase, trial_phase

UNAVAILABLE = "unavailable"
"""What a summary holds where there is no value."""

NAME_LIMIT = 100
"""How many names of finished trials of one phase a status shows."""


@dataclass(frozen=True, slots=True)
class BestTrial:
    """The trial with the smallest loss.

    Attributes:
        name: its name.
        number: its creation order, which breaks ties: the earliest wins.
        loss: the minimised objective; a number.
        assignments: what it was run with.
        observation: what it measured.
    """

    name: str
    number: int
    loss: float
    assignments: tuple[NameValue, ...]
    observation: Observation


@dataclass(frozen=True, slots=True)
class Tally:
    """What the Experiment's planner knows of all its trials, at a size that does not grow with them.

    Attributes:
        counts: number of existing Trials by phase; phases without any may be absent.
        best: best among Succeeded trials; if there is none, among EarlyStopped ones.
        newest: of each finished phase, the names of the newest trials by number, newest last,
            at most `NAME_LIMIT`.
    """

    counts: Mapping[TrialPhase, int] = field(default_factory=dict)
    best: BestTrial | None = None
    newest: Mapping[TrialPhase, tuple[str, ...]] = field(default_factory=dict)

    def count(self, *phases: TrialPhase) -> int:
        """Number of Trials in any of the phases; of all Trials when none is named."""
        if not phases:
            return sum(self.counts.values())
        return sum([self.counts.get(phase, 0) for phase in phases])

    @property
    def finished(self) -> int:
        """Number of Trials that have ended."""
        return self.count(*FINISHED_PHASES)


@dataclass(frozen=True, slots=True)
class StoredProposal:
    """A saved proposal that is not a Trial yet.

    Attributes:
        number: 0-based creation order within the Experiment.
        assignment: trial name, parameter assignments, rules and labels.
    """

    number: int
    assignment: TrialAssignment


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One line of the history that is sent to an algorithm.

    Attributes:
        name: name of the Trial.
        uid: its uid, empty for a proposal without a Trial.
        number: creation order.
        assignments: parameter name to text.
        labels: labels that the algorithm gave.
        phase: None for a proposal without a Trial.
        metrics: metric name to the value its strategy picks, as text; objective first.
        start_time: when the Trial started.
        completion_time: when it ended.
    """

    name: str
    uid: str
    number: int
    assignments: tuple[NameValue, ...]
    labels: Mapping[str, str]
    phase: TrialPhase | None
    metrics: tuple[NameValue, ...] = ()
    start_time: datetime | None = None
    completion_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class HistoryDelta:
    """What changed in an Experiment's history.

    Attributes:
        token: identifies the history after the change.
        base: the token this is a difference to; None when `records` is everything.
        records: new and changed records in creation order (a proposal that became a Trial is a changed record
            of the same name and number).
        removed: names of records that are gone.
        size: number of records after the change.
    """

    token: str
    base: str | None
    records: tuple[TrialRecord, ...]
    removed: tuple[str, ...] = ()
    size: int = 0


@dataclass(frozen=True, slots=True)
class ObservedValue:
    """One value of one metric as a trial reported it.

    Attributes:
        sequence: 0-based position in what the trial reported; the same report always has the same one.
        metric: metric name.
        text: the value as it was written.
        time: seconds since the epoch (UTC).
        step: training step, when it was given.
    """

    sequence: int
    metric: str
    text: str
    time: float
    step: int | None = None

    @property
    def number(self) -> float | None:
        """The value as a number (NaN and infinities included), None when it is not one."""
        return number_of(self.text)


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """All values of one metric of one trial.

    NaN and infinities are never compared: `min` and `max` are of the finite numbers; without any they are
    the latest value that is a number (`nan`, `inf`), and `UNAVAILABLE` if no value is a number at all.
    `latest` is the value of the greatest time, the greatest sequence among equals.
    """

    min: str
    max: str
    latest: str
    count: int


def number_of(text: str) -> float | None:
    """The number that a metric value spells, None when it spells none."""
    try:
        return float(text) if "_" not in text else None
    except ValueError:
        return None


def strategy_value(trial: Trial, metric: str) -> str | None:
    """The value of the metric that its strategy picks, as text; None when unavailable."""
    observation = trial.status.observation
    found = next((m for m in observation.metrics if m.name == metric), None) if observation else None
    if found is None:
        return None
    objective = trial.spec.objective
    strategy = next((s.value for s in objective.metric_strategies or () if s.name == metric), None)
    if strategy is None:
        strategy = {ObjectiveType.MINIMIZE: StrategyType.MIN, ObjectiveType.MAXIMIZE: StrategyType.MAX}.get(
            ObjectiveType(objective.type), StrategyType.LATEST
        )
    picked = {StrategyType.MIN: found.min, StrategyType.MAX: found.max}.get(
        StrategyType(strategy), found.latest
    )
    if picked == UNAVAILABLE:
        picked = found.latest
    return None if picked == UNAVAILABLE else picked


def loss_of(trial: Trial) -> float | None:
    """The minimised objective of a Trial: NaN is kept, None when it has none or it is not a number."""
    text = strategy_value(trial, trial.spec.objective.objective_metric_name)
    number = None if text is None else number_of(text)
    if number is None:
        return None
    return -number if trial.spec.objective.type == ObjectiveType.MAXIMIZE else number


def rank_of(trial: Trial) -> float | None:
    """The loss if it takes part in the search for the best trial: a finite one, Succeeded or EarlyStopped."""
    if trial_phase(trial.status.conditions) not in (TrialPhase.SUCCEEDED, TrialPhase.EARLY_STOPPED):
        return None
    loss = loss_of(trial)
    return loss if loss is not None and math.isfinite(loss) else None


def record_of(trial: Trial) -> TrialRecord:
    """The history line of a Trial."""
    objective = trial.spec.objective
    names = (objective.objective_metric_name, *objective.additional_metric_names)
    values = ((name, strategy_value(trial, name)) for name in names)
    return TrialRecord(
        name=trial.metadata.name,
        uid=trial.metadata.uid or "",
        number=trial.spec.number or 0,
        assignments=trial.spec.parameter_assignments,
        labels=trial.spec.labels,
        phase=trial_phase(trial.status.conditions),
        metrics=tuple(NameValue(name=name, value=value) for name, value in values if value is not None),
        start_time=trial.status.start_time,
        completion_time=trial.status.completion_time,
    )
