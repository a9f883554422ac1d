"""A clock that moves only when it is told to."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta


class VirtualClock:
    """Time for simulations: it stands still until it is advanced.

    `_lock` guards the elapsed seconds.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The simulated moment in UTC."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Simulated seconds since the clock was made."""
        return self._elapsed

    def advance_to(self, moment: float) -> None:
        """Moves to a value of `monotonic`; a moment that has passed changes nothing."""
        with self._lock:
            self._elapsed = max(self._elapsed, moment)
