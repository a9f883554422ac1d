"""What a planner is told: what is, never what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from katibpy.api.experiment import Experiment
from katibpy.api.model import NameValue
from katibpy.api.suggestion import EarlyStoppingRule, Suggestion
from katibpy.api.trial import Trial
from katibpy.core.phases import TrialPhase
from katibpy.core.records import MetricSummary, StoredProposal, Tally
from katibpy.core.runs import CollectionState, RunState


@dataclass(frozen=True, slots=True)
class ActiveTrial:
    """A Trial that has not ended, as its Experiment's planner sees it."""

    name: str
    uid: str
    number: int
    phase: TrialPhase
    is_stopping: bool


@dataclass(frozen=True, slots=True)
class ExperimentView:
    """All that `plan_experiment` looks at.

    Attributes:
        experiment: the resource.
        suggestion: its Suggestion, if there is one.
        tally: what is known of all its Trials.
        active: Trials that have not ended, by number.
        proposals: the oldest proposals without a Trial, at most as many as may run in parallel.
        now: the current moment.
        next_number: one more than the greatest number of its Trials; needed while there is no Suggestion.
    """

    experiment: Experiment
    suggestion: Suggestion | None
    tally: Tally
    active: tuple[ActiveTrial, ...]
    proposals: tuple[StoredProposal, ...]
    now: datetime
    next_number: int = 0


@dataclass(frozen=True, slots=True)
class ServiceFailure:
    """An algorithm service could not answer.

    Attributes:
        message: its error.
        attempts: how many times in a row.
    """

    message: str
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Refusal:
    """An algorithm service refuses the Experiment for good; the message says why."""

    message: str


@dataclass(frozen=True, slots=True)
class Proposed:
    """One proposal of a reply; `name` is None when we are to choose it."""

    assignments: tuple[NameValue, ...]
    name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[EarlyStoppingRule, ...] = ()


@dataclass(frozen=True, slots=True)
class AlgorithmReply:
    """What an algorithm service answered, not saved yet."""

    proposals: tuple[Proposed, ...]
    memory: bytes | None = None
    is_exhausted: bool = False
    settings: tuple[NameValue, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class SuggestionView:
    """All that `plan_suggestion` looks at.

    Attributes:
        suggestion: the resource.
        experiment: its Experiment, None when that is gone.
        now: the current moment.
        is_accepted: the service has just accepted the Experiment.
        refusal: the service has just refused it.
        failure: the last calls failed.
        reply: the service's answer to the question just asked.
    """

    suggestion: Suggestion
    experiment: Experiment | None
    now: datetime
    is_accepted: bool = False
    refusal: Refusal | None = None
    failure: ServiceFailure | None = None
    reply: AlgorithmReply | None = None


@dataclass(frozen=True, slots=True)
class TrialView:
    """All that `plan_trial` looks at.

    Attributes:
        trial: the resource.
        run: its run.
        collection: how far its metrics are collected.
        metrics: summaries of its metrics; needed once they are drained.
        now: the current moment.
    """

    trial: Trial
    run: RunState
    collection: CollectionState
    metrics: Mapping[str, MetricSummary]
    now: datetime
