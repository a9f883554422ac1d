"""What a parser of metrics is, and what all of them share."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from katibpy.core.records import ObservedValue

SEEN_NAMES_LIMIT = 50

# Only the form that the wire has; `fromisoformat` takes week dates and bare days as well.
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_EARLIEST, _LATEST = -62135596800.0, 253402300799.0
"""The years 1 and 9999, beyond which no calendar goes."""


class Parser(Protocol):
    """Turns the bytes of one trial's output into values.

    What comes out depends on the bytes alone, not on how they are cut into pieces: reading the same output
    again from its beginning gives the same values with the same sequence numbers. Nothing that a trial
    writes makes a parser raise.
    """

    def feed(self, data: bytes, *, arrived: float) -> Sequence[ObservedValue]:
        """Takes the next bytes.

        Args:
            data: as many as there are; lines may be cut anywhere.
            arrived: time of values that carry none of their own, in seconds since the epoch.
        """
        ...

    def end(self, *, arrived: float) -> Sequence[ObservedValue]:
        """Takes what is left as the last line. More may be fed afterwards, as the beginning of a line."""
        ...

    @property
    def seen_names(self) -> tuple[str, ...]:
        """Names that appeared with a value, wanted or not, at most 50, in order of appearance."""
        ...

    @property
    def skipped_lines(self) -> int:
        """Lines that could not be read: too long, or not of the format."""
        ...


class SeenNames:
    """Names in order of their first appearance, at most 50."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    @property
    def is_full(self) -> bool:
        """Whether no further name is taken."""
        return len(self._names) >= SEEN_NAMES_LIMIT

    def add(self, name: str) -> None:
        """Takes a name."""
        if not self.is_full:
            self._names.setdefault(name)

    def as_tuple(self) -> tuple[str, ...]:
        """The names."""
        return tuple(self._names)


def rfc3339_seconds(text: str) -> float | None:
    """Seconds since the epoch of an RFC 3339 time with any number of fraction digits, None if it is none."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    whole, fraction, zone = match.groups()
    seconds = _whole_seconds(whole + zone)
    return None if seconds is None else seconds + float(fraction or 0)


@functools.lru_cache(maxsize=16)
def _whole_seconds(stamp: str) -> float | None:
    # Lines come many to a second.
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except (ValueError, OverflowError):
        return None


def epoch_seconds(text: str) -> float | None:
    """Seconds since the epoch of a decimal number, None when it is none or beyond all calendars."""
    try:
        seconds = float(text) if "_" not in text else None
    except ValueError:
        return None
    return seconds if seconds is not None and _EARLIEST <= seconds <= _LATEST else None
