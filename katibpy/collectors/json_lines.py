"""Metrics in lines of JSON: one object a line, `{"epoch": 3, "loss": 0.31, "timestamp": 1767225600.25}`.

The wanted metrics are keys of the object itself; their values are numbers or strings, kept as they are
written. `NaN` and `Infinity`, which JSON has no words for and Python writes all the same, are values.
`timestamp` is an RFC 3339 time, or seconds since the epoch with a fraction; without one, a value has the
time it arrived. `step`, if it is a whole number, is the training step. Other lines are passed by and counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from katibpy.collectors.lines import LineCutter
from katibpy.collectors.parser import SeenNames, epoch_seconds, rfc3339_seconds
from katibpy.core.records import ObservedValue

TIME_KEY = "timestamp"
STEP_KEY = "step"


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


_DECODER = json.JSONDecoder(parse_float=_Number, parse_int=_Number, parse_constant=_Number)


class JsonLinesParser:
    """A `Parser` of JSON lines."""

    def __init__(self, metrics: Sequence[str]) -> None:
        """Takes the wanted names, the objective among them."""
        self._wanted = frozenset(name for name in metrics if name)
        self._cutter = LineCutter()
        self._count = 0
        self._unreadable = 0
        self._seen = SeenNames()

    @property
    def seen_names(self) -> tuple[str, ...]:
        """Keys that appeared with a number, and wanted ones with any value."""
        return self._seen.as_tuple()

    @property
    def skipped_lines(self) -> int:
        """Lines that are no JSON object, or too long."""
        return self._cutter.skipped + self._unreadable

    def feed(self, data: bytes, *, arrived: float) -> list[ObservedValue]:
        """Takes the next bytes."""
        return [value for block in self._cutter.feed(data) for value in self._parse(block, arrived)]

    def end(self, *, arrived: float) -> list[ObservedValue]:
        """Takes what is left as the last line."""
        return list(self._parse(self._cutter.end(), arrived))

    def _parse(self, block: bytes, arrived: float) -> Iterator[ObservedValue]:
        for line in block.splitlines():
            text = line.decode(errors="replace").strip()
            if not text:
                continue
            try:
                entry = _DECODER.decode(text)
            except (ValueError, RecursionError):
                entry = None
            if isinstance(entry, dict):
                yield from self._values(entry, arrived)
            else:
                self._unreadable += 1

    def _values(self, entry: dict[str, Any], arrived: float) -> Iterator[ObservedValue]:
        time: float | None = None
        for name, value in entry.items():
            is_wanted = name in self._wanted
            if not isinstance(value, str) or not value.strip() or not (is_wanted or type(value) is _Number):
                continue
            if is_wanted or name not in (TIME_KEY, STEP_KEY):
                self._seen.add(name)
            if not is_wanted:
                continue
            if time is None:
                time = _time_of(entry.get(TIME_KEY), arrived)
            yield ObservedValue(
                sequence=self._count,
                metric=name,
                text=str(value.strip()),
                time=time,
                step=_step_of(entry.get(STEP_KEY)),
            )
            self._count += 1


def _time_of(value: Any, arrived: float) -> float:
    if not isinstance(value, str):
        return arrived
    text = value.strip()
    seconds = rfc3339_seconds(text)
    if seconds is None:
        seconds = epoch_seconds(text)
    return arrived if seconds is None else seconds


def _step_of(value: Any) -> int | None:
    try:
        step = int(value) if isinstance(value, _Number) else None
    except ValueError:
        return None
    # A step is a number that any store can hold.
    return step if step is not None and abs(step) < 1 << 63 else None
