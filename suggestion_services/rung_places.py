"""Where trials stand in successive halving: written in their labels, and read back from the history."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from katibpy.algo.history import Entry, History, Outcome
from katibpy.algo.space import Space
from katibpy.api.lineage import CHECKPOINT_FROM_LABEL

BRACKET_LABEL = "halving.suggestion.katib.kubeflow.org/bracket"
RUNG_LABEL = "halving.suggestion.katib.kubeflow.org/rung"
CONFIGURATION_LABEL = "halving.suggestion.katib.kubeflow.org/configuration"
_NO_RESULT = (Outcome.FAILED, Outcome.KILLED)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a trial stands.

    Attributes:
        bracket: number of its bracket.
        rung: number of its rung, 0 for a configuration that is new.
        configuration: number of its configuration, the same in every rung: that of the proposal which
            was its first.
    """

    bracket: int
    rung: int
    configuration: int

    def labels(self, *, parent: Entry | None = None) -> dict[str, str]:
        """What the Trial is labelled with; the parent is the trial that it goes on from."""
        own = {
            BRACKET_LABEL: str(self.bracket),
            RUNG_LABEL: str(self.rung),
            CONFIGURATION_LABEL: str(self.configuration),
        }
        return own if parent is None else {**own, CHECKPOINT_FROM_LABEL: parent.name}


@dataclass(frozen=True, slots=True)
class Run:
    """One trial of a rung."""

    entry: Entry
    configuration: int


class Rungs:
    """The trials of each rung, in creation order; what bears no labels of ours is in none.

    Attributes:
        brackets: one more than the highest number of a bracket that has trials.
    """

    def __init__(self, history: History) -> None:
        self._runs: defaultdict[tuple[int, int], list[Run]] = defaultdict(list)
        for entry in history:
            place = place_of(entry)
            if place is not None:
                self._runs[place.bracket, place.rung].append(Run(entry, place.configuration))
        self.brackets = max((bracket + 1 for bracket, _ in self._runs), default=0)

    def of(self, bracket: int, rung: int) -> Sequence[Run]:
        """Trials of one rung."""
        return self._runs.get((bracket, rung), ())


def place_of(entry: Entry) -> Place | None:
    """What the labels say, None where they are not ours."""
    labels = entry.labels
    if RUNG_LABEL not in labels:
        return None
    try:
        place = Place(int(labels[BRACKET_LABEL]), int(labels[RUNG_LABEL]), int(labels[CONFIGURATION_LABEL]))
    except (KeyError, ValueError):
        return None
    return place if min(place.bracket, place.rung) >= 0 else None


def is_pending(runs: Iterable[Run]) -> bool:
    """Whether results may still come."""
    return any(run.entry.outcome.is_pending for run in runs)


def ranked(runs: Iterable[Run], space: Space) -> list[Run]:
    """Those that may be promoted, the best first, of equal ones the oldest.

    What failed or was killed, whose loss is missing, NaN or infinite, or whose assignment is not one of this
    space ranks behind all others and is not promoted: it has nothing to go on from. What was stopped early
    counts with what it showed.
    """
    usable = [
        (run.entry.loss, place, run)
        for place, run in enumerate(runs)
        if run.entry.loss is not None
        and math.isfinite(run.entry.loss)
        and run.entry.outcome not in _NO_RESULT
        and not run.entry.outcome.is_pending
        and space.key(run.entry.assignment) is not None
    ]
    usable.sort(key=lambda item: item[:2])
    return [run for *_, run in usable]
