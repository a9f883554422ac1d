"""Runs trials as processes on this host.

Every trial has a directory `<directory>/<namespace>/<name>-<digest of its uid>`, readable by its user only:

    output.log      standard output and error of all attempts
    attempt-N/      lock, pid and exit of each attempt, see `attempt`
    metrics/        what the template writes to its metrics file, when the path can be moved here
    volumes/        its emptyDir volumes
    ending          why it is being ended, written before the first signal
    outcome.json    how it ended

Checkpoint directories lie elsewhere, see `checkpoints`: they stay when others are to begin with them.

That is all the runner's memory: a new one over the same directory knows every run, finds the ones that still
go on, and starts nothing twice. Runs therefore outlive the program, unless it says otherwise when it closes.

A failed attempt is followed by another as `backoffLimit` allows, which is 6 when the job does not say: as on
Kubernetes, only without its long pauses between attempts.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from katibpy.api.experiment import Experiment
from katibpy.api.trial import Trial
from katibpy.core.runs import RunPhase, RunState
from katibpy.errors import FieldError, RunnerError
from katibpy.ports import Clock, Key, TrialOutputs
from katibpy.runners.alarms import Alarms
from katibpy.runners.checkpoints import Checkpoints, file_name_of
from katibpy.runners.executables import search_path_of
from katibpy.runners.execution import Execution
from katibpy.runners.free_disk import FreeDisk
from katibpy.runners.gang.job import REPLICA_LOGS
from katibpy.runners.gang.kinds import gang_kind_of
from katibpy.runners.graveyard import Graveyard
from katibpy.runners.host_processes import HostProcesses
from katibpy.runners.local_host import Host
from katibpy.runners.local_run import LocalRun
from katibpy.runners.memory_limits import MemoryLimits
from katibpy.runners.slots import Slots
from katibpy.runners.stragglers import Sweeper

logger = logging.getLogger(__name__)

DEFAULT_GRACE_SECONDS = 10.0
DEFAULT_RETRY_DELAY_SECONDS = 0.05
_CLOSE_PATIENCE_SECONDS = 5.0
_CHECKPOINTS = ".checkpoints"

OUTPUT_NAME = "output.log"
"""What the file with a trial's output is called."""


def directory_of(trial: Trial, root: Path) -> Path:
    """Where a runner over `root` keeps what belongs to the trial."""
    return namespace_directory(root, trial.metadata.namespace) / file_name_of(trial)


@lru_cache(maxsize=64)
def namespace_directory(root: Path, namespace: str) -> Path:
    """Where a runner over `root` keeps the trials of a namespace."""
    # A dot alone would be a directory of another meaning.
    return root / (quote(namespace, safe="").replace(".", "%2E") or "default")


