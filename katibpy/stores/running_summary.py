"""A metric's summary that is kept up to date value by value, the same in every observation store."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from katibpy.core.records import UNAVAILABLE, MetricSummary, ObservedValue, number_of

Extreme: TypeAlias = tuple[float, int, str]
"""Number, sequence and text of the smallest or greatest value; the first reported among equals."""

Latest: TypeAlias = tuple[float, int, str]
"""Time, sequence and text of the latest value."""


@dataclass(slots=True)
class RunningSummary:
    """What has to be known of the values so far to summarise them and those to come.

    The order in which values are added makes no difference. Not thread-safe.

    Attributes:
        count: number of values.
        least: smallest finite number.
        greatest: greatest finite number.
        latest: value of the greatest time, and of these the greatest sequence.
        latest_number: the latest of the values that are numbers, NaN and infinities included.
    """

    count: int = 0
    least: Extreme | None = None
    greatest: Extreme | None = None
    latest: Latest | None = None
    latest_number: Latest | None = None

    def add(self, value: ObservedValue) -> None:
        """Takes one more value into account."""
        self.count += 1
        sequence, text = value.sequence, value.text
        if self.latest is None or (value.time, sequence) > self.latest[:2]:
            self.latest = (value.time, sequence, text)
        number = number_of(text)
        if number is None:
            return
        if self.latest_number is None or (value.time, sequence) > self.latest_number[:2]:
            self.latest_number = (value.time, sequence, text)
        if not math.isfinite(number):
            return
        if self.least is None or (number, sequence) < self.least[:2]:
            self.least = (number, sequence, text)
        if self.greatest is None or (number, -sequence) > (self.greatest[0], -self.greatest[1]):
            self.greatest = (number, sequence, text)

    def summary(self) -> MetricSummary:
        """The summary as of now.

        Raises:
            ValueError: no value was added.
        """
        if self.latest is None:
            raise ValueError("a summary must be of at least one value, got none")
        absent = UNAVAILABLE if self.latest_number is None else self.latest_number[2]
        return MetricSummary(
            min=absent if self.least is None else self.least[2],
            max=absent if self.greatest is None else self.greatest[2],
            latest=self.latest[2],
            count=self.count,
        )
