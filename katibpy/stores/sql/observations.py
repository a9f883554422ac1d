"""The observation store in a SQL database."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from katibpy.core.records import MetricSummary, ObservedValue, number_of
from katibpy.stores.running_summary import Extreme, RunningSummary
from katibpy.stores.sql.database import Database
from katibpy.stores.sql.schema import metrics, observations, series, summaries
from katibpy.stores.sql.transaction import Row, Transaction

_SERIES = select(series.c.id).where(series.c.trial_uid == bindparam("trial_uid"))
_ADD_SERIES = insert(series)
_DROP_SERIES = delete(series).where(series.c.trial_uid == bindparam("trial_uid"))
_METRIC = select(metrics.c.id).where(metrics.c.name == bindparam("name"))
_ADD_METRIC = insert(metrics)
_KNOWN = select(observations.c.sequence).where(
    observations.c.series_id == bindparam("series_id"),
    observations.c.sequence >= bindparam("least"),
    observations.c.sequence <= bindparam("greatest"),
)
_ADD = insert(observations)
_SUMMARY = select(*summaries.c).where(
    summaries.c.series_id == bindparam("series_id"), summaries.c.metric_id == bindparam("metric_id")
)
_ADD_SUMMARY = insert(summaries)
_UPDATED = tuple(column.name for column in summaries.c if not column.primary_key)
_WRITE_SUMMARY = (
    update(summaries)
    .where(
        summaries.c.series_id == bindparam("series_id_is"), summaries.c.metric_id == bindparam("metric_id_is")
    )
    .values({name: bindparam(name) for name in _UPDATED})
)
_READ = (
    select(
        observations.c.sequence,
        metrics.c.name,
        observations.c.value,
        observations.c.text,
        observations.c.time,
        observations.c.step,
    )
    .join(series, series.c.id == observations.c.series_id)
    .join(metrics, metrics.c.id == observations.c.metric_id)
)


class SqlObservationStore:
    """`ObservationStore` in a SQL database, shared with other processes.

    Metric names are remembered with their numbers, which never change; dictionary steps are atomic, so no
    lock is needed beside those of `Database`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._metric_ids: dict[str, int] = {}

    def append(self, trial_uid: str, values: Sequence[ObservedValue]) -> None:
        """See `ObservationStore.append`."""
        if not values:
            return
        with self._database.writing() as transaction:
            series_id = _series_id(transaction, trial_uid)
            fresh = _fresh(transaction, series_id, values)
            if not fresh:
                return
            metric_ids = {
                name: self._metric_ids.get(name) or _metric_id(transaction, name)
                for name in {value.metric for value in fresh}
            }
            transaction.change_each(_ADD, [_columns(value, series_id, metric_ids) for value in fresh])
            for name, metric_id in metric_ids.items():
                _summarize(
                    transaction, series_id, metric_id, [value for value in fresh if value.metric == name]
                )
        # Only now are new numbers certain to stay.
        self._metric_ids.update(metric_ids)

    def summarize(self, trial_uid: str, metrics: Sequence[str]) -> Mapping[str, MetricSummary]:
        """See `ObservationStore.summarize`."""
        found: dict[str, MetricSummary] = {}
        with self._database.reading() as transaction:
            series_id = transaction.scalar(_SERIES, {"trial_uid": trial_uid})
            if series_id is None:
                return found
            for name in metrics:
                metric_id = self._metric_ids.get(name) or transaction.scalar(_METRIC, {"name": name})
                if metric_id is None:
                    continue
                summary = _read_summary(transaction, series_id, metric_id)
                if summary is not None:
                    found[name] = summary.summary()
        return found

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
        query = _READ.where(series.c.trial_uid == trial_uid)
        if metric is not None:
            query = query.where(metrics.c.name == metric)
        if start_time is not None:
            query = query.where(observations.c.time >= start_time)
        if end_time is not None:
            query = query.where(observations.c.time <= end_time)
        if after_sequence == -1 and limit is None:
            query = query.order_by(observations.c.time, observations.c.sequence)
        else:
            query = query.where(observations.c.sequence > after_sequence).order_by(observations.c.sequence)
        if limit is not None:
            query = query.limit(limit)
        with self._database.reading() as transaction:
            rows = transaction.all_of(query)
        return tuple(
            ObservedValue(sequence, name, repr(value) if text is None else text, time, step)
            for sequence, name, value, text, time, step in rows
        )

    def drop(self, trial_uid: str) -> None:
        """See `ObservationStore.drop`."""
        with self._database.writing() as transaction:
            transaction.change(_DROP_SERIES, {"trial_uid": trial_uid})


