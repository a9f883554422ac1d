"""A history as what a surrogate model is fitted to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from katibpy.algo.history import Entry, History, Outcome
from katibpy.algo.space import Space
from suggestion_services.bayes_columns import Encoding

Array = npt.NDArray[np.float64]

MOST_RESULTS = 1000
"""Results that a model is fitted to; its cost grows with their cube."""
MOST_FOR_KERNEL = 200
"""Results that hyperparameters are chosen by."""
_FARTHEST = 10.0
_SHORTEST_SECONDS = 1e-3


@dataclass(frozen=True, slots=True)
class Observed:
    """Trials that say something about the space.

    Attributes:
        finished: with a result, or failed, in creation order; complete and of this space.
        losses: of the finished ones; NaN where there is no usable one.
        pending: without a result yet.
    """

    finished: Sequence[Entry]
    losses: Array
    pending: Sequence[Entry]

    @classmethod
    def of(cls, space: Space, history: History) -> Observed:
        """What counts of a history: a killed trial says nothing about its assignment."""
        complete = [entry for entry in history if len(entry.assignment) == len(space)]
        finished = [
            entry
            for entry in complete
            if not entry.outcome.is_pending and entry.outcome is not Outcome.KILLED
        ]
        return cls(
            finished=finished,
            losses=np.array([_usable(entry) for entry in finished]),
            pending=[entry for entry in complete if entry.outcome.is_pending],
        )

    @property
    def has_usable(self) -> bool:
        """Whether any trial gave a finite loss."""
        return bool(np.isfinite(self.losses).any())


@dataclass(frozen=True, slots=True)
class Targets:
    """What a model is fitted to, the telling rows first when there are many.

    Attributes:
        points: one row for each result.
        losses: standardised; what failed has the worst that was seen.
        seconds: how long each took, NaN where that is not known.
    """

    points: Array
    losses: Array
    seconds: Array

    @classmethod
    def of(cls, observed: Observed, encoding: Encoding) -> Targets:
        """The targets that finished trials give; at least one has a usable loss."""
        losses = standardised(observed.losses)
        kept = _kept(losses)
        entries = [observed.finished[place] for place in kept]
        return cls(
            points=encoding.write([entry.assignment for entry in entries]),
            losses=losses[kept],
            seconds=np.array([_seconds(entry) for entry in entries]),
        )

    def fingerprint(self) -> tuple[bytes, ...]:
        """Equal for equal targets."""
        return tuple(array.tobytes() for array in (self.points, self.losses, self.seconds))


def standardised(losses: Array) -> Array:
    """Losses with mean 0 and standard deviation 1, NaN replaced by the worst.

    What is farther above the median than ten times the best is below it counts as that far: one
    diverged training run would else make all others look alike.

    Args:
        losses: at least one of them finite, none infinite.
    """
    worst = float(np.nanmax(losses))
    filled = np.where(np.isnan(losses), worst, losses)
    # Neither differences nor squares of what is at most 1 overflow.
    largest = float(np.abs(filled).max())
    scaled = filled / largest if largest > 0 else filled
    middle, best = float(np.median(scaled)), float(scaled.min())
    if middle > best:
        scaled = np.minimum(scaled, middle + _FARTHEST * (middle - best))
    spread = float(np.std(scaled))
    centred: Array = scaled - float(np.mean(scaled))
    return centred / spread if spread > 0 else np.zeros_like(centred)


def _usable(entry: Entry) -> float:
    is_usable = entry.outcome is not Outcome.FAILED and entry.loss is not None and math.isfinite(entry.loss)
    return entry.loss if is_usable and entry.loss is not None else math.nan


def _seconds(entry: Entry) -> float:
    # How long a failed trial took says little about one that comes to its end.
    if entry.outcome is Outcome.FAILED or entry.start_time is None or entry.completion_time is None:
        return math.nan
    seconds = entry.completion_time - entry.start_time
    return max(seconds, _SHORTEST_SECONDS) if math.isfinite(seconds) else math.nan


def _kept(losses: Array) -> list[int]:
    """Places of the results that the model is fitted to.

    As long as hyperparameters can follow from all of them, all in creation order. Beyond, alternately the
    best and the newest that are left: where the optimum is, and what the rest of the space looks like now.
    """
    count = len(losses)
    if count <= MOST_FOR_KERNEL:
        return list(range(count))
    best, newest = np.argsort(losses, kind="stable").tolist(), range(count - 1, -1, -1)
    order = dict.fromkeys(place for pair in zip(best, newest, strict=True) for place in pair)
    return list(order)[:MOST_RESULTS]
