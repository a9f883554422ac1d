"""What is known of an Experiment or a Trial when it is explained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from katibpy.api.experiment import Experiment
from katibpy.api.suggestion import Suggestion
from katibpy.api.trial import Trial
from katibpy.core.records import Tally


@dataclass(frozen=True, slots=True)
class Operator:
    """Who runs an Experiment.

    Attributes:
        holder: pid of the program that works on the state directory, None when there is none.
        is_running_it: whether that program runs this Experiment.
        last_pid: of the last program that ran it, None when that is not known.
        resume_command: what a user types to go on with it; empty when that is not known.
    """

    holder: int | None = None
    is_running_it: bool = False
    last_pid: int | None = None
    resume_command: str = ""


@dataclass(frozen=True, slots=True)
class TrialFacts:
    """What is known of one Trial.

    Attributes:
        trial: the resource.
        is_alive: whether processes of it are alive; False when that is not known.
        last_report: when the newest value of its objective came in, None when there is none.
        reports: how many values of its objective there are.
        output: its last lines, as far as they are there.
        mentions: lines of its output that hold the objective's name or look like it, with their numbers.
        removed_by: the `--keep-trials` policy that removed its files; empty when they were not removed.
    """

    trial: Trial
    is_alive: bool = False
    last_report: datetime | None = None
    reports: int = 0
    output: tuple[str, ...] = ()
    mentions: tuple[tuple[int, str], ...] = ()
    removed_by: str = ""


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Trials that failed in the same way.

    Attributes:
        count: how many.
        example: one of them.
        shared: parameter values that all of them have and no trial that succeeded has together.
    """

    count: int
    example: TrialFacts
    shared: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExperimentFacts:
    """What is known of one Experiment.

    Attributes:
        experiment: the resource.
        now: the current moment.
        operator: who runs it.
        suggestion: its Suggestion, if there is one.
        tally: what is known of all its trials.
        active: its trials that have not ended, the oldest first, not all when there are very many.
        failures: its failed trials in groups, the largest first.
        failures_read: how many failed trials the groups were made of.
        objectives: values of the objective that the newest successful trials gave, as text.
        quiet_since: when a trial was last created or ended, None when none was.
        typical_seconds: how long a finished trial took, in the median of the newest; None without any.
        service_log: where the algorithm service writes; empty when that is not known.
    """

    experiment: Experiment
    now: datetime
    operator: Operator = field(default_factory=Operator)
    suggestion: Suggestion | None = None
    tally: Tally = field(default_factory=Tally)
    active: tuple[TrialFacts, ...] = ()
    failures: tuple[FailureGroup, ...] = ()
    failures_read: int = 0
    objectives: tuple[str, ...] = ()
    quiet_since: datetime | None = None
    typical_seconds: float | None = None
    service_log: str = ""
