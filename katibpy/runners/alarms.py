"""Calls functions at later moments, all on one thread."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from collections.abc import Callable

from katibpy.ports import Clock

logger = logging.getLogger(__name__)


class Alarm:
    """A call that is due at some moment, and can be taken back."""

    def __init__(self, action: Callable[[], None]) -> None:
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        """Takes it back; no-op when it has been made."""
        self.action = None


class Alarms:
    """Pending calls. The thread starts with the first one and sleeps until the next is due.

    `_changed` guards the heap and the closing. Actions must be quick, since they share the thread.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._pending: list[tuple[float, int, Alarm]] = []
        self._order = itertools.count()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def after(self, seconds: float, action: Callable[[], None]) -> Alarm:
        """Calls the action once, that many seconds from now."""
        alarm = Alarm(action)
        with self._changed:
            if self._is_closed:
                return alarm
            heapq.heappush(self._pending, (self._clock.monotonic() + seconds, next(self._order), alarm))
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="katib-alarms", daemon=True)
                self._thread.start()
            elif self._pending[0][2] is alarm:
                self._changed.notify()
        return alarm

    def close(self) -> None:
        """Drops all pending calls and ends the thread."""
        with self._changed:
            self._is_closed = True
            self._pending.clear()
            self._changed.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _watch(self) -> None:
        while True:
            with self._changed:
                if self._is_closed:
                    return
                left = self._pending[0][0] - self._clock.monotonic() if self._pending else None
                if left is None or left > 0:
                    self._changed.wait(left)
                    continue
                alarm = heapq.heappop(self._pending)[2]
            action, alarm.action = alarm.action, None
            if action is None:
                continue
            try:
                action()
            except Exception:
                logger.exception("a timed action of the local runner failed")
