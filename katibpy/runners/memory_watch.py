"""Memory limits where the kernel keeps none: looks now and then at what trials use, and who has too much.

Counted are all descendants of the trial's first process and all that are in its session. What they share, the
pages of a forked data loader for one, counts once where the system can tell (Linux).
"""

from __future__ import annotations

import importlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

_INTERVAL_SECONDS = 0.25
# Looking may take this part of one cpu and no more, however many processes the host has.
_EFFORT = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """One trial that is watched.

    Attributes:
        leader: tells its first process, None as long as that is not known.
        limit: bytes.
        on_excess: called once, with the bytes that it used, from the watch's thread.
    """

    leader: Callable[[], int | None]
    limit: int
    on_excess: Callable[[int], None]


class MemoryWatch:
    """Looks at all watched trials in one pass. `_changed` guards `_watched` and `_is_closed`.

    Its thread lives while something is watched.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: list[Watched] = []
        self._is_running = False
        self._is_closed = False

    def add(self, watched: Watched) -> None:
        """Begins to watch a trial."""
        with self._changed:
            if self._is_closed:
                return
            self._watched.append(watched)
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._live, name="katib-memory", daemon=True).start()

    def remove(self, watched: Watched) -> None:
        """Ends that; no-op when it is not watched any more."""
        with self._changed:
            if watched in self._watched:
                self._watched.remove(watched)
                self._changed.notify()

    def close(self) -> None:
        """Watches nothing any more."""
        with self._changed:
            self._is_closed = True
            self._watched.clear()
            self._changed.notify()

    def _live(self) -> None:
        pause = _INTERVAL_SECONDS
        while True:
            with self._changed:
                if self._watched:
                    self._changed.wait(pause)
                if not self._watched:
                    self._is_running = False
                    return
                watched = tuple(self._watched)
            began = time.monotonic()
            try:
                self._look(watched)
            except Exception:
                logger.exception("the memory of trials cannot be looked at")
            pause = max(_INTERVAL_SECONDS, (time.monotonic() - began) / _EFFORT)

    def _look(self, watched: Iterable[Watched]) -> None:
        leaders = {each: pid for each in watched if (pid := each.leader()) is not None}
        members = members_of(leaders.values())
        for each, pid in leaders.items():
            used = used_by(members[pid], limit=each.limit)
            if used > each.limit:
                self.remove(each)
                each.on_excess(used)


def members_of(leaders: Iterable[int]) -> Mapping[int, list[Any]]:
    """The living processes of each trial, given the first process of each."""
    wanted = set(leaders)
    processes: dict[int, Any] = {}
    parents: dict[int, int] = {}
    for process in _psutil().process_iter(["ppid"]):
        processes[process.pid] = process
        parents[process.pid] = process.info["ppid"] or 0
    found: dict[int, list[Any]] = {leader: [] for leader in wanted}
    for pid, process in processes.items():
        leader = _leader_of(pid, parents, wanted)
        if leader is not None:
            found[leader].append(process)
    return found


def used_by(processes: Iterable[Any], *, limit: int) -> int:
    """Bytes of main memory that the processes use; exact only when they may be above the limit."""
    found = list(processes)
    resident = sum(_resident(process) for process in found)
    return resident if resident <= limit else sum(_own_share(process) for process in found)


def _leader_of(pid: int, parents: Mapping[int, int], wanted: set[int]) -> int | None:
    ancestor, steps = pid, 0
    while ancestor > 1 and steps < len(parents):
        if ancestor in wanted:
            return ancestor
        ancestor, steps = parents.get(ancestor, 0), steps + 1
    try:
        # A child whose parent has ended is nobody's descendant, but still in the session.
        session = os.getsid(pid)
    except OSError:
        return None
    return session if session in wanted else None


def _resident(process: Any) -> int:
    try:
        return int(process.memory_info().rss)
    except _psutil().Error:
        return 0


def _own_share(process: Any) -> int:
    try:
        full = process.memory_full_info()
    except _psutil().NoSuchProcess:
        return 0
    except _psutil().Error:
        return _resident(process)
    return int(getattr(full, "pss", 0) or getattr(full, "uss", 0) or full.rss)


def _psutil() -> Any:
    # Late: most programs of this package watch nothing.
    return importlib.import_module("psutil")
