"""The engine and the stores of a state directory, shared by all clients of this program."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from katibpy.api.experiment import Experiment
from katibpy.api.model import Resource
from katibpy.core.phases import experiment_phase
from katibpy.display.values import counted
from katibpy.errors import KatibError, StateDirectoryLocked
from katibpy.ports import ObservationStore, ResourceStore

if TYPE_CHECKING:
    from katibpy.api.trial import Trial
    from katibpy.app.admission import Admitted
    from katibpy.app.local import LocalEngine, Submission
    from katibpy.app.state import State

GRACE_SECONDS = 10.0
_POLL_SECONDS = 0.2
_BESIDE_SECONDS = 2.0
"""So often a call that waits for another program looks whether that program still has the directory."""

_sessions_lock = threading.Lock()
_sessions: dict[Path, Session] = {}


def session_of(state_dir: Path) -> Session:
    """The one session of a state directory."""
    path = state_dir.absolute()
    with _sessions_lock:
        session = _sessions.get(path)
        if session is None or session.is_foreign:
            session = _sessions[path] = Session(path)
        return session


class Session:
    """A state directory as this program uses it.

    Reading needs no engine and works beside other programs. The engine, and with it the directory's lock, is
    taken by the first call that has something to run, and kept until `close`. `_lock` guards `_engine`,
    `_state` and `_names`.
    """

    def __init__(self, state_dir: Path) -> None:
        """Opens nothing yet."""
        self.state_dir = state_dir
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._engine: LocalEngine | None = None
        self._state: State | None = None
        self._names: set[tuple[str, str]] = set()

    @property
    def is_foreign(self) -> bool:
        """Whether it was opened by the program that this one was forked from: its threads are not here."""
        return self._process != os.getpid()

    @property
    def resources(self) -> ResourceStore:
        """The resource store.

        Raises:
            NotFound: nothing has run in the state directory yet.
        """
        return self._stores().resources

    @property
    def observations(self) -> ObservationStore:
        """The observation store; raises as `resources`."""
        return self._stores().observations

    @property
    def is_running(self) -> bool:
        """Whether this program has the engine."""
        return self._engine is not None

    def log_path(self, trial: Trial) -> Path:
        """Where the trial's output goes; the file is there once it has started."""
        return self._stores().log_path(trial)

    def open(self) -> None:
        """Takes the state directory for this program.

        Raises:
            StateDirectoryLocked: another program works on it.
        """
        self._running_engine()

    def refuse(self, admitted: Admitted, *, replace: bool = False) -> None:
        """Asks the algorithm of a new Experiment what it has against it; see `LocalEngine.refuse`.

        Raises:
            InvalidResource: the algorithm refuses its settings or the search space.
            StateDirectoryLocked: another program works on the directory.
        """
        self._running_engine().refuse(admitted, replace=replace)

    def submit(self, admitted: Admitted, *, replace: bool = False) -> Submission:
        """Hands in an Experiment and lets it run in the background.

        Raises:
            InvalidResource: one of that name is stored with another spec, and more than its budget differs.
            StateDirectoryLocked: another program works on the directory.
        """
        engine = self._running_engine()
        submission = engine.submit(admitted, replace=replace)
        with self._lock:
            self._names.add(submission.experiment.key[1:])
        engine.start()
        return submission

    def take_up(self, namespace: str, name: str) -> bool:
        """Goes on with a stored Experiment that nobody runs; False when another program has the directory."""
        try:
            engine = self._running_engine()
        except StateDirectoryLocked:
            return False
        if not engine.has(namespace, name):
            engine.resume(namespace, name)
            with self._lock:
                self._names.add((namespace, name))
        engine.start()
        return True

    def wait_until(self, is_reached: Callable[[], bool], timeout_seconds: float) -> bool:
        """Blocks until a condition holds; False at the timeout."""
        engine = self._engine
        if engine is not None:
            return engine.wait_until(is_reached, timeout_seconds)
        return _poll(is_reached, timeout_seconds)

    def delete(self, kind: type[Resource], namespace: str, name: str, *, timeout_seconds: float) -> bool:
        """Ends and removes an object and all it owns; False when that took longer than it may."""
        deadline, had_engine = time.monotonic() + timeout_seconds, self.is_running
        while True:
            left = max(0.0, deadline - time.monotonic())
            try:
                engine = self._running_engine()
                break
            except StateDirectoryLocked:
                # Who has the directory may end before having removed it; then it is for this program to do.
                if self._delete_beside(kind, namespace, name, min(left, _BESIDE_SECONDS)):
                    return True
                if left <= _BESIDE_SECONDS:
                    return False
        try:
            engine.delete(kind, namespace, name)
            is_gone = engine.wait_removed(kind, namespace, name, timeout_seconds=left)
        finally:
            if not had_engine:
                self.close()
        with self._lock:
            self._names.discard((namespace, name))
        return is_gone

    def close(self, *, kill: bool = False) -> None:
        """Stops what runs, so that it can go on later, and lets the directory go.

        The session may be used again: it opens what it needs.
        """
        if self.is_foreign:
            return
        with self._lock:
            engine, state, names = self._engine, self._state, self._names
            interrupted = [] if engine is None else _unfinished(engine.resources, names)
        if engine is not None:
            if interrupted:
                _say_stopping(engine.resources, interrupted)
            engine.close(kill=kill)
        with self._lock:
            if self._engine is engine:
                self._engine, self._names = None, set()
            if self._state is state:
                self._state = None
        if state is not None:
            state.close()
        for experiment in interrupted:
            say(_interrupted(experiment))

    def _delete_beside(self, kind: type[Resource], namespace: str, name: str, timeout_seconds: float) -> bool:
        """Marks the object; the program that has the directory ends and removes it."""
        resources = self.resources
        found = resources.find(kind, namespace, name)
        if found is None:
            return True
        resources.delete(kind, namespace, name)

        def is_gone() -> bool:
            now = resources.find(kind, namespace, name)
            return now is None or now.metadata.uid != found.metadata.uid

        return _poll(is_gone, timeout_seconds)

    def _stores(self) -> LocalEngine | State:
        self._check_process()
        with self._lock:
            if self._engine is not None:
                return self._engine
            if self._state is None:
                from katibpy.app.state import open_state  # it brings SQLAlchemy, which is slow

                self._state = open_state(self.state_dir)
            return self._state

    def _running_engine(self) -> LocalEngine:
        self._check_process()
        if _is_ending.is_set():
            raise KatibError("nothing can be run any more: this program is ending")
        with self._lock:
            if self._engine is None:
                from katibpy.app.local import LocalEngine

                self._engine = LocalEngine(self.state_dir, stop_grace_seconds=GRACE_SECONDS)
                _end_with_program()
            return self._engine

    def _check_process(self) -> None:
        if self.is_foreign:
            raise KatibError(
                "a client must be used in the process that made it, got one from before a fork: make another "
                "KatibClient here"
            )


