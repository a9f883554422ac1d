"""Keeps attempts to their memory limit: by the kernel where it lets us, else by looking and killing."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

from katibpy.api.quantity import format_bytes
from katibpy.runners.attempt import Attempt
from katibpy.runners.cgroups import MemoryGroup, MemoryGroups, memory_groups
from katibpy.runners.memory_watch import MemoryWatch, Watched
from katibpy.runners.process_group import ProcessGroup


class MemoryLimits:
    """The limits of all runs of one runner. `_lock` guards the first look for control groups."""

    def __init__(self, groups: MemoryGroups | None = None) -> None:
        """Takes control groups to make others in; looks for them when they are first needed, unless given."""
        self._lock = threading.Lock()
        self._groups = groups
        self._has_looked = groups is not None
        self._watch = MemoryWatch()

    def entering(self, argv: Sequence[str], attempt: Attempt, limit: int | None) -> tuple[str, ...]:
        """The command that runs this command as an attempt, under the kernel's limit where there can be one.

        Raises:
            OSError: the attempt's directory cannot be written.
        """
        if limit is None or (groups := self._found_groups()) is None:
            return tuple(argv)
        name = hashlib.sha256(str(attempt.directory).encode()).hexdigest()[:16]
        try:
            group = groups.make(name, limit=limit)
        except OSError:
            return tuple(argv)
        # Whoever finds the attempt later has to know.
        attempt.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _group_path(attempt).write_text(str(group.path), encoding="utf-8")
        return group.entering(argv)

    def guard(self, processes: ProcessGroup, limit: int | None) -> Guard | None:
        """Watches over a living attempt; None when it has no limit. Close it when the waiting is over."""
        return None if limit is None else Guard(processes, limit, watch=self._watch)

    def close(self) -> None:
        """Watches nothing any more."""
        self._watch.close()

    def _found_groups(self) -> MemoryGroups | None:
        with self._lock:
            if not self._has_looked:
                self._has_looked = True
                self._groups = memory_groups()
            return self._groups


class Guard:
    """Watches over one attempt, whoever started it."""

    def __init__(self, processes: ProcessGroup, limit: int, *, watch: MemoryWatch) -> None:
        self._processes = processes
        self._limit = limit
        self._watch = watch
        self._message = ""
        self._note = processes.attempt.directory / "out-of-memory"
        self._group = _group_of(processes.attempt)
        self._watched: Watched | None = None
        if self._group is None:
            self._watched = Watched(processes.attempt.pid, limit, self._end)
            watch.add(self._watched)

    def close(self, *, is_over: bool) -> str:
        """Why memory ended the attempt, in words; "" when it did not.

        Args:
            is_over: the attempt has ended. If not, it goes on without us.
        """
        if self._watched is not None:
            self._watch.remove(self._watched)
            if not self._message:
                with contextlib.suppress(OSError):
                    self._message = self._note.read_text(encoding="utf-8")
            return self._message
        group = self._group
        if group is None or not is_over:
            return ""
        kills, peak = group.kills(), group.peak()
        group.remove()
        if not kills:
            return ""
        used = "" if peak is None else f" (it had {format_bytes(peak)})"
        limit = format_bytes(self._limit)
        return f"it needed more than its memory limit of {limit}{used}, and the kernel killed it"

    def _end(self, used: int) -> None:
        limit = format_bytes(self._limit)
        self._message = (
            f"it used {format_bytes(used)} of memory, more than its limit of {limit}, and was killed"
        )
        # Before the signal, so that whoever finds the attempt after a crash knows why it ended.
        with contextlib.suppress(OSError):
            self._note.write_text(self._message, encoding="utf-8")
        self._processes.kill()


def _group_path(attempt: Attempt) -> Path:
    return attempt.directory / "cgroup"


def _group_of(attempt: Attempt) -> MemoryGroup | None:
    try:
        path = Path(_group_path(attempt).read_text(encoding="utf-8"))
    except OSError:
        return None
    return MemoryGroup(path) if path.is_dir() else None
