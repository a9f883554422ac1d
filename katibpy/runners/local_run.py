"""The life of one trial's run on this host: attempts, deadlines, stopping, and its end."""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from katibpy.api.trial import Trial
from katibpy.core.runs import RunPhase, RunState
from katibpy.errors import InvalidResource, RunnerError
from katibpy.runners import outcome as ends
from katibpy.runners.alarms import Alarm
from katibpy.runners.attempt import Attempt
from katibpy.runners.checkpoint_start import begin_checkpoints
from katibpy.runners.execution import CannotStart, Launch
from katibpy.runners.local_host import Host
from katibpy.runners.local_job import LocalJob
from katibpy.runners.outcome import Outcome
from katibpy.runners.process_group import End, ProcessGroup
from katibpy.runners.slots import Ticket
from katibpy.runners.stragglers import ATTEMPT_VARIABLE
from katibpy.runners.verdict import verdict_on

logger = logging.getLogger(__name__)

_BUSY_HOST = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
_BUSY_RETRY_SECONDS = 0.5
_BUSY_PATIENCE_SECONDS = 60.0
_DISK_POLL_SECONDS = 0.5
_DISK_REWORD_SECONDS = 5.0
_LONGEST_RETRY_DELAY_SECONDS = 10.0
_WITHDRAWN = "Withdrawn"
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class _Over(Exception):
    """The run needs its thread no longer: it has ended, was withdrawn, or its runner was closed."""