def say(text: str) -> None:
    """Tells the user a line."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _poll(is_reached: Callable[[], bool], timeout_seconds: float) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while not is_reached():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(_POLL_SECONDS, left))
    return True


def _unfinished(resources: ResourceStore, names: set[tuple[str, str]]) -> list[Experiment]:
    try:
        found = [resources.find(Experiment, namespace, name) for namespace, name in sorted(names)]
    except KatibError:
        return []  # the state directory may have been removed, and trials must be ended all the same
    return [each for each in found if each is not None and not _is_over(each)]


def _is_over(experiment: Experiment) -> bool:
    return experiment_phase(experiment.status.conditions).is_finished


def _say_stopping(resources: ResourceStore, experiments: list[Experiment]) -> None:
    running = sum(len(resources.active_trials(each.metadata.uid or "")) for each in experiments)
    if running:
        say(f"katibpy: stopping {counted(running, 'trial')}, for up to {GRACE_SECONDS:g} s")


def _interrupted(experiment: Experiment) -> str:
    status, limit = experiment.status, experiment.spec.max_trial_count
    done = status.trials - status.trials_running - status.trials_pending
    of = counted(done, "trial") if limit is None else f"{done} of {counted(limit, 'trial')}"
    name = experiment.metadata.name
    return (
        f"katibpy: experiment {name} was interrupted after {of}; the same tune() or create_experiment(), or "
        f"wait_for_experiment_condition({name!r}), goes on with it"
    )


# How everything ends with the program. A thread that waits for the program's others runs before the
# interpreter begins to shut down, when threads and processes can still be started and waited for; functions
# of `atexit` run later, when Python 3.12 and newer allow neither. They are what is left when the wait was
# interrupted.

_closer: threading.Thread | None = None
_is_ending = threading.Event()


def _end_with_program() -> None:
    global _closer
    with _sessions_lock:
        if _closer is None or not _closer.is_alive():
            _closer = threading.Thread(target=_close_after_all, name="katibpy-closer", daemon=False)
            _closer.start()
            atexit.register(_kill_all)


def _close_after_all() -> None:
    threading.main_thread().join()
    # The interpreter waits for these, too, and they may be using a client.
    while others := [each for each in threading.enumerate() if _is_waited_for(each)]:
        for thread in others:
            thread.join()
    _is_ending.set()
    for session in _open_sessions():
        session.close()


def _is_waited_for(thread: threading.Thread) -> bool:
    return thread.is_alive() and not thread.daemon and thread is not threading.current_thread()


def _kill_all() -> None:
    _is_ending.set()
    for session in _open_sessions():
        session.close(kill=True)


def _open_sessions() -> list[Session]:
    with _sessions_lock:
        return [session for session in _sessions.values() if session.is_running and not session.is_foreign]