class LocalRunner:
    """A `TrialRunner` whose runs are process groups on this host. `_lock` guards `_runs` and `_is_closed`.

    Attributes:
        stop_grace_seconds: between SIGTERM and SIGKILL for jobs without `terminationGracePeriodSeconds`; may
            be changed at any time, and 0 means SIGKILL at once for all jobs.
        checkpoints: the checkpoint directories of its trials.
    """

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock,
        stop_grace_seconds: float = DEFAULT_GRACE_SECONDS,
        working_directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
        retry_delay_seconds: float = DEFAULT_RETRY_DELAY_SECONDS,
        slots: Slots | None = None,
        memory: MemoryLimits | None = None,
        execution: Execution | None = None,
        disk: FreeDisk | None = None,
        checkpoints: Path | None = None,
    ) -> None:
        """Opens a directory of runs, making it when needed.

        Args:
            directory: what the runs are kept in; one runner at a time.
            clock: the real time.
            stop_grace_seconds: see above.
            working_directory: of jobs without `workingDir`; the current directory when not given.
            environment: that trials get below their own; this program's when not given.
            retry_delay_seconds: pause before a second attempt; doubles with each further one.
            slots: hands out GPUs, cpus and memory; of this host and without GPUs when not given.
            memory: keeps trials to the memory they may use, as this host can when not given.
            execution: how jobs are run; as processes of this host when not given.
            disk: must have room before a trial starts; that of the directory when not given.
            checkpoints: keeps the checkpoint directories; `.checkpoints` in the directory when not given.
        """
        self._directory = directory.absolute()
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.stop_grace_seconds = stop_grace_seconds
        environment = dict(os.environ if environment is None else environment)
        self._alarms = Alarms(clock)
        self._sweeper = Sweeper(self._alarms)
        self._slots = slots or Slots()
        self._memory = memory or MemoryLimits()
        self._graveyard = Graveyard()
        self.checkpoints = Checkpoints(
            (checkpoints or self._directory / _CHECKPOINTS).absolute(), self._graveyard
        )
        self._host = Host(
            clock=clock,
            alarms=self._alarms,
            sweeper=self._sweeper,
            slots=self._slots,
            memory=self._memory,
            disk=disk or FreeDisk(self._directory),
            execution=execution or HostProcesses((working_directory or Path.cwd()).absolute()),
            environment=environment,
            search_path=search_path_of(environment),
            grace_seconds=lambda: self.stop_grace_seconds,
            retry_delay_seconds=retry_delay_seconds,
            checkpoints=self.checkpoints,
        )
        for namespace in self._directory.iterdir():
            self._graveyard.sweep(namespace)
        self._lock = threading.Lock()
        self._runs: dict[str, LocalRun] = {}
        self._listeners: tuple[Callable[[Key], None], ...] = ()
        self._is_closed = False

    def check(self, experiment: Experiment) -> tuple[FieldError, ...]:
        """What of the trial template a process on this host cannot honour."""
        return self._host.execution.check(experiment) or self._slots.check(experiment)

    def start(self, trial: Trial) -> None:
        """Starts the run unless it was started.

        Raises:
            RunnerError: the runner is closed, or its directory cannot be written.
        """
        run = self._run(trial, is_wanted=True)
        if run is None:
            raise RunnerError("the local runner is closed and starts nothing any more")
        if run.state.phase is RunPhase.ABSENT:
            try:
                self._prepare(trial, run)
            except OSError as error:
                message = f"the directory of trial {trial.metadata.name} cannot be made: {error}"
                raise RunnerError(message) from error
        run.begin()

    def stop(self, trial: Trial) -> None:
        """Begins to end the run; one that was never started is left as it is."""
        run = self._run(trial)
        if run is not None:
            run.stop()

    def observe(self, trial: Trial) -> RunState:
        """The run as it is now; finds the ones that an earlier runner started."""
        run = self._run(trial)
        return RunState(RunPhase.ABSENT) if run is None else run.state

    def outputs(self, trial: Trial) -> TrialOutputs:
        """Where the run leaves its output; the same before, during and after it."""
        directory = self._directory_of(trial)
        place = self._host.execution.metrics_place(trial, directory)
        return TrialOutputs(
            stdout=directory / OUTPUT_NAME,
            metrics_path=None if place is None else place.path,
            metrics_offset=0 if place is None or place.is_private else _read_offset(directory),
            side_logs="" if gang_kind_of(trial.spec.run_spec) is None else REPLICA_LOGS,
        )

    def remove(self, trial: Trial) -> None:
        """Forgets an ended run. Its files stay unless the Trial is deleted and does not retain its run."""
        uid = trial.metadata.uid or ""
        with self._lock:
            run = self._runs.get(uid)
            if run is not None and run.state.phase is not RunPhase.ENDED:
                return
            self._runs.pop(uid, None)
        if trial.metadata.deletion_timestamp is not None and not trial.spec.retain_run:
            self.discard(trial)
            self.checkpoints.discard(trial)

    def discard(self, trial: Trial) -> bool:
        """Removes the files of a run that has ended, but its checkpoints; False when there were none."""
        return self._graveyard.bury(self._directory_of(trial))

    def subscribe(self, listener: Callable[[Key], None]) -> None:
        """Calls the listener with a Trial's key whenever its run may have changed."""
        self._listeners = (*self._listeners, listener)

    def close(self, *, stop_runs: bool) -> None:
        """Ends the runner; with `stop_runs`, ends all runs and withdraws them.

        Runs that were being stopped one by one end as stopped and are not withdrawn. Interrupting it kills
        what is left.
        """
        with self._lock:
            self._is_closed = True
            runs = list(self._runs.values())
        if stop_runs:
            try:
                self._stop_all(runs)
            except BaseException:
                for run in runs:
                    run.kill()
                raise
        else:
            for run in runs:
                run.abandon()
        self._sweeper.sweep()
        self._graveyard.close()
        self._alarms.close()
        self._memory.close()
        self._listeners = ()

    def _stop_all(self, runs: list[LocalRun]) -> None:
        for run in runs:
            run.withdraw()
        deadline = time.monotonic() + self.stop_grace_seconds + _CLOSE_PATIENCE_SECONDS
        for run in runs:
            if not run.join(max(0.0, deadline - time.monotonic())):
                logger.warning("trial %s does not end, not even when killed", run.trial.metadata.name)
            elif run.is_withdrawn:
                self._graveyard.bury(run.directory)
                self.checkpoints.discard(run.trial)

    def _run(self, trial: Trial, *, is_wanted: bool = False) -> LocalRun | None:
        """The trial's run; None when there is none and none is wanted."""
        uid = trial.metadata.uid or ""
        with self._lock:
            run = self._runs.get(uid)
            if run is not None:
                return run
            directory = self._directory_of(trial)
            if self._is_closed or not (is_wanted or directory.is_dir()):
                return None
            run = LocalRun(trial, directory=directory, host=self._host, on_change=self._tell)
            if run.state.phase is RunPhase.ABSENT and not is_wanted:
                return None
            self._runs[uid] = run
        if run.state.phase is RunPhase.RUNNING:
            run.begin()
        return run

    def _prepare(self, trial: Trial, run: LocalRun) -> None:
        run.directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        run.directory.mkdir(mode=0o700, exist_ok=True)
        place = self._host.execution.metrics_place(trial, run.directory)
        if place is None or place.is_private or place.is_directory:
            return
        # The one file that is not the trial's own: what stands in it already is not this trial's doing.
        offset = run.directory / "metrics-offset"
        if not offset.exists():
            size = place.path.stat().st_size if place.path.is_file() else 0
            offset.write_text(str(size), encoding="ascii")

    def _directory_of(self, trial: Trial) -> Path:
        return directory_of(trial, self._directory)

    def _tell(self, trial: Trial) -> None:
        if self._is_closed:
            return
        for listener in self._listeners:
            try:
                listener(trial.key)
            except Exception:
                logger.exception("a listener of the local runner failed")


def _read_offset(directory: Path) -> int:
    try:
        return int((directory / "metrics-offset").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0
