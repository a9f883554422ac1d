"""How often something failed in a row, and until when to leave it alone."""

from __future__ import annotations

import threading

from katibpy.ports import Clock, Key


class Backoff:
    """Failures in a row by key. Any thread may call any method; `_lock` guards both tables."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._attempts: dict[Key, int] = {}
        self._until: dict[Key, float] = {}

    def failed(self, key: Key) -> int:
        """Counts a failure; returns how many there were in a row."""
        with self._lock:
            self._attempts[key] = self._attempts.get(key, 0) + 1
            return self._attempts[key]

    def succeeded(self, key: Key) -> None:
        """Forgets the failures."""
        with self._lock:
            self._attempts.pop(key, None)
            self._until.pop(key, None)

    def postpone(self, key: Key, delay_seconds: float) -> None:
        """Leaves the key alone for a while."""
        with self._lock:
            self._until[key] = self._clock.monotonic() + delay_seconds

    def seconds_left(self, key: Key) -> float:
        """How much longer the key is left alone, 0 when it is not."""
        with self._lock:
            return max(0.0, self._until.get(key, 0.0) - self._clock.monotonic())
