"""The population of population based training as its trials tell it: who runs, who is where, who is best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from katibpy.algo.history import Entry, Outcome
from katibpy.algo.space import Space

GENERATION_LABEL = "pbt.suggestion.katib.kubeflow.org/generation"
"""How many trials a Trial's checkpoints come from, its own not counted."""
PARENT_LABEL = "pbt.suggestion.katib.kubeflow.org/parent"
"""The Trial that it goes on from; absent in generation 0."""
MEMBER_LABEL = "pbt.suggestion.katib.kubeflow.org/member"
"""The place in the population that it holds, from 0."""

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Step:
    """One trial of a member.

    Attributes:
        member: place in the population.
        generation: see `GENERATION_LABEL`.
        entry: the trial.
        loss: what it is ranked by; None when it failed, or gave no finite number, or lies outside the space.
    """

    member: int
    generation: int
    entry: Entry
    loss: float | None

    @property
    def rank_key(self) -> tuple[bool, float, int]:
        """Ascending from the best; those without a loss last, equals in creation order."""
        return self.loss is None, self.loss or 0.0, self.entry.number

    @property
    def may_be_copied(self) -> bool:
        """Whether it ended by itself with a result, so that its checkpoint is what the result was of."""
        return self.loss is not None and self.entry.outcome is Outcome.SUCCEEDED


class Population:
    """The members and the steps they took. Made anew from the history for each request."""

    def __init__(self, entries: Iterable[Entry], space: Space, size: int) -> None:
        """Reads the labels of the trials; what has none that fit is no member's."""
        self.size = size
        self._space = space
        self._last: dict[int, tuple[int, Entry]] = {}
        self._ended: dict[int, dict[int, Entry]] = {}
        for entry in entries:
            member, generation = _number(entry.labels, MEMBER_LABEL), _number(entry.labels, GENERATION_LABEL)
            if 0 <= member < size and generation >= 0:
                self.add(member, generation, entry)

    def add(self, member: int, generation: int, entry: Entry) -> None:
        """Takes in the next trial of a member."""
        self._last[member] = generation, entry
        if not entry.outcome.is_pending and entry.outcome is not Outcome.KILLED:
            self._ended.setdefault(generation, {})[member] = entry

    def last(self, member: int) -> Step | None:
        """The newest step of a member; None when it has not begun."""
        found = self._last.get(member)
        return None if found is None else self._step(member, *found)

    def ready(self) -> Iterator[int]:
        """Members that nothing of runs or waits, those that are furthest behind first."""
        idle = [member for member in range(self.size) if not self._is_busy(member)]
        return iter(sorted(idle, key=self._progress))

    def running(self, generation: int) -> int:
        """How many members run or wait to, in that generation or one before."""
        return sum(
            reached <= generation and entry.outcome.is_pending for reached, entry in self._last.values()
        )

    def ranking(self, generation: int) -> list[Step]:
        """The last step that each member ended in a generation, from the best."""
        ended = self._ended.get(generation, {})
        steps = (self._step(member, generation, entry) for member, entry in ended.items())
        return sorted(steps, key=lambda step: step.rank_key)

    def _step(self, member: int, generation: int, entry: Entry) -> Step:
        return Step(member, generation, entry, _loss(entry, self._space))

    def _is_busy(self, member: int) -> bool:
        return member in self._last and self._last[member][1].outcome.is_pending

    def _progress(self, member: int) -> tuple[int, int]:
        if member not in self._last:
            return -1, member
        generation, entry = self._last[member]
        return generation, entry.number


def quantile(threshold: float, count: int) -> int:
    """How many of so many are in a tail of that share: at least one, unless the share is 0."""
    return max(1, math.floor(threshold * count + _ROUNDING)) if threshold > 0 and count else 0


def _number(labels: Mapping[str, str], name: str) -> int:
    text = labels.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() else -1


def _loss(entry: Entry, space: Space) -> float | None:
    if entry.outcome not in (Outcome.SUCCEEDED, Outcome.EARLY_STOPPED) or entry.loss is None:
        return None
    return entry.loss if math.isfinite(entry.loss) and space.key(entry.assignment) is not None else None
