"""The living processes of one attempt, whether this program started them or found them again."""

from __future__ import annotations

import signal
import subprocess
import threading
from dataclasses import dataclass
from datetime import UTC, datetime

from katibpy.runners.alarms import Alarm, Alarms
from katibpy.runners.attempt import Attempt, Exit, signal_group

FOUND_POLL_SECONDS = 0.1
"""How often a process that is not our child is looked at."""

_REST_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class End:
    """How an attempt ended.

    Attributes:
        exit: of its main process; None when it was killed together with its wrapper.
        signal_name: what killed it then, when that is known.
        has_stragglers: whether a process of it lives on outside of its group.
        excess: what it had of memory, and was not to have; "" when that did not end it.
    """

    exit: Exit | None
    signal_name: str
    has_stragglers: bool
    excess: str = ""


class ProcessGroup:
    """Waits for an attempt, and ends it.

    One thread waits; any may end it. `_lock` guards `_group` and `_alarm`. A group is signalled only as long
    as its leader has not been reaped or the attempt's lock is held, so its id cannot mean anything else.
    """

    def __init__(self, attempt: Attempt, *, alarms: Alarms, process: subprocess.Popen[bytes] | None) -> None:
        """Takes the child process, None when another program started it."""
        self.attempt = attempt
        self._alarms = alarms
        self._process = process
        self._lock = threading.Lock()
        self._group = attempt.pid() if process is None else process.pid
        self._alarm: Alarm | None = None
        self._grace_seconds: float | None = None
        self._news = threading.Event()
        self._is_killed = False
        self._is_abandoned = False

    def terminate(self, grace_seconds: float) -> None:
        """SIGTERM to the group, SIGKILL after the grace period. A second call can only shorten the period."""
        with self._lock:
            is_first = self._grace_seconds is None
            if not is_first and grace_seconds >= (self._grace_seconds or 0.0):
                return
            self._grace_seconds = grace_seconds
            if self._alarm is not None:
                self._alarm.cancel()
            if grace_seconds > 0:
                if is_first:
                    self._send(signal.SIGTERM)
                self._alarm = self._alarms.after(grace_seconds, self.kill)
        if grace_seconds <= 0:
            self.kill()
        self._news.set()

    def kill(self) -> None:
        """SIGKILL to the group."""
        with self._lock:
            self._grace_seconds = 0.0
            self._is_killed = True
            self._send(signal.SIGKILL)
        self._news.set()

    def abandon(self) -> None:
        """Lets the processes live, and ends the waiting as soon as that can be."""
        self._is_abandoned = True
        self._news.set()

    def wait(self) -> End | None:
        """Blocks until nothing of the attempt is left; None when it was abandoned."""
        code = self._wait_for_leader()
        if self._is_abandoned and self._grace_seconds is None:
            return None
        if self._grace_seconds is not None:
            self._wait_for_rest()
        result = self.attempt.exit()
        is_cleared = code == -signal.SIGKILL and result is not None
        with self._lock:
            # The wrapper clears its own group; we do where it could not and somebody is known to be left.
            if not is_cleared and (code is not None or self.attempt.is_held()):
                self._send(signal.SIGKILL)
            self._group = None
            if self._alarm is not None:
                self._alarm.cancel()
        if result is None and code is not None and code >= 0:
            # The trial deleted its directory, or the disk is full; its parent still hears the code.
            result = Exit(code, datetime.now(UTC))
        killer = signal.Signals(-code).name if code is not None and code < 0 else ""
        return End(result, killer, self.attempt.is_held())

    def _wait_for_leader(self) -> int | None:
        if self._process is not None:
            return self._process.wait()
        while self.attempt.exit() is None and self.attempt.is_held():
            with self._lock:
                if self._group is None:
                    self._group = self.attempt.pid()
                    if self._group is not None and self._grace_seconds is not None:
                        self._send(signal.SIGKILL if self._is_killed else signal.SIGTERM)
                group = self._group
            if group is not None and not signal_group(group, 0):
                # What still holds the lock has left the group; the trial itself is over.
                break
            is_ending = self._grace_seconds is not None
            if self._is_abandoned and not is_ending:
                break
            self._news.wait(_REST_POLL_SECONDS if is_ending else FOUND_POLL_SECONDS)
            self._news.clear()
        return None

    def _wait_for_rest(self) -> None:
        """Gives what the main process left behind what remains of the grace period."""
        while not self._is_killed and self.attempt.is_held():
            self._news.wait(_REST_POLL_SECONDS)
            self._news.clear()

    def _send(self, number: int) -> None:
        if self._group is not None:
            signal_group(self._group, number)
