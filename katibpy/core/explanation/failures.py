"""What is said of trials that failed: why, how many alike, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from katibpy.core.explanation.advice import GENERAL, remedy_for
from katibpy.core.explanation.facts import FailureGroup
from katibpy.core.explanation.finding import Finding, Severity, counted
from katibpy.core.explanation.missing_metric import cause_of
from katibpy.core.explanation.trial_failure import TrialFailure, failure_of
from katibpy.core.phases import TrialPhase

_SHOWN_LINES = 8


def failure_finding(group: FailureGroup, total: int) -> Finding:
    """What is said of a group.

    Args:
        group: trials that failed alike.
        total: how many failed trials there are with those of other groups; 1 for a trial by itself.
    """
    failure = failure_of(group.example.trial)
    if failure is None:
        raise ValueError(f"trial {group.example.trial.metadata.name} has not failed")
    if failure.phase is TrialPhase.METRICS_UNAVAILABLE:
        return _without_metric(group, failure, total)
    name = group.example.trial.metadata.name
    tail = failure.tail[-_SHOWN_LINES:]
    evidence = [
        *_shared(group),
        *((f"the last output of {name}:", *(f"  {line}" for line in tail)) if tail else ()),
    ]
    if failure.exception and failure.message:
        evidence.insert(0, failure.message.partition("\n")[0])
    return Finding(
        kind=failure.kind,
        severity=Severity.PROBLEM,
        what=f"{_who(group, total)}{' failed' if total == 1 else ''}: {failure.headline}",
        evidence=tuple(evidence),
        advice=_advice(failure, group),
    )


def _without_metric(group: FailureGroup, failure: TrialFailure, total: int) -> Finding:
    trial = group.example.trial
    cause = cause_of(group.example, failure)
    name = trial.spec.objective.objective_metric_name
    who = _who(group, total) + ("," if total > 1 else "")
    return Finding(
        kind="MetricsUnavailable",
        severity=Severity.PROBLEM,
        what=f"{who} ended without the objective {name!r}: {cause.what}",
        evidence=(*cause.evidence, *_shared(group)),
        advice=cause.advice,
    )


def _who(group: FailureGroup, total: int) -> str:
    name = group.example.trial.metadata.name
    if total == 1:
        return f"trial {name}"
    if group.count == 1:
        return f"1 of {counted(total, 'failed trial')}, {name}"
    return f"{group.count} of {counted(total, 'failed trial')}, for example {name}"


def _shared(group: FailureGroup) -> tuple[str, ...]:
    if not group.shared:
        return ()
    values = " ".join(f"{name}={value}" for name, value in group.shared.items())
    return (f"all of them have {values}, and no trial that succeeded has",)


def _advice(failure: TrialFailure, group: FailureGroup) -> str:
    trial = group.example.trial
    words = {"trial": trial.metadata.name, "program": _program(trial.spec.run_spec)}
    said = "\n".join((failure.message, failure.exception, *failure.tail))
    remedy = remedy_for(failure.kind, said, words)
    if not remedy and group.shared:
        remedy = "leave these values out of the search space, or have the program take them"
    general = GENERAL.format_map(words)
    return f"{remedy}; {general}" if remedy else general


def _program(run_spec: Mapping[str, Any]) -> str:
    """The Python interpreter of a job's first command; `python` when it names none."""
    words: list[str] = []
    stack: list[Any] = [run_spec]
    while stack and not words:
        value = stack.pop(0)
        if isinstance(value, Mapping):
            command = value.get("command")
            words = [str(word) for word in command] if isinstance(command, list | tuple) else []
            stack += value.values()
        elif isinstance(value, list | tuple):
            stack += value
    return words[0] if words and re.search(r"python[\d.]*$", words[0]) else "python"
