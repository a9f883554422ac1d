"""What happened so far, in creation order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # It brings NumPy along, which those who only pass histories on need not load.
    from katibpy.algo.space import Value


class Outcome(StrEnum):
    """State of one history entry."""

    PROPOSED = "proposed"
    """A proposal that is not a Trial yet."""
    ACTIVE = "active"
    """A Trial that is pending or running."""
    SUCCEEDED = "succeeded"
    EARLY_STOPPED = "early-stopped"
    FAILED = "failed"
    """Ended without a usable result: failed, or its metrics are unavailable."""
    KILLED = "killed"
    """Ended from outside, through no fault of the assignment."""

    @property
    def is_pending(self) -> bool:
        """Whether a result may still come."""
        return self in (Outcome.PROPOSED, Outcome.ACTIVE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One proposal and what became of it.

    Attributes:
        name: name of the Trial.
        assignment: parameter name to typed value; what lies outside the space is left out.
        outcome: its state.
        loss: the minimised objective; None when there is none, NaN when the trial reported NaN.
        metrics: metric name to value (as in the spec, not negated); missing ones are absent.
        labels: labels that the algorithm put on the proposal.
        number: 0-based creation order within the Experiment.
        raw: the assignment as text, as it was proposed.
        start_time: seconds since the epoch, None before the Trial started.
        completion_time: seconds since the epoch, None before the Trial ended.
    """

    name: str
    assignment: Mapping[str, Value]
    outcome: Outcome
    loss: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    number: int = 0
    raw: Mapping[str, str] = field(default_factory=dict)
    start_time: float | None = None
    completion_time: float | None = None


@dataclass(frozen=True, slots=True)
class History:
    """All entries, in creation order.

    Attributes:
        entries: what the algorithm declared to read (see `Reads`), oldest first.
        total: number of proposals ever made, also when `entries` holds fewer; index of the next one.
        token: equal tokens of one Experiment mean equal histories; empty when unknown.
    """

    entries: Sequence[Entry] = ()
    total: int = 0
    token: str = ""

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def finished(self) -> Iterator[Entry]:
        """Entries whose result is final."""
        return (entry for entry in self.entries if not entry.outcome.is_pending)
