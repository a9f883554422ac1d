"""A history that is kept up to date from differences, at a cost that follows the size of the difference."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from typing import overload

from katibpy.algo.algorithm import Reads
from katibpy.algo.history import Entry, History, Outcome
from katibpy.algo.problem import Problem, is_maximized

_BLOCK = 256
_WITH_RESULT = (Outcome.SUCCEEDED, Outcome.EARLY_STOPPED)


@dataclass(frozen=True, slots=True)
class Line:
    """One entry as it arrives: assignment and metrics are texts.

    Attributes:
        name: name of the Trial; what identifies the entry.
        number: 0-based creation order.
        outcome: its state.
        assignment: parameter name to text.
        metrics: metric name to text.
        labels: labels that the algorithm put on the proposal.
        start_time: seconds since the epoch.
        completion_time: seconds since the epoch.
    """

    name: str
    number: int
    outcome: Outcome
    assignment: Mapping[str, str]
    metrics: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    start_time: float | None = None
    completion_time: float | None = None


class Entries(Sequence[Entry]):
    """Entries in creation order that share their parts with earlier and later histories; never changes."""

    __slots__ = ("_blocks", "_ends")

    def __init__(self, blocks: Iterable[tuple[Entry, ...]] = ()) -> None:
        self._blocks = tuple(blocks)
        self._ends = tuple(accumulate(map(len, self._blocks)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[Entry]:
        return chain.from_iterable(self._blocks)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Entry, ...]: ...
    def __getitem__(self, index: int | slice) -> Entry | tuple[Entry, ...]:
        if isinstance(index, slice):
            return tuple(self[place] for place in range(*index.indices(len(self))))
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"there are {len(self)} entries, got index {index}")
        block = bisect_right(self._ends, place)
        from_its_end = place - self._ends[block]
        return self._blocks[block][from_its_end]


@dataclass(frozen=True, slots=True)
class _Block:
    entries: tuple[Entry, ...]
    finished: tuple[Entry, ...]


class MergedHistory:
    """The history of one Experiment, put together from differences.

    Every text is parsed once. Histories given out stay as they are when later differences come. Not
    thread-safe: one caller at a time. Dropping it costs the time to be told everything again, nothing else.

    Attributes:
        token: names the state after the last difference; empty at first and when it has no name.
    """

    def __init__(self, problem: Problem) -> None:
        self.token = ""
        self._space = problem.space
        self._objective = problem.metric_names[0] if problem.metric_names else ""
        self._sign = -1.0 if is_maximized(problem) else 1.0
        self._by_name: dict[str, Entry] = {}
        self._blocks: dict[int, _Block] = {}

    def __len__(self) -> int:
        return len(self._by_name)

    def suits(self, problem: Problem) -> bool:
        """Whether the typed entries mean the same for this problem."""
        objective = problem.metric_names[0] if problem.metric_names else ""
        sign = -1.0 if is_maximized(problem) else 1.0
        return (self._space, self._objective, self._sign) == (problem.space, objective, sign)

    def replace(self, lines: Iterable[Line], *, token: str = "") -> None:
        """Takes the lines for the whole history; what was parsed before is not parsed again."""
        entries = [self._entry(line) for line in lines]
        self._by_name.clear()
        self._blocks.clear()
        self._put(entries, ())
        self.token = token

    def merge(self, lines: Iterable[Line], *, removed: Iterable[str] = (), token: str = "") -> None:
        """Applies new and changed lines and takes out removed names; doing it twice does no harm."""
        self._put([self._entry(line) for line in lines], removed)
        self.token = token

    def history(self, reads: Reads, *, total: int) -> History:
        """What an algorithm that reads so much gets to see.

        Args:
            reads: which part.
            total: how many proposals were ever made.
        """
        if reads is Reads.NOTHING:
            return History(total=total)
        ordered = [self._blocks[key] for key in sorted(self._blocks)]
        if reads is Reads.FINISHED:
            return History(Entries(block.finished for block in ordered), total=total, token=self.token)
        return History(Entries(block.entries for block in ordered), total=total, token=self.token)

    def _put(self, entries: Iterable[Entry], removed: Iterable[str]) -> None:
        changed: dict[int, dict[str, Entry | None]] = {}
        for name in removed:
            gone = self._by_name.pop(name, None)
            if gone is not None:
                changed.setdefault(gone.number // _BLOCK, {})[name] = None
        for entry in entries:
            old = self._by_name.get(entry.name)
            if old is not None and old.number // _BLOCK != entry.number // _BLOCK:
                changed.setdefault(old.number // _BLOCK, {})[entry.name] = None
            self._by_name[entry.name] = entry
            changed.setdefault(entry.number // _BLOCK, {})[entry.name] = entry
        for key, changes in changed.items():
            self._rebuild(key, changes)

    def _rebuild(self, key: int, changes: dict[str, Entry | None]) -> None:
        block = self._blocks.pop(key, None)
        kept: dict[str, Entry | None] = {entry.name: entry for entry in block.entries} if block else {}
        merged = [entry for entry in (kept | changes).values() if entry is not None]
        merged.sort(key=lambda entry: (entry.number, entry.name))
        if merged:
            finished = tuple(entry for entry in merged if not entry.outcome.is_pending)
            self._blocks[key] = _Block(tuple(merged), finished)

    def _entry(self, line: Line) -> Entry:
        known = self._by_name.get(line.name)
        if known is not None and known.raw == line.assignment:
            assignment = known.assignment
        else:
            assignment = self._space.parse_assignment(line.assignment)
        metrics = {name: value for name, value in map(_measured, line.metrics.items()) if value is not None}
        loss = metrics.get(self._objective) if line.outcome in _WITH_RESULT else None
        return Entry(
            name=line.name,
            assignment=assignment,
            outcome=line.outcome,
            loss=None if loss is None else self._sign * loss,
            metrics=metrics,
            labels=line.labels,
            number=line.number,
            raw=line.assignment,
            start_time=line.start_time,
            completion_time=line.completion_time,
        )


def _measured(metric: tuple[str, str]) -> tuple[str, float | None]:
    name, text = metric
    try:
        return name, float(text) if "_" not in text else None
    except ValueError:
        return name, None
