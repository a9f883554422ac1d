"""Ends processes that left their trial's process group and stayed behind.

A process that makes a session of its own is out of reach of signals to the group. It still has the
environment it was started with, by which it is found on systems that show it (Linux: `/proc`). Elsewhere
such a process is left alone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from pathlib import Path

from katibpy.runners.alarms import Alarms

ATTEMPT_VARIABLE = "KATIB_ATTEMPT_DIRECTORY"
"""Set for every process of an attempt; no two attempts have the same value."""

_PROCESSES = Path("/proc")
_DELAY_SECONDS = 0.5


class Sweeper:
    """Looks for stragglers of many attempts in one pass, soon after they ended. `_lock` guards `_wanted`."""

    def __init__(self, alarms: Alarms) -> None:
        self._alarms = alarms
        self._lock = threading.Lock()
        self._wanted: set[bytes] = set()
        self._is_available = (_PROCESSES / "self" / "environ").exists()

    def add(self, attempt: str, *, is_urgent: bool = False) -> None:
        """Sweeps for processes that have this value of the variable: soon, or before it returns."""
        if not self._is_available:
            return
        with self._lock:
            is_first = not self._wanted
            self._wanted.add(os.fsencode(f"{ATTEMPT_VARIABLE}={attempt}"))
        if is_urgent:
            self.sweep()
        elif is_first:
            self._alarms.after(_DELAY_SECONDS, self.sweep)

    def sweep(self) -> None:
        """Sweeps now for all that were added."""
        with self._lock:
            wanted, self._wanted = self._wanted, set()
        if not wanted:
            return
        own = os.getpid()
        for entry in os.scandir(_PROCESSES):
            if entry.name.isdigit() and int(entry.name) != own:
                _end_if_marked(entry, wanted)


def _end_if_marked(entry: os.DirEntry[str], wanted: set[bytes]) -> None:
    # Foreign and vanished processes are passed by.
    with contextlib.suppress(OSError):
        with open(f"{entry.path}/environ", "rb") as file:
            environment = file.read()
        if not wanted.isdisjoint(environment.split(b"\0")):
            os.kill(int(entry.name), signal.SIGKILL)
