"""One thing that explains where an Experiment or a Trial stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

REFUSED = "AlgorithmRefused"
"""Kind of the finding that the algorithm takes neither settings nor search space as they are."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


class Severity(StrEnum):
    """What a finding asks of the reader."""

    PROBLEM = "problem"
    """Nothing gets better until somebody does something."""
    WAITING = "waiting"
    """It goes on by itself when what it waits for comes."""
    NOTE = "note"
    """Worth to know."""
    RESULT = "result"
    """How it ended, or that all is well."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Attributes:
        kind: one CamelCase word, for programs.
        severity: what it asks of the reader.
        what: one sentence for people.
        evidence: lines that show it.
        advice: what to do next; may have several lines.
    """

    kind: str
    severity: Severity
    what: str
    evidence: tuple[str, ...] = ()
    advice: str = ""


Findings = Iterator[Finding]


def ago(moment: datetime, now: datetime) -> str:
    """`for 5 s`-like lengths: how long ago a moment was, `4m20s`."""
    return length((now - moment) / timedelta(seconds=1))


def length(seconds: float) -> str:
    """A time as people write it: `8s`, `4m20s`, `2h05m`, `3d04h`."""
    whole = max(0, round(seconds))
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02}h"


def counted(count: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listed(names: Sequence[str], limit: int = 5) -> str:
    """`a, b and 3 more`."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
