"""What a service keeps of Experiments between calls, and whose turn it is."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from katibpy.algo.hosting import HostedExperiment
from katibpy.errors import DeadlineExceeded, ServiceUnavailable
from katibpy.rpc.handlers import Caller

_GLANCE_SECONDS = 0.25
"""How often a waiting call looks whether its caller is still there."""


class Held:
    """What is kept of one Experiment; only the call whose turn it is touches it.

    Attributes:
        hosted: algorithm, problem and history; None at first.
        fingerprint: the Experiment message that `hosted` was made of.
    """

    def __init__(self) -> None:
        self.hosted: HostedExperiment | None = None
        self.fingerprint = b""
        self.users = 0
        self.size = 0
        self.turn = threading.Lock()


class HeldExperiments:
    """A bounded table of Experiments by key, each used by one call at a time.

    `_lock` guards the table and the counts in it; `Held.turn` is held while a call works. The least
    recently used are dropped when there are too many of them or of their history entries.
    """

    def __init__(
        self,
        *,
        experiment_limit: int = 1000,
        entry_limit: int = 1_000_000,
        waiting_limit: int = 2,
    ) -> None:
        """Prepares an empty table.

        Args:
            experiment_limit: how many Experiments may be kept.
            entry_limit: how many history entries all kept Experiments may have together.
            waiting_limit: how many calls may wait for one Experiment, so that it can't take all threads.
        """
        self._experiment_limit = experiment_limit
        self._entry_limit = entry_limit
        self._waiting_limit = waiting_limit
        self._lock = threading.Lock()
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._entries = 0

    def __len__(self) -> int:
        with self._lock:
            return len(self._held)

    @contextmanager
    def turn(self, key: str, caller: Caller) -> Iterator[Held]:
        """Waits until no other call works on the Experiment, at most as long as the caller does.

        Raises:
            DeadlineExceeded: the caller's deadline came first, or it has gone.
            ServiceUnavailable: too many calls wait for this Experiment already.
        """
        held = self._enter(key)
        try:
            while not held.turn.acquire(timeout=min(caller.remaining_seconds, _GLANCE_SECONDS)):
                if caller.is_cancelled():
                    raise DeadlineExceeded("an earlier request of the same Experiment still runs")
            try:
                yield held
            finally:
                self._resize(held)
                held.turn.release()
        finally:
            self._leave(key, held)

    def drop_all(self) -> None:
        """Forgets everything that no call uses right now; the next calls are told everything again."""
        with self._lock:
            for key in [key for key, held in self._held.items() if not held.users]:
                self._drop(key)

    def _enter(self, key: str) -> Held:
        with self._lock:
            held = self._held.setdefault(key, Held())
            if held.users > self._waiting_limit:
                raise ServiceUnavailable(
                    f"at most {self._waiting_limit} requests may wait for one Experiment; repeat it later"
                )
            held.users += 1
            self._held.move_to_end(key)
            return held

    def _resize(self, held: Held) -> None:
        size = len(held.hosted.history) if held.hosted is not None else 0
        with self._lock:
            self._entries += size - held.size
            held.size = size

    def _leave(self, key: str, held: Held) -> None:
        with self._lock:
            held.users -= 1
            if held.hosted is None and not held.users:
                self._drop(key)
            idle = [key for key, each in self._held.items() if not each.users] if self._is_full() else []
            for oldest in idle:
                if not self._is_full():
                    break
                self._drop(oldest)

    def _is_full(self) -> bool:
        return len(self._held) > self._experiment_limit or self._entries > self._entry_limit

    def _drop(self, key: str) -> None:
        self._entries -= self._held.pop(key).size