def _series_id(transaction: Transaction, trial_uid: str) -> int:
    asked = {"trial_uid": trial_uid}
    found: int | None = transaction.scalar(_SERIES, asked)
    if found is None:
        transaction.change(_ADD_SERIES, asked)
        found = int(transaction.scalar(_SERIES, asked))
    return found


def _metric_id(transaction: Transaction, name: str) -> int:
    asked = {"name": name}
    found: int | None = transaction.scalar(_METRIC, asked)
    if found is None:
        transaction.change(_ADD_METRIC, asked)
        found = int(transaction.scalar(_METRIC, asked))
    return found


def _fresh(transaction: Transaction, series_id: int, values: Sequence[ObservedValue]) -> list[ObservedValue]:
    """Those of the values that are not stored, the first of each sequence."""
    sequences = [value.sequence for value in values]
    asked = {"series_id": series_id, "least": min(sequences), "greatest": max(sequences)}
    known = set(transaction.scalars(_KNOWN, asked))
    fresh: dict[int, ObservedValue] = {}
    for value in values:
        if value.sequence not in known:
            fresh.setdefault(value.sequence, value)
    return list(fresh.values())


def _columns(value: ObservedValue, series_id: int, metric_ids: Mapping[str, int]) -> dict[str, Any]:
    number = value.number
    is_stored = number is not None and math.isfinite(number)
    # Databases may drop the sign of zero.
    is_spelled = is_stored and repr(number) == value.text and value.text != "-0.0"
    return {
        "series_id": series_id,
        "sequence": value.sequence,
        "metric_id": metric_ids[value.metric],
        "time": value.time,
        "step": value.step,
        "value": number if is_stored else None,
        "text": None if is_spelled else value.text,
    }


def _summarize(
    transaction: Transaction, series_id: int, metric_id: int, fresh: Sequence[ObservedValue]
) -> None:
    """Takes new values of one metric into its summary."""
    known = _read_summary(transaction, series_id, metric_id)
    summary = known or RunningSummary()
    for value in fresh:
        summary.add(value)
    columns = _summary_columns(summary)
    if known is None:
        transaction.change(_ADD_SUMMARY, columns | {"series_id": series_id, "metric_id": metric_id})
    else:
        transaction.change(_WRITE_SUMMARY, columns | {"series_id_is": series_id, "metric_id_is": metric_id})


def _read_summary(transaction: Transaction, series_id: int, metric_id: int) -> RunningSummary | None:
    row = transaction.first(_SUMMARY, {"series_id": series_id, "metric_id": metric_id})
    return None if row is None else _summary_of(row)


def _summary_of(row: Row) -> RunningSummary:
    return RunningSummary(
        count=row.total,
        least=_extreme(row.least_sequence, row.least),
        greatest=_extreme(row.greatest_sequence, row.greatest),
        latest=(row.latest_time, row.latest_sequence, row.latest),
        latest_number=(
            None
            if row.latest_number is None
            else (row.latest_number_time, row.latest_number_sequence, row.latest_number)
        ),
    )


def _extreme(sequence: int | None, text: str | None) -> Extreme | None:
    number = None if text is None else number_of(text)
    return None if sequence is None or text is None or number is None else (number, sequence, text)


def _summary_columns(summary: RunningSummary) -> dict[str, Any]:
    _, least_sequence, least = summary.least or (None, None, None)
    _, greatest_sequence, greatest = summary.greatest or (None, None, None)
    latest_time, latest_sequence, latest = summary.latest or (0.0, -1, "")
    number_time, number_sequence, number = summary.latest_number or (None, None, None)
    return {
        "total": summary.count,
        "least_sequence": least_sequence,
        "least": least,
        "greatest_sequence": greatest_sequence,
        "greatest": greatest,
        "latest_time": latest_time,
        "latest_sequence": latest_sequence,
        "latest": latest,
        "latest_number_time": number_time,
        "latest_number_sequence": number_sequence,
        "latest_number": number,
    }
