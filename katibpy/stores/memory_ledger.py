"""What the memory store keeps of one Experiment: no question that a planner asks scans its Trials."""

from __future__ import annotations

from bisect import bisect_left, insort
from heapq import heapify, heappop, heappush
from operator import attrgetter
from typing import TypeAlias

from katibpy.api.suggestion import TrialAssignment
from katibpy.api.trial import Trial
from katibpy.core.phases import ACTIVE_PHASES, TrialPhase, trial_phase
from katibpy.core.records import NAME_LIMIT, BestTrial, StoredProposal, Tally, rank_of
from katibpy.stores.history_records import alters_record

_RANKED = (TrialPhase.SUCCEEDED, TrialPhase.EARLY_STOPPED)

_Place: TypeAlias = tuple[int, int, str]
"""`(number, sequence, name)`: creation order; the sequence tells Trials without a number apart."""


class _Line:
    """One Trial of the ledger."""

    __slots__ = ("phase", "place", "rank", "trial")

    def __init__(self, trial: Trial, place: _Place, phase: TrialPhase, rank: float | None) -> None:
        self.trial = trial
        self.place = place
        self.phase = phase
        self.rank = rank


class TrialLedger:
    """Counts, best, newest, active and changed Trials of one Experiment.

    Every change costs a few dictionary steps, however many Trials there are. The class has no lock:
    the store's lock guards it.
    """

    def __init__(self) -> None:
        self.version = 0
        """Store version of the last change of the history."""
        self.proposals: dict[str, StoredProposal] = {}
        self.memory: bytes | None = None
        self._lines: dict[str, _Line] = {}
        self._counts: dict[TrialPhase, int] = {}
        self._active: dict[str, _Line] = {}
        self._active_order: list[_Line] | None = None
        self._finished: dict[TrialPhase, list[_Place]] = {}
        self._ranking: dict[TrialPhase, list[tuple[float, _Place]]] = {phase: [] for phase in _RANKED}
        # Both are ordered by version: a name moves to the end whenever it changes.
        self._changed: dict[str, int] = {}
        self._removed: dict[str, int] = {}
        self._newest_names: dict[TrialPhase, tuple[str, ...]] = {}
        self._tally: Tally | None = None

    @property
    def size(self) -> int:
        """Number of records in the history."""
        return len(self._lines) + len(self.proposals)

    def knows(self, name: str) -> bool:
        """Whether a Trial or a proposal has the name."""
        return name in self._lines or name in self.proposals

    def propose(self, number: int, assignment: TrialAssignment, *, version: int) -> None:
        """Adds a proposal."""
        self.proposals[assignment.name] = StoredProposal(number=number, assignment=assignment)
        self._touch(assignment.name, version)

    def withdraw_proposals(self, *, version: int) -> None:
        """Takes out every proposal and the memory."""
        for name in self.proposals:
            self._forget(name, version)
        self.proposals = {}
        self.memory = None

    def put(self, trial: Trial, *, sequence: int, version: int) -> None:
        """Adds a Trial, in place of its proposal, or replaces what is known of it."""
        name = trial.metadata.name
        phase = trial_phase(trial.status.conditions)
        rank = rank_of(trial) if phase in _RANKED else None
        line = self._lines.get(name)
        if line is None:
            self.proposals.pop(name, None)
            line = _Line(trial, (trial.spec.number or 0, sequence, name), phase, rank)
            self._lines[name] = line
            self._enter(line)
            self._touch(name, version)
            return
        if phase is not line.phase or alters_record(line.trial, trial):
            place = (trial.spec.number or 0, sequence, name)
            if (phase, rank, place) != (line.phase, line.rank, line.place):
                self._leave(line)
                line.phase, line.rank, line.place = phase, rank, place
                self._enter(line)
            self._touch(name, version)
        line.trial = trial
        self._tally = None

    def take(self, name: str, *, version: int) -> None:
        """Takes a Trial out for good."""
        self._leave(self._lines.pop(name))
        self._forget(name, version)

    def active_trials(self) -> tuple[Trial, ...]:
        """Trials that have not ended, in creation order."""
        if self._active_order is None:
            self._active_order = sorted(self._active.values(), key=attrgetter("place"))
        return tuple([line.trial for line in self._active_order])

    def tally(self) -> Tally:
        """The tally as of now."""
        if self._tally is None:
            self._tally = Tally(
                counts={phase: count for phase, count in self._counts.items() if count},
                best=self._best(),
                newest={phase: self._newest(phase) for phase, places in self._finished.items() if places},
            )
        return self._tally

    def changed_since(self, base: int) -> tuple[list[Trial], list[StoredProposal], tuple[str, ...]]:
        """Trials, proposals and removed names that changed after a version, in no particular order."""
        names = _newer(self._changed, base)
        trials = [self._lines[name].trial for name in names if name in self._lines]
        proposals = [self.proposals[name] for name in names if name in self.proposals]
        return trials, proposals, tuple(reversed(_newer(self._removed, base)))

    def everything(self) -> tuple[list[Trial], list[StoredProposal]]:
        """All Trials and proposals, in no particular order."""
        return [line.trial for line in self._lines.values()], list(self.proposals.values())

    def _enter(self, line: _Line) -> None:
        phase = line.phase
        self._counts[phase] = self._counts.get(phase, 0) + 1
        if phase in ACTIVE_PHASES:
            self._active[line.place[2]] = line
            self._active_order = None
        else:
            insort(self._finished.setdefault(phase, []), line.place)
            self._newest_names.pop(phase, None)
        if line.rank is not None:
            heappush(self._ranking[phase], (line.rank, line.place))
        self._tally = None

    def _leave(self, line: _Line) -> None:
        phase = line.phase
        self._counts[phase] -= 1
        if phase in ACTIVE_PHASES:
            del self._active[line.place[2]]
            self._active_order = None
        else:
            places = self._finished[phase]
            del places[bisect_left(places, line.place)]
            self._newest_names.pop(phase, None)
        self._tally = None

    def _newest(self, phase: TrialPhase) -> tuple[str, ...]:
        names = self._newest_names.get(phase)
        if names is None:
            names = tuple([name for _, _, name in self._finished[phase][-NAME_LIMIT:]])
            self._newest_names[phase] = names
        return names

    def _best(self) -> BestTrial | None:
        for phase in _RANKED:
            ranking = self._ranking[phase]
            # Entries of Trials that were removed or changed stay in the heap until they surface, or
            # until they outnumber the others.
            if len(ranking) > 2 * self._counts.get(phase, 0) + 64:
                ranking[:] = [entry for entry in set(ranking) if self._is_current(phase, entry)]
                heapify(ranking)
            while ranking and not self._is_current(phase, ranking[0]):
                heappop(ranking)
            if ranking:
                rank, (number, _, name) = ranking[0]
                trial = self._lines[name].trial
                return BestTrial(
                    name=name,
                    number=number,
                    loss=rank,
                    assignments=trial.spec.parameter_assignments,
                    # A Trial without an observation has no rank.
                    observation=trial.status.observation,  # type: ignore[arg-type]
                )
        return None

    def _is_current(self, phase: TrialPhase, entry: tuple[float, _Place]) -> bool:
        rank, place = entry
        line = self._lines.get(place[2])
        return line is not None and line.phase is phase and line.rank == rank and line.place == place

    def _touch(self, name: str, version: int) -> None:
        self._changed.pop(name, None)
        self._changed[name] = version
        self._removed.pop(name, None)
        self.version = version

    def _forget(self, name: str, version: int) -> None:
        del self._changed[name]
        self._removed[name] = version
        self.version = version
        self._tally = None


def _newer(versions: dict[str, int], base: int) -> list[str]:
    """Names of which the version is greater, newest first."""
    newer = []
    for name, version in reversed(versions.items()):
        if version <= base:
            break
        newer.append(name)
    return newer
