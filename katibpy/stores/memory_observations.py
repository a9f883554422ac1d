"""The observation store in memory: the reference that other stores are held against, and the public fake."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from katibpy.core.records import MetricSummary, ObservedValue
from katibpy.stores.running_summary import RunningSummary


class _Series:
    """All values of one trial."""

    __slots__ = ("summaries", "values")

    def __init__(self) -> None:
        self.values: dict[int, ObservedValue] = {}
        self.summaries: dict[str, RunningSummary] = {}


class MemoryObservationStore:
    """`ObservationStore` in this process's memory.

    One lock, `_lock`, guards all state.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: dict[str, _Series] = {}

    def append(self, trial_uid: str, values: Sequence[ObservedValue]) -> None:
        """See `ObservationStore.append`."""
        with self._lock:
            series = self._series.get(trial_uid)
            if series is None:
                series = self._series[trial_uid] = _Series()
            for value in values:
                if value.sequence in series.values:
                    continue
                series.values[value.sequence] = value
                summary = series.summaries.get(value.metric)
                if summary is None:
                    summary = series.summaries[value.metric] = RunningSummary()
                summary.add(value)

    def summarize(self, trial_uid: str, metrics: Sequence[str]) -> Mapping[str, MetricSummary]:
        """See `ObservationStore.summarize`."""
        with self._lock:
            series = self._series.get(trial_uid)
            if series is None:
                return {}
            return {
                metric: series.summaries[metric].summary() for metric in metrics if metric in series.summaries
            }

    def read(
        self,
        trial_uid: str,
        *,
        metric: str | None = None,
        start_time: float | None = None,
        end_time: float | None = None,
        after_sequence: int = -1,
        limit: int | None = None,
    ) -> tuple[ObservedValue, ...]:
        """See `ObservationStore.read`; both times are part of the range."""
        with self._lock:
            series = self._series.get(trial_uid)
            values = [] if series is None else list(series.values.values())
        found = [
            value
            for value in values
            if value.sequence > after_sequence
            and metric in (None, value.metric)
            and (start_time is None or value.time >= start_time)
            and (end_time is None or value.time <= end_time)
        ]
        if after_sequence == -1 and limit is None:
            return tuple(sorted(found, key=lambda value: (value.time, value.sequence)))
        return tuple(sorted(found, key=lambda value: value.sequence)[:limit])

    def drop(self, trial_uid: str) -> None:
        """See `ObservationStore.drop`."""
        with self._lock:
            self._series.pop(trial_uid, None)
