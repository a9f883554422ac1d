"""Why trials of an Experiment fail."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from katibpy.api.experiment import Experiment
from katibpy.api.status_conditions import current
from katibpy.api.trial import Trial
from katibpy.core.phases import TrialPhase
from katibpy.display.plain_text import clean
from katibpy.ports import ResourceStore

_FAILURES_READ = 1000
_NAME = "\0"
"""Stands for the name of the trial where messages are compared."""

_EXCEPTION = re.compile(r"([A-Za-z_][\w.]*)(?::|$)")


@dataclass(frozen=True, slots=True)
class CommonFailure:
    """The reason that most failed trials give.

    Attributes:
        message: in one line, without the trial's own name.
        count: how many trials give it.
        total: how many were looked at.
        example: name of one of them.
        output: the last line that it wrote.
    """

    message: str
    count: int
    total: int
    example: str
    output: str = ""


def common_failure(resources: ResourceStore, experiment: Experiment) -> CommonFailure | None:
    """The most common reason among the failed trials, None when none failed."""
    status = experiment.status
    if not status.trials_failed + status.trial_metrics_unavailable:
        return None
    failed = resources.list(
        Trial,
        owner_uid=experiment.metadata.uid,
        phases=(TrialPhase.FAILED.value, TrialPhase.METRICS_UNAVAILABLE.value),
        limit=_FAILURES_READ,
    ).items
    return _most_common(failed)


def failure_line(trial: Trial) -> str:
    """Why a trial failed, in one line: what its last condition says without the output that follows."""
    newest = current(trial.status.conditions)
    if newest is None:
        return ""
    first = clean(newest.message).partition("\n")[0]
    for prefix in ("Trial has failed. Job message: ", "Trial has failed"):
        first = first.removeprefix(prefix)
    return first or newest.reason


def last_output(trial: Trial) -> str:
    """The last line that a failed trial wrote, as far as its condition tells it; empty without one."""
    newest = current(trial.status.conditions)
    _, *others = clean(newest.message).rstrip().split("\n") if newest is not None else [""]
    return others[-1].strip() if others else ""


def _most_common(trials: Iterable[Trial]) -> CommonFailure | None:
    counter: Counter[tuple[str, str]] = Counter()
    example: dict[tuple[str, str], Trial] = {}
    for trial in trials:
        # Of a Python program the exception tells more than its exit code; its text may differ each time.
        exception = _EXCEPTION.match(last_output(trial))
        message = failure_line(trial).replace(trial.metadata.name, _NAME)
        kind = (message, exception[1] if exception else "")
        counter[kind] += 1
        example.setdefault(kind, trial)
    if not counter:
        return None
    kind, count = counter.most_common(1)[0]
    trial = example[kind]
    name = trial.metadata.name
    return CommonFailure(
        kind[0].replace(_NAME, name), count, counter.total(), name, output=last_output(trial)
    )
