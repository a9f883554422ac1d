"""Simulated trials and their virtual time, apart from the runners and collectors that look at them.

The world is what would be outside of the program: it goes on when a controller crashes. A new runner and a
new collector over the same world find everything as the old ones left it.
"""

from __future__ import annotations

import heapq
import itertools
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from katibpy.api.trial import Trial
from katibpy.core.records import ObservedValue
from katibpy.core.runs import RunPhase, RunState
from katibpy.ports import Key
from katibpy.runners.outcome import COMPLETED, STOPPED, Outcome, describe_failure, running_state
from katibpy.runners.virtual_clock import VirtualClock


@dataclass(frozen=True, slots=True)
class Report:
    """A value that a simulated trial writes.

    Attributes:
        after_seconds: when, from the start of its run.
        metric: name of the metric.
        text: the value as it is written.
    """

    after_seconds: float
    metric: str
    text: str


@dataclass(frozen=True, slots=True)
class Script:
    """What a simulated trial does.

    Attributes:
        duration_seconds: how long it runs; infinite for one that has to be stopped.
        exit_code: how it ends.
        reports: what it writes, in order of time; values after its end are never written.
        stop_seconds: how long it takes to end when it is stopped.
    """

    duration_seconds: float = 1.0
    exit_code: int = 0
    reports: tuple[Report, ...] = ()
    stop_seconds: float = 0.0


def script_of(
    metrics: dict[str, float | str], *, duration_seconds: float = 1.0, exit_code: int = 0
) -> Script:
    """A trial that writes one value of each metric as it ends."""
    reports = tuple(Report(duration_seconds, name, str(value)) for name, value in metrics.items())
    return Script(duration_seconds=duration_seconds, exit_code=exit_code, reports=reports)


@dataclass(slots=True)
class SimulatedRun:
    """One run in the world.

    Attributes:
        trial: whose run it is.
        script: what it does.
        started: virtual seconds at which it began.
        started_at: the same as a moment.
        state: as a runner reports it.
        ends: virtual seconds at which it ends.
        is_stopping: whether it was told to end.
    """

    trial: Trial
    script: Script
    started: float
    started_at: datetime
    state: RunState
    ends: float
    is_stopping: bool = False

    def written(self, now: float) -> Sequence[ObservedValue]:
        """What it has written by this moment."""
        base = self.started_at.timestamp()
        last = min(now, self.ends)
        return [
            ObservedValue(number, report.metric, report.text, base + report.after_seconds)
            for number, report in enumerate(self.script.reports)
            if self.started + report.after_seconds <= last
        ]


@dataclass(order=True, slots=True)
class _Event:
    moment: float
    order: int
    uid: str = field(compare=False)
    is_end: bool = field(compare=False)


