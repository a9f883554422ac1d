"""Follows the files that local runs write, and ships the metrics in them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from katibpy.api.trial import Trial
from katibpy.collectors.following import BUSY_SECONDS, IDLE_SECONDS, Following
from katibpy.core.runs import CollectionState
from katibpy.ports import Clock, Key, ObservationStore, TrialOutputs

logger = logging.getLogger(__name__)

NOTIFY_SECONDS = 0.2
"""Listeners hear of new values of one trial at most this often."""


class LocalCollector:
    """A `MetricsCollector` that reads files on this host.

    One thread follows them all: a file is looked at every 50 ms while it grows and less and less often, down
    to every 500 ms, while it does not. What is left when its run ends is read at once, by whoever tells of
    that; if it is much, the thread reads on. Values are numbered by their order in the file and stored
    under that number, so that a collector that begins anew stores nothing twice. What has been read of an
    output that grows too large is cut in the middle, see `output_cap`.

    `_changed` guards the table, the closing list, the ending flags and the moment of the next look; it is not
    held while files are read or values are stored. `Following.turn` is held during a step.
    """

    def __init__(self, store: ObservationStore, *, clock: Clock, output_limit: int | None = None) -> None:
        """Opens nothing yet.

        Args:
            store: gets the values.
            clock: the real time.
            output_limit: bytes of the disk that the standard output of one trial may take.
        """
        self._store = store
        self._output_limit = output_limit
        self._clock = clock
        self._changed = threading.Condition()
        self._followed: dict[str, Following] = {}
        self._to_close: list[Following] = []
        self._listeners: tuple[Callable[[Key], None], ...] = ()
        self._thread: threading.Thread | None = None
        self._next_look = float("-inf")
        self._is_closed = False

    def attach(self, trial: Trial, outputs: TrialOutputs | None) -> None:
        """Begins to follow the trial's output; no-op when it does already."""
        uid = trial.metadata.uid or ""
        with self._changed:
            if uid in self._followed or self._is_closed:
                return
            following = Following(trial, outputs, store=self._store, output_limit=self._output_limit)
            # A run that has just begun has written nothing yet.
            following.due = self._clock.monotonic() + BUSY_SECONDS
            self._followed[uid] = following
            if self._thread is None:
                self._thread = threading.Thread(target=self._follow, name="katib-collector", daemon=True)
                self._thread.start()
            elif following.due < self._next_look:
                self._changed.notify()

    def finish(self, trial: Trial) -> None:
        """The run has ended: read the rest."""
        with self._changed:
            following = self._followed.get(trial.metadata.uid or "")
            if following is None or following.is_ending:
                return
            following.is_ending = True
            following.due = float("-inf")
        # Another thread for what takes a moment would cost more than the moment.
        if following.turn.acquire(blocking=False):
            try:
                self._step(following)
            finally:
                following.turn.release()
        if not following.state.is_drained:
            with self._changed:
                self._changed.notify()

    def observe(self, trial: Trial) -> CollectionState:
        """How far it is."""
        following = self._followed.get(trial.metadata.uid or "")
        return CollectionState() if following is None else following.state

    def detach(self, trial: Trial) -> None:
        """Forgets the trial."""
        with self._changed:
            following = self._followed.pop(trial.metadata.uid or "", None)
            if following is None:
                return
            if not following.state.is_drained:
                # Only the thread knows whether it reads from it this moment.
                self._to_close.append(following)
                self._changed.notify()
                return
        following.close()

    def subscribe(self, listener: Callable[[Key], None]) -> None:
        """Calls the listener with a Trial's key when it is drained or its objective has new values."""
        self._listeners = (*self._listeners, listener)

    def close(self) -> None:
        """Stops all following; what is not stored yet is found again by the next collector."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()
        for following in (*self._followed.values(), *self._to_close):
            following.close()
        self._to_close.clear()

    def _follow(self) -> None:
        while True:
            with self._changed:
                if self._is_closed:
                    return
                now = self._clock.monotonic()
                due = [each for each in self._followed.values() if each.due <= now]
                if not due and not self._to_close:
                    moments = (each.due for each in self._followed.values())
                    self._next_look = min(moments, default=float("inf"))
                    left = self._next_look - now
                    self._changed.wait(left if left < threading.TIMEOUT_MAX else None)
                    continue
                closing, self._to_close = self._to_close, []
            for following in closing:
                following.close()
            for following in due:
                with following.turn:
                    if following.due <= now:
                        self._step(following)

    def _step(self, following: Following) -> None:
        is_ending = following.is_ending
        now = self._clock.monotonic()
        try:
            following.step(now, arrived=self._clock.now().timestamp())
        except Exception as error:
            logger.exception("the metrics of %s could not be read", following.trial.metadata.name)
            following.state = replace(following.state, problem=f"its metrics could not be read: {error}")
            following.due = now + IDLE_SECONDS
        with self._changed:
            # The end may have been told while the step was under way.
            if following.is_ending and not is_ending:
                following.due = float("-inf")
        if following.has_news:
            self._tell(following, now)

    def _tell(self, following: Following, now: float) -> None:
        if not following.state.is_drained and now - following.notified_at < NOTIFY_SECONDS:
            # Told with the next step, which is soon.
            following.due = min(following.due, following.notified_at + NOTIFY_SECONDS)
            return
        following.has_news = False
        following.notified_at = now
        for listener in self._listeners:
            try:
                listener(following.trial.key)
            except Exception:
                logger.exception("a listener of the collector failed")
