"""How times, durations, parameters and metric values are written for people."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from katibpy.api.experiment import Metric, Objective, StrategyType
from katibpy.api.model import NameValue
from katibpy.api.trial import Trial
from katibpy.core.records import UNAVAILABLE, number_of, strategy_value

NOTHING = "-"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_MANY = 10


def duration(seconds: float) -> str:
    """`4.2s`, `45s`, `3m20s`, `2h05m`, `3d04h`."""
    if seconds < 0:
        return "0s"
    if seconds < _MANY and seconds != int(seconds):
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02}h"


def between(start: datetime | None, end: datetime | None) -> str:
    """The time from one moment to another; to now without an end."""
    if start is None:
        return NOTHING
    return duration(((end or datetime.now(UTC)) - start) / timedelta(seconds=1))


def age(moment: datetime | None) -> str:
    """How long ago a moment was, in whole seconds."""
    if moment is None:
        return NOTHING
    return duration(int((datetime.now(UTC) - moment) / timedelta(seconds=1)))


def local_time(moment: datetime | None) -> str:
    """A moment in this machine's time zone, with its offset."""
    if moment is None:
        return NOTHING
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def short_number(text: str) -> str:
    """A metric value in at most six significant digits; what is not a number stays as it is.

    A value that is short enough is never rewritten, so `0.90` stays `0.90`.
    """
    number = number_of(text)
    if number is None or len(text) <= _MANY - 1:
        return text
    return f"{number:.6g}"


def assignments(values: Iterable[NameValue], *, short: bool = True) -> str:
    """`lr=0.01 optimizer=adam`."""
    shown = (f"{item.name}={short_number(item.value) if short else item.value}" for item in values)
    return " ".join(shown) or NOTHING


def objective_value(trial: Trial) -> str:
    """The trial's objective by its strategy, or `-`."""
    text = strategy_value(trial, trial.spec.objective.objective_metric_name)
    return NOTHING if text is None else text


def picked(metric: Metric, objective: Objective | None) -> str:
    """The value of a metric that its strategy picks."""
    strategies = (objective.metric_strategies if objective else None) or ()
    chosen = next((each.value for each in strategies if each.name == metric.name), "")
    by_strategy = {StrategyType.MIN.value: metric.min, StrategyType.MAX.value: metric.max}
    value = by_strategy.get(chosen, metric.latest)
    return metric.latest if value == UNAVAILABLE else value


def counted(count: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