class SimulatedWorld:
    """Runs by uid, and the events to come. `_lock` guards all of it; listeners are called without it.

    Attributes:
        clock: the world's time; give it to the controller as well.
        starts: uid of every start that took place, in order; a uid twice is a trial that ran twice.
        most_active: how many runs went on at once, at most.
    """

    def __init__(self, behaviour: Callable[[Trial], Script], *, clock: VirtualClock | None = None) -> None:
        """Takes what tells a trial's script; it is asked once for each start."""
        self.clock = clock or VirtualClock()
        self.starts: list[str] = []
        self.most_active = 0
        self._behaviour = behaviour
        self._lock = threading.RLock()
        self._runs: dict[str, SimulatedRun] = {}
        self._active = 0
        self._events: list[_Event] = []
        self._order = itertools.count()
        self._listeners: tuple[Callable[[Key], None], ...] = ()
        self._readers: tuple[Callable[[Trial], None], ...] = ()

    # What happens.

    def advance(self) -> bool:
        """Moves time to the next event and lets it happen; False when nothing is to come."""
        with self._lock:
            if self.next_moment() is None:
                return False
            event = heapq.heappop(self._events)
            run = self._runs[event.uid]
            self.clock.advance_to(event.moment)
            if event.is_end:
                self._end(run)
        self._tell(run.trial, is_written=not event.is_end)
        return True

    def advance_to(self, moment: float) -> None:
        """Lets everything happen up to this moment of the virtual clock, and moves time there."""
        while (following := self.next_moment()) is not None and following <= moment:
            self.advance()
        self.clock.advance_to(moment)

    def next_moment(self) -> float | None:
        """Virtual seconds at which something happens next; None when nothing is to come."""
        with self._lock:
            while self._events and self._is_stale(self._events[0]):
                heapq.heappop(self._events)
            return self._events[0].moment if self._events else None

    def crash(self) -> None:
        """Forgets who listens, as when the program that did is killed. Runs go on."""
        with self._lock:
            self._listeners = ()
            self._readers = ()

    @property
    def active(self) -> int:
        """How many runs go on."""
        return self._active

    # What runners do.

    def start(self, trial: Trial) -> None:
        """Begins a run unless there is one."""
        uid = trial.metadata.uid or ""
        with self._lock:
            if uid in self._runs:
                return
            script = self._behaviour(trial)
            now, started_at = self.clock.monotonic(), self.clock.now()
            state = running_state(trial, started_at=started_at, failed=0, is_between=False, message="")
            ends = now + script.duration_seconds
            self._runs[uid] = SimulatedRun(trial, script, now, started_at, state, ends)
            self._active += 1
            self.most_active = max(self.most_active, self._active)
            self.starts.append(uid)
            for report in script.reports:
                if report.after_seconds < script.duration_seconds:
                    self._schedule(now + report.after_seconds, uid, is_end=False)
            if math.isfinite(ends):
                self._schedule(ends, uid, is_end=True)
        self._tell(trial, is_written=False)

    def stop(self, trial: Trial) -> None:
        """Tells a run to end."""
        with self._lock:
            run = self._runs.get(trial.metadata.uid or "")
            if run is None or run.is_stopping or run.state.phase is RunPhase.ENDED:
                return
            run.is_stopping = True
            run.ends = self.clock.monotonic() + run.script.stop_seconds
            if run.script.stop_seconds > 0:
                self._schedule(run.ends, trial.metadata.uid or "", is_end=True)
                return
            self._end(run)
        self._tell(trial, is_written=False)

    def find(self, uid: str) -> SimulatedRun | None:
        """The run of a trial's uid."""
        return self._runs.get(uid)

    def forget(self, uid: str) -> None:
        """Drops a run that has ended."""
        with self._lock:
            run = self._runs.get(uid)
            if run is not None and run.state.phase is RunPhase.ENDED:
                del self._runs[uid]

    def withdraw_all(self) -> None:
        """Undoes every run that goes on; a run that was being stopped ends as stopped."""
        with self._lock:
            for uid, run in list(self._runs.items()):
                if run.state.phase is RunPhase.ENDED:
                    continue
                if run.is_stopping:
                    run.ends = self.clock.monotonic()
                    self._end(run)
                else:
                    del self._runs[uid]
                    self._active -= 1

    def listen(self, listener: Callable[[Key], None]) -> None:
        """Calls the listener with a Trial's key when its run changed, and now for every run there is."""
        with self._lock:
            self._listeners = (*self._listeners, listener)
            keys = [run.trial.key for run in self._runs.values()]
        for key in keys:
            listener(key)

    def listen_to_reports(self, reader: Callable[[Trial], None]) -> None:
        """Calls the reader with a trial that wrote something."""
        with self._lock:
            self._readers = (*self._readers, reader)

    def _is_stale(self, event: _Event) -> bool:
        """Whether the run it was meant for has ended or been withdrawn, or ends at another moment."""
        run = self._runs.get(event.uid)
        if run is None or run.state.phase is RunPhase.ENDED:
            return True
        return event.is_end and event.moment != run.ends

    def _schedule(self, moment: float, uid: str, *, is_end: bool) -> None:
        heapq.heappush(self._events, _Event(moment, next(self._order), uid, is_end))

    def _end(self, run: SimulatedRun) -> None:
        self._active -= 1
        code = run.script.exit_code
        if run.is_stopping:
            reason, message = STOPPED, "it was stopped"
        elif code == 0:
            reason, message = COMPLETED, "the process ended with exit code 0"
        else:
            reason, message = describe_failure(code, "")
        run.state = Outcome(
            reason=reason,
            message=message,
            failed=0 if reason == COMPLETED else 1,
            exit_code=None if run.is_stopping else code,
            started_at=run.started_at,
            ended_at=self.clock.now(),
        ).state(run.trial)

    def _tell(self, trial: Trial, *, is_written: bool) -> None:
        if is_written:
            for reader in self._readers:
                reader(trial)
        else:
            key = trial.key
            for listener in self._listeners:
                listener(key)
