"""Runs trials in a simulated world: no process, no waiting, the same every time.

For tests and benchmarks. `SimulatedCollector` stands here and not with other collectors since it reads the
world and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from katibpy.api.experiment import Experiment
from katibpy.api.trial import Trial
from katibpy.core.runs import CollectionState, RunPhase, RunState
from katibpy.errors import FieldError, RunnerError, StoreError
from katibpy.ports import Key, ObservationStore, TrialOutputs
from katibpy.runners.simulated_world import SimulatedWorld

_ABSENT = RunState(RunPhase.ABSENT)
_DETACHED = CollectionState()
_ATTACHED = CollectionState(is_attached=True)
_SEEN_LIMIT = 50


class SimulatedRunner:
    """A `TrialRunner` over a world; the world keeps all state and its lock."""

    def __init__(self, world: SimulatedWorld) -> None:
        self._world = world
        self._is_closed = False

    def check(self, experiment: Experiment) -> tuple[FieldError, ...]:
        """Nothing is refused: templates are not looked at."""
        return ()

    def start(self, trial: Trial) -> None:
        """Starts the run unless it was started.

        Raises:
            RunnerError: the runner is closed.
        """
        if self._is_closed:
            raise RunnerError("the simulated runner is closed and starts nothing any more")
        self._world.start(trial)

    def stop(self, trial: Trial) -> None:
        """Begins to end the run."""
        self._world.stop(trial)

    def observe(self, trial: Trial) -> RunState:
        """The run as it is now."""
        run = self._world.find(trial.metadata.uid or "")
        return _ABSENT if run is None else run.state

    def outputs(self, trial: Trial) -> TrialOutputs | None:
        """None: simulated runs write no files."""
        return None

    def remove(self, trial: Trial) -> None:
        """Forgets an ended run."""
        self._world.forget(trial.metadata.uid or "")

    def subscribe(self, listener: Callable[[Key], None]) -> None:
        """Calls the listener with a Trial's key whenever its run may have changed."""
        self._world.listen(listener)

    def close(self, *, stop_runs: bool) -> None:
        """Ends the runner; with `stop_runs`, withdraws all runs."""
        self._is_closed = True
        if stop_runs:
            self._world.withdraw_all()


class SimulatedCollector:
    """A `MetricsCollector` that reads what simulated runs write. `_lock` guards `_states` and `_shipped`."""

    def __init__(self, world: SimulatedWorld, store: ObservationStore) -> None:
        self._world = world
        self._store = store
        self._lock = threading.RLock()
        self._states: dict[str, CollectionState] = {}
        self._shipped: dict[str, int] = {}
        self._listeners: tuple[Callable[[Key], None], ...] = ()
        world.listen_to_reports(self._read)

    def attach(self, trial: Trial, outputs: TrialOutputs | None) -> None:
        """Begins to follow the trial; no-op when it does already."""
        with self._lock:
            self._states.setdefault(trial.metadata.uid or "", _ATTACHED)

    def finish(self, trial: Trial) -> None:
        """Reads the rest; all of it is stored when this returns, unless the store refuses."""
        uid = trial.metadata.uid or ""
        with self._lock:
            state = self._states.get(uid)
            if state is None or state.is_drained or not self._ship(trial):
                return
            self._states[uid] = replace(self._states[uid], is_drained=True)
        self._tell(trial)

    def observe(self, trial: Trial) -> CollectionState:
        """How far it is."""
        return self._states.get(trial.metadata.uid or "", _DETACHED)

    def detach(self, trial: Trial) -> None:
        """Forgets the trial."""
        with self._lock:
            self._states.pop(trial.metadata.uid or "", None)
            self._shipped.pop(trial.metadata.uid or "", None)

    def subscribe(self, listener: Callable[[Key], None]) -> None:
        """Calls the listener with a Trial's key when it is drained or has new values."""
        self._listeners = (*self._listeners, listener)

    def close(self) -> None:
        """Stops all following."""
        with self._lock:
            self._states.clear()
            self._shipped.clear()
            self._listeners = ()

    def _read(self, trial: Trial) -> None:
        with self._lock:
            if (trial.metadata.uid or "") not in self._states or not self._ship(trial):
                return
        self._tell(trial)

    def _ship(self, trial: Trial) -> bool:
        """Stores what is new; False when the store refused."""
        uid = trial.metadata.uid or ""
        run = self._world.find(uid)
        written = () if run is None else run.written(self._world.clock.monotonic())
        objective = trial.spec.objective
        wanted = {objective.objective_metric_name, *objective.additional_metric_names}
        new = written[self._shipped.get(uid, 0) :]
        try:
            if new:
                self._store.append(uid, [value for value in new if value.metric in wanted])
        except StoreError as error:
            self._states[uid] = replace(
                self._states[uid], problem=f"its metrics cannot be stored now: {error}"
            )
            return False
        self._shipped[uid] = len(written)
        if new or self._states[uid].problem:
            seen = dict.fromkeys((*self._states[uid].seen_names, *(value.metric for value in new)))
            self._states[uid] = replace(self._states[uid], seen_names=tuple(seen)[:_SEEN_LIMIT], problem="")
        return True

    def _tell(self, trial: Trial) -> None:
        for listener in self._listeners:
            listener(trial.key)
