"""What finished trials tell a Gaussian process: which of them, and their losses as scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from katibpy.algo.history import Entry, History, Outcome
from katibpy.algo.space import Space, Value

Array = npt.NDArray[np.float64]

_USABLE = (Outcome.SUCCEEDED, Outcome.EARLY_STOPPED)


@dataclass(frozen=True, slots=True)
class Results:
    """The trials of a history, as far as they say something about an assignment of the space.

    Attributes:
        assignments: of the trials that ended, in creation order.
        losses: of the same; NaN for what failed or gave no finite loss.
        pending: assignments whose result may still come.
        total: how many trials ended, also when fewer are kept.
    """

    assignments: tuple[Mapping[str, Value], ...]
    losses: Array
    pending: tuple[Mapping[str, Value], ...]
    total: int

    @classmethod
    def of(cls, space: Space, history: History) -> Results:
        """What was stopped early counts with what it showed; what was killed says nothing."""
        ended: list[Entry] = []
        pending: list[Mapping[str, Value]] = []
        for entry in history:
            if space.key(entry.assignment) is None or entry.outcome is Outcome.KILLED:
                continue
            if entry.outcome.is_pending:
                pending.append(entry.assignment)
            else:
                ended.append(entry)
        losses = np.array([_loss(entry) for entry in ended], dtype=np.float64)
        return cls(tuple(entry.assignment for entry in ended), losses, tuple(pending), len(ended))

    @property
    def has_usable(self) -> bool:
        """Whether there is one loss at least."""
        return bool(np.isfinite(self.losses).any())

    def telling(self, most: int) -> Results:
        """At most `most` of the results: the best half of them, and of the rest the newest."""
        if len(self.losses) <= most:
            return self
        ranked = np.argsort(np.where(np.isnan(self.losses), math.inf, self.losses), kind="stable")
        best = ranked[: most // 2]
        newest = np.sort(ranked[most // 2 :])[-(most - most // 2) :]
        kept = np.sort(np.concatenate((best, newest)))
        assignments = tuple(self.assignments[place] for place in kept)
        return Results(assignments, self.losses[kept], self.pending, self.total)


def scores(losses: Array, *, is_compressed: bool) -> Array:
    """Losses as scores to be maximised, with mean 0 and variance 1.

    What failed scores as the worst that was seen. Compressed, what is worse than the median counts
    logarithmically: a model that has to explain how bad the bad are cannot tell the good apart.

    Args:
        losses: NaN for what failed; at least one is finite.
        is_compressed: whether the worse half is compressed.
    """
    is_known = np.isfinite(losses)
    # Losses near the largest double would overflow in differences.
    known = np.clip(losses[is_known], -1e150, 1e150)
    median, best = float(np.median(known)), float(known.min())
    unit = median - best or float(known.max()) - best or 1.0
    away = (known - median) / unit
    if is_compressed:
        away = np.where(away > 0.0, np.log1p(np.maximum(away, 0.0)), away)
    found = np.full(len(losses), -float(away.max()))
    found[is_known] = -away
    spread = float(found.std())
    return (found - found.mean()) / spread if spread > 0.0 else np.zeros(len(losses))


def _loss(entry: Entry) -> float:
    if entry.outcome not in _USABLE or entry.loss is None or not math.isfinite(entry.loss):
        return math.nan
    return entry.loss
