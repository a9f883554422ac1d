"""What runners and collectors report about one trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class RunPhase(StrEnum):
    """State of a trial's run."""

    ABSENT = "absent"
    """Never started, or withdrawn so that it may be started again."""
    WAITING = "waiting"
    """Accepted; waits for resources, see the message."""
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class RunState:
    """A trial's run as its runner sees it now.

    Attributes:
        phase: where it is.
        resource: the job object with its `status`, what success and failure conditions are evaluated on.
            A local run shows the status that Kubernetes would give such a Job.
        reason: one CamelCase word: why it waits or how it ended (`DeadlineExceeded`, `CommandNotFound`,
            `Stopped` ...).
        message: the same for people.
        exit_code: of the primary container's process, None while it runs or when it is not known.
        started_at: when the process started.
        ended_at: when it ended.
    """

    phase: RunPhase
    resource: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CollectionState:
    """How far a trial's metrics have been collected.

    Attributes:
        is_attached: whether collection has begun.
        is_drained: whether everything the ended run wrote has been read and stored.
        seen_names: names of metrics that appeared, wanted or not, at most 50, in order of appearance.
        last_lines: the last lines of the trial's output, at most 20 of at most 500 characters.
        problem: what keeps the collector from reading ("metrics file /x was never written"), else "".
    """

    is_attached: bool = False
    is_drained: bool = False
    seen_names: tuple[str, ...] = ()
    last_lines: tuple[str, ...] = ()
    problem: str = ""