class LocalRun:
    """One run. Its thread goes through the attempts one after another and blocks while a process lives.

    `_lock` guards `_state`, `_processes` and `_ending`; it is held while a process is spawned, so a stop
    either comes before that and prevents it, or finds the processes.
    """

    def __init__(
        self, trial: Trial, *, directory: Path, host: Host, on_change: Callable[[Trial], None]
    ) -> None:
        self.trial = trial
        self.directory = directory
        self.is_withdrawn = False
        self._host = host
        self._on_change = on_change
        self._lock = threading.Lock()
        self._state = RunState(RunPhase.ABSENT)
        self._processes: ProcessGroup | None = None
        self._ending = ""
        self._is_abandoned = False
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._job: LocalJob | None = None
        self._ticket: Ticket | None = None
        self._started_at: datetime | None = None
        self._recall()

    @property
    def state(self) -> RunState:
        """The run as it is now."""
        return self._state

    @property
    def output_path(self) -> Path:
        """File with all that the trial prints."""
        return self.directory / "output.log"

    def begin(self) -> None:
        """Starts the run, or goes on with it, unless it goes on already or has ended."""
        with self._lock:
            if self._thread is not None or self._state.phase is RunPhase.ENDED:
                return
            if self._state.phase is RunPhase.ABSENT:
                # Without a message: that takes a moment only, too short to be written down for each trial.
                self._state = ends.waiting_state(self.trial, "Starting", "")
            name = f"katib-run-{self.trial.metadata.name}"
            self._thread = threading.Thread(target=self._live, name=name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Begins to end it; no-op when it is ending or has ended."""
        self._begin_to_end(ends.STOPPED)

    def withdraw(self) -> None:
        """Begins to end it so that nothing of it counts; a run that ends for another reason just ends."""
        self._begin_to_end(_WITHDRAWN)
        processes = self._processes
        if processes is not None and self._ending:
            processes.terminate(min(self._grace_seconds(), self._host.grace_seconds()))

    def kill(self) -> None:
        """Ends the processes of a run that is ending, at once."""
        processes = self._processes
        if processes is not None and self._ending:
            processes.kill()

    def abandon(self) -> None:
        """Lets the process go on without being watched."""
        with self._lock:
            self._is_abandoned = True
            processes = self._processes
        self._wake_up()
        if processes is not None:
            processes.abandon()

    def join(self, timeout: float) -> bool:
        """Waits for the run's thread; False when it still goes on."""
        if self._thread is not None:
            self._thread.join(timeout)
            return not self._thread.is_alive()
        return True

    # What an earlier runner left.

    def _recall(self) -> None:
        saved = Outcome.load(self.directory / "outcome.json")
        if saved is not None:
            self._state = saved.state(self.trial)
        elif self._last_attempt():
            with contextlib.suppress(OSError):
                self._ending = self._ending_path.read_text(encoding="utf-8")
            self._started_at = self._attempt(1).started_at()
            self._state = self._running(self._last_attempt())

    def _last_attempt(self) -> int:
        """Number of the last attempt that was started, 0 for none."""
        for number in itertools.count(1):
            if not self._attempt(number).was_started():
                return number - 1
        return 0

    def _attempt(self, number: int) -> Attempt:
        return Attempt(self.directory / f"attempt-{number}")

    @property
    def _ending_path(self) -> Path:
        return self.directory / "ending"

    # The thread.

    def _live(self) -> None:
        try:
            self._go_through_attempts()
        except _Over:
            pass
        except Exception as error:
            meta = self.trial.metadata
            logger.exception("the run of %s/%s broke", meta.namespace, meta.name)
            self._end(ends.START_FAILED, f"the local runner failed: {error}", failed=0)
        finally:
            if (ticket := self._ticket) is not None:
                is_alive = self._is_abandoned or self._attempt(max(1, self._last_attempt())).is_held()
                ticket.release(is_over=not is_alive)

    def _go_through_attempts(self) -> None:
        try:
            checkpoints = self._host.checkpoints.directory_of(self.trial)
            self._job = job = self._host.execution.job_of(self.trial, self.directory, checkpoints)
        except InvalidResource as error:
            self._end(ends.INVALID_JOB, str(error), failed=0)
            return
        for number in itertools.count(max(1, self._last_attempt())):
            attempt = self._attempt(number)
            processes = self._found(attempt) if attempt.was_started() else self._spawned(attempt, job, number)
            end, is_overdue = self._watch(processes, job, number)
            end = replace(end, excess=self._host.execution.end(attempt.directory) or end.excess)
            self._host.sweeper.add(str(attempt.directory), is_urgent=end.has_stragglers)
            failure = self._conclude(end, job, number, is_overdue=is_overdue)
            delay = self._host.retry_delay_seconds * 2.0 ** min(number - 1, 30)
            self._show(self._running(number, failure=failure))
            self._wake.wait(min(delay, _LONGEST_RETRY_DELAY_SECONDS))
            if self._is_over():
                self._conclude(end, job, number, is_overdue=is_overdue)

    def _found(self, attempt: Attempt) -> ProcessGroup:
        with self._lock:
            self._processes = ProcessGroup(attempt, alarms=self._host.alarms, process=None)
            return self._processes

    def _watch(self, processes: ProcessGroup, job: LocalJob, number: int) -> tuple[End, bool]:
        """Waits for an attempt; returns how it ended and whether it took longer than one may take."""
        now = self._host.clock.now()
        started_at = processes.attempt.started_at() or now
        self._started_at = self._started_at or started_at
        overdue = threading.Event()

        def end_attempt() -> None:
            overdue.set()
            processes.terminate(self._grace_seconds())

        alarms: list[Alarm] = []
        if job.deadline_seconds is not None:
            left = job.deadline_seconds - (now - self._started_at).total_seconds()
            alarms.append(self._host.alarms.after(left, lambda: self._begin_to_end(ends.DEADLINE_EXCEEDED)))
        if job.attempt_deadline_seconds is not None:
            left = job.attempt_deadline_seconds - (now - started_at).total_seconds()
            alarms.append(self._host.alarms.after(left, end_attempt))
        guard = self._host.memory.guard(processes, job.demand.memory_limit)
        self._show(self._running(number))
        if self._ending:
            processes.terminate(self._grace_seconds())
        try:
            end = processes.wait()
        finally:
            for alarm in alarms:
                alarm.cancel()
        excess = "" if guard is None else guard.close(is_over=end is not None)
        with self._lock:
            self._processes = None
        if end is None:
            raise _Over
        return replace(end, excess=excess), overdue.is_set()

    # Starting.

    def _spawned(self, attempt: Attempt, job: LocalJob, number: int) -> ProcessGroup:
        environment = {"PYTHONUNBUFFERED": "1", **self._host.environment, "PATH": self._host.search_path}
        failed = number - 1
        try:
            self._host.execution.inspect(job, environment)
            self._await_disk()
            if number == 1:  # a further attempt goes on with what the last one left
                show, is_over = self._show, self._is_over
                begin_checkpoints(self.trial, self._host, log=self.output_path, show=show, is_over=is_over)
            self._queue_up(job, failed)
            self._await_disk()  # which others may have filled meanwhile
            environment[ATTEMPT_VARIABLE] = str(attempt.directory)
            return self._persist(attempt, job, environment)
        except CannotStart as error:
            self._end(error.reason, str(error), failed=failed + 1)
            raise _Over from error
        except (OSError, ValueError) as error:
            self._end(ends.START_FAILED, f"the process could not be started: {error}", failed=failed + 1)
            raise _Over from error

    def _await_disk(self) -> None:
        """Waits until the disk has room, or the run is to end."""
        shown, show_at = "", 0.0
        while not self._is_over() and (shortage := self._host.disk.shortage()):
            now = self._host.clock.monotonic()
            if shortage != shown and now >= show_at:
                shown, show_at = shortage, now + _DISK_REWORD_SECONDS
                self._show(ends.waiting_state(self.trial, "WaitsForDisk", shortage))
            self._wake.wait(_DISK_POLL_SECONDS)

    def _persist(self, attempt: Attempt, job: LocalJob, environment: Mapping[str, str]) -> ProcessGroup:
        """Spawns the attempt, again and again while the host is too busy for another process."""
        granted = self._host.slots.environment(job.demand, self._ticket)
        patience = self._host.clock.monotonic() + _BUSY_PATIENCE_SECONDS
        while True:
            try:
                launch = self._host.execution.launch(job, environment, granted, attempt.directory)
                return self._spawn(attempt, launch, job.demand.memory_limit)
            except OSError as error:
                if error.errno not in _BUSY_HOST or self._host.clock.monotonic() > patience:
                    raise
                message = f"this host cannot start a process now: {error}"
                self._show(ends.waiting_state(self.trial, "HostBusy", message))
                self._wake.wait(_BUSY_RETRY_SECONDS)

    def _queue_up(self, job: LocalJob, failed: int) -> None:
        """Waits until this host has what the job asks for, or the run is to end. Held for all attempts."""
        if self._ticket is not None or not job.demand.needs_slot:
            return
        try:
            self._ticket = self._host.slots.claim(job.demand, trial=self.trial.metadata.name)
        except RunnerError as error:
            self._end(ends.START_FAILED, str(error), failed=failed + 1)
            raise _Over from error
        self._ticket.wait(
            is_over=self._is_over,
            show=lambda why: self._show(ends.waiting_state(self.trial, why.reason, why.message)),
        )

    def _spawn(self, attempt: Attempt, launch: Launch, memory_limit: int | None) -> ProcessGroup:
        limit = None if self._ending else memory_limit
        argv = self._host.memory.entering(launch.argv, attempt, limit)
        with self._lock:
            descriptor = None if self._is_over() else attempt.acquire()
            if descriptor is not None:
                try:
                    process = attempt.spawn(
                        argv,
                        lock=descriptor,
                        output=self.output_path,
                        working_directory=launch.working_directory,
                        environment=launch.environment,
                        inherited=() if self._ticket is None else (self._ticket.descriptor,),
                    )
                finally:
                    os.close(descriptor)
                self._processes = ProcessGroup(attempt, alarms=self._host.alarms, process=process)
                return self._processes
        if self._ending == ends.STOPPED:
            self._end(ends.STOPPED, "it was stopped before its process was started", failed=0)
        if self._is_over():
            self.is_withdrawn = self._ending == _WITHDRAWN
            raise _Over
        return self._found(attempt)

    # Ending.

    def _is_over(self) -> bool:
        return bool(self._ending) or self._is_abandoned

    def _begin_to_end(self, reason: str) -> None:
        with self._lock:
            is_idle = self._state.phase is RunPhase.ABSENT and reason != _WITHDRAWN
            if is_idle or self._state.phase is RunPhase.ENDED or self._ending:
                return
            self._ending = reason
            processes = self._processes
            if reason != _WITHDRAWN:
                # Before any signal, so that whoever finds the run after a crash knows why it ended.
                with contextlib.suppress(OSError):
                    self._ending_path.write_text(reason, encoding="utf-8")
        self._wake_up()
        if processes is not None:
            processes.terminate(self._grace_seconds())

    def _wake_up(self) -> None:
        """Ends all waiting of the run's thread but that for a process."""
        self._wake.set()
        if (ticket := self._ticket) is not None:
            ticket.wake()

    def _grace_seconds(self) -> float:
        limit = self._host.grace_seconds()
        wanted = self._job.grace_seconds if self._job is not None else None
        if wanted is None or limit <= 0:
            return limit
        return min(wanted, limit) if self._ending == _WITHDRAWN else wanted

    def _conclude(self, end: End, job: LocalJob, number: int, *, is_overdue: bool) -> str:
        """Ends the run, or returns why there is to be another attempt."""
        if self._ending == _WITHDRAWN:
            self.is_withdrawn = True
            raise _Over
        found = verdict_on(end, job, number=number, ending=self._ending, is_overdue=is_overdue)
        if found.has_culprit and (part := self._host.execution.explain(self._attempt(number).directory)):
            found = replace(found, message=f"{part}: {found.message}")
        if found.is_final:
            code, at = (end.exit.code, end.exit.ended_at) if end.exit is not None else (None, None)
            self._end(found.reason, found.message, failed=found.failed, code=code, at=at)
        if found.is_final or self._is_abandoned:
            raise _Over
        return found.message

    def _end(
        self, reason: str, message: str, *, failed: int, code: int | None = None, at: datetime | None = None
    ) -> None:
        if self._started_at is not None and not self.directory.is_dir():
            message += f"; its directory {self.directory} was removed while it ran, and its output with it"
        outcome = Outcome(
            reason=reason,
            message=message,
            failed=failed,
            exit_code=code,
            started_at=self._started_at,
            # A file's time comes from a coarser clock, and must not be before the start.
            ended_at=max(at or self._host.clock.now(), self._started_at or _LONG_AGO),
        )
        outcome.save(self.directory / "outcome.json")
        self._show(outcome.state(self.trial))

    def _running(self, number: int, *, failure: str = "") -> RunState:
        """The run during an attempt, or after one that failed."""
        message = f"attempt {number}" if number > 1 else ""
        return ends.running_state(
            self.trial,
            started_at=self._started_at or self._host.clock.now(),
            failed=number if failure else number - 1,
            is_between=bool(failure),
            message=f"attempt {number} failed and is followed by another: {failure}" if failure else message,
        )

    def _show(self, state: RunState) -> None:
        with self._lock:
            if self._state.phase is RunPhase.ENDED:
                return
            self._state = state
        self._on_change(self.trial)
