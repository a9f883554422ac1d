"""Why a trial failed, read back from the condition that says so, and which trials failed alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from katibpy.api.model import NameValue
from katibpy.api.status_conditions import find_condition
from katibpy.api.trial import Trial
from katibpy.core.phases import TrialPhase, trial_phase

_JOB_REASON = "Job reason: "
_JOB_MESSAGE = "Job message: "
_LAST_OUTPUT = "\nLast output:\n"
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>.+)')
_EXCEPTION = re.compile(
    r"(?P<type>[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Warning|[Tt]imeout|Fault))(?P<text>:.*)?$"
)
_EXIT_CODE = re.compile(r"exit code (\d+)")
_TRACEBACK = "Traceback (most recent call last):"
_VARIABLE = re.compile(r"0x[0-9a-fA-F]+|[0-9a-f]{8,}|[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_BY_REASON_ALONE = frozenset({"OutOfMemory", "DeadlineExceeded", "CommandNotFound"})
"""Reasons besides which what the trial wrote last tells nothing."""

_BY_SIGNAL = re.compile(r"ended by signal (\w+)|was killed")


@dataclass(frozen=True, slots=True)
class TrialFailure:
    """Why one trial failed.

    Attributes:
        phase: Failed or MetricsUnavailable.
        reason: what the job called it, `OutOfMemory`; a Job whose process ends badly calls everything
            `BackoffLimitExceeded`. May be empty.
        message: what the runner, or the collector, said.
        lines: the last lines that the trial wrote.
    """

    phase: TrialPhase
    reason: str
    message: str
    lines: tuple[str, ...]

    @property
    def kind(self) -> str:
        """One CamelCase word for it."""
        if self.reason not in ("", "BackoffLimitExceeded"):
            return self.reason
        return "ProcessKilled" if _BY_SIGNAL.search(self.message) else "ProcessFailed"

    @property
    def exception(self) -> str:
        """The last line of a Python traceback among the lines; empty without one."""
        for line in reversed(self.lines):
            if _EXCEPTION.match(line.strip()):
                return line.strip()
        return ""

    @property
    def frame(self) -> str:
        """Where the traceback ends: `train.py:12 in fit`; empty without one."""
        frames = [match for line in self.lines if (match := _FRAME.search(line))]
        if not frames:
            return ""
        last = frames[-1]
        return f"{last['file'].rpartition('/')[2]}:{last['line']} in {last['function'].strip()}"

    @property
    def tail(self) -> tuple[str, ...]:
        """The lines that tell most: the last traceback, else the last few."""
        starts = [index for index, line in enumerate(self.lines) if line.strip() == _TRACEBACK]
        if starts:
            return self.lines[starts[-1] :]
        return self.lines[-5:]

    @property
    def headline(self) -> str:
        """The failure in one line: the exception if there is one, else what the runner said."""
        return self.exception or self.message.partition("\n")[0] or self.reason


def failure_of(trial: Trial) -> TrialFailure | None:
    """Why the trial failed, None when it did not."""
    phase = trial_phase(trial.status.conditions)
    if phase not in (TrialPhase.FAILED, TrialPhase.METRICS_UNAVAILABLE):
        return None
    condition = find_condition(trial.status.conditions, phase.value)
    reason = "" if condition is None else condition.reason.partition(_JOB_REASON)[2]
    text, _, output = ("", "", "") if condition is None else condition.message.partition(_LAST_OUTPUT)
    message = text.partition(_JOB_MESSAGE)[2] or text
    lines = tuple(line.removeprefix("  ") for line in output.split("\n") if line.strip())
    return TrialFailure(phase, reason, message, lines)


def alike(trials: Iterable[Trial]) -> list[list[Trial]]:
    """Failed trials in groups that failed in the same way, the largest first."""
    groups: dict[tuple[str, ...], list[Trial]] = {}
    for trial in trials:
        failure = failure_of(trial)
        if failure is not None:
            groups.setdefault(_key(failure, trial), []).append(trial)
    return sorted(groups.values(), key=len, reverse=True)


def shared_values(failed: Sequence[Trial], succeeded: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Parameter values that all failed trials have, and no trial that succeeded has together; {} if none."""
    first, *others = [_values(trial.spec.parameter_assignments) for trial in failed]
    found = list(succeeded)
    if not others or not found:
        return {}
    shared = {name: value for name, value in first.items() if all(each.get(name) == value for each in others)}
    if any(shared.items() <= each.items() for each in found):
        return {}
    for name in tuple(shared):
        # As few as tell the two apart.
        fewer = {other: value for other, value in shared.items() if other != name}
        if not any(fewer.items() <= each.items() for each in found):
            shared = fewer
    return shared


def _values(assignments: Iterable[NameValue]) -> dict[str, str]:
    return {each.name: each.value for each in assignments}


def _key(failure: TrialFailure, trial: Trial) -> tuple[str, ...]:
    if failure.phase is TrialPhase.METRICS_UNAVAILABLE:
        return (failure.phase, _plain(failure.message.partition(";")[0], trial))
    code, signal = _EXIT_CODE.search(failure.message), _BY_SIGNAL.search(failure.message)
    if signal is not None:
        return (failure.reason, signal[0])
    told = code[1] if code is not None else _plain(failure.message, trial)
    if failure.reason in _BY_REASON_ALONE:
        return (failure.reason, told)
    exception = _EXCEPTION.match(failure.exception)
    if exception is not None:
        # Its text often holds the parameters' values; where it was raised does not.
        place = failure.frame or _plain(exception["text"] or "", trial)
        return (failure.reason, told, exception["type"], place)
    return (failure.reason, told, _plain(failure.lines[-1] if failure.lines else "", trial))


def _plain(text: str, trial: Trial) -> str:
    """The text without what differs from trial to trial: its name, its parameters' values, numbers."""
    for value in (trial.metadata.name, *(each.value for each in trial.spec.parameter_assignments)):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "#", text) if value else text
    return _VARIABLE.sub("#", text)
