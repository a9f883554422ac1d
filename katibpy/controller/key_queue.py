"""Keys that want to be looked at, now or later."""

from __future__ import annotations

import heapq
import threading
from collections import OrderedDict
from collections.abc import Mapping

from katibpy.ports import Clock, Key


class KeyQueue:
    """A queue of resource keys: each key at most once, never in two hands at a time, timers included.

    A key added while it is in hand comes back when it is done. All methods may be called from any
    thread; `_condition` guards every attribute.
    """

    def __init__(self, clock: Clock, *, at_most: Mapping[str, int] | None = None) -> None:
        """Makes an empty queue.

        Args:
            clock: tells when timers are due.
            at_most: how many keys of a kind may be in hand at once; as many as there are hands unless given.
        """
        self._clock = clock
        self._at_most = dict(at_most or {})
        self._condition = threading.Condition()
        self._ready: OrderedDict[Key, None] = OrderedDict()
        self._in_hand: set[Key] = set()
        self._again: set[Key] = set()
        self._timers: list[tuple[float, Key]] = []
        self._due: dict[Key, float] = {}
        self._is_closed = False

    def add(self, key: Key) -> None:
        """Wants the key looked at now."""
        with self._condition:
            if key in self._in_hand:
                self._again.add(key)
            elif key not in self._ready:
                self._ready[key] = None
                self._condition.notify()

    def add_after(self, key: Key, delay_seconds: float) -> None:
        """Wants the key looked at in a while; of several times the earliest counts."""
        with self._condition:
            due = self._clock.monotonic() + delay_seconds
            if self._due.get(key, float("inf")) > due:
                self._due[key] = due
                heapq.heappush(self._timers, (due, key))
                self._condition.notify()

    def take(self, *, timeout_seconds: float | None) -> Key | None:
        """The next key, now in hand; None at the timeout or when closed. 0 does not wait."""
        with self._condition:
            deadline = None if timeout_seconds is None else self._clock.monotonic() + timeout_seconds
            while not self._is_closed:
                self._ripen()
                key = self._takeable()
                if key is not None:
                    del self._ready[key]
                    self._in_hand.add(key)
                    return key
                now = self._clock.monotonic()
                if deadline is not None and now >= deadline:
                    return None
                limits = [moment - now for moment in (deadline, self._next_due()) if moment is not None]
                self._condition.wait(min(limits) if limits else None)
            return None

    def looked_again(self, key: Key) -> None:
        """Whoever has the key in hand looks at its object now: what was added before is covered by that."""
        with self._condition:
            self._again.discard(key)

    def done(self, key: Key) -> None:
        """The key is out of hand."""
        with self._condition:
            self._in_hand.discard(key)
            if key in self._again:
                self._again.discard(key)
                self._ready[key] = None
                self._condition.notify()

    def is_idle(self) -> bool:
        """Whether nothing is ready or in hand; timers do not count."""
        with self._condition:
            self._ripen()
            return not self._ready and not self._in_hand

    def seconds_until_due(self) -> float | None:
        """Time until the next timer, None without one."""
        with self._condition:
            due = self._next_due()
            return None if due is None else max(0.0, due - self._clock.monotonic())

    @property
    def is_closed(self) -> bool:
        """Whether nothing will be taken any more."""
        with self._condition:
            return self._is_closed

    def close(self) -> None:
        """Lets every `take` return None from now on."""
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()

    def _takeable(self) -> Key | None:
        for key in self._ready:
            limit = self._at_most.get(key[0])
            if limit is None or sum(held[0] == key[0] for held in self._in_hand) < limit:
                return key
        return None

    def _next_due(self) -> float | None:
        while self._timers and self._due.get(self._timers[0][1]) != self._timers[0][0]:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _ripen(self) -> None:
        now = self._clock.monotonic()
        while (due := self._next_due()) is not None and due <= now:
            _, key = heapq.heappop(self._timers)
            del self._due[key]
            if key in self._in_hand:
                self._again.add(key)
            else:
                self._ready[key] = None
