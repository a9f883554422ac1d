"""What trials wrote: their output, line by line, and the traceback in it."""

from __future__ import annotations

import codecs
import re
import time
from collections.abc import Iterator
from pathlib import Path

from katibpy.api.experiment import Experiment
from katibpy.api.trial import Trial
from katibpy.app.trial_output import OutputReader
from katibpy.client.session import Session
from katibpy.core.phases import trial_phase
from katibpy.display.failures import CommonFailure
from katibpy.display.plain_text import clean

_CHUNK = 64 * 1024
_POLL_SECONDS = 0.2
_LINES_SHOWN = 20
_TRACEBACK = re.compile(r"^[ +|]*(?:Exception Group )?Traceback \(most recent call last\):$", re.MULTILINE)
_CHAINED = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)


def log_lines(session: Session, trial: Trial, *, follow: bool) -> Iterator[str]:
    """A trial's output, without line breaks; with `follow`, until it has ended."""
    path = session.log_path(trial)
    while follow and not path.exists() and _is_active(session, trial):
        time.sleep(_POLL_SECONDS)
    if not path.exists():
        return
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    with OutputReader(path) as file:
        is_last = False
        while True:
            chunk = file.read()
            *lines, rest = (rest + decoder.decode(chunk)).split("\n")
            yield from (line.removesuffix("\r") for line in lines)
            if chunk:
                continue
            if is_last or not follow:
                break
            # What was written between the last read and the end is read once more.
            is_last = not _is_active(session, trial)
            if not is_last:
                time.sleep(_POLL_SECONDS)
    rest += decoder.decode(b"", final=True)
    if rest:
        yield rest


def failure_text(session: Session, experiment: Experiment, failure: CommonFailure) -> str:
    """The most common failure, with the traceback of one of its trials, or the end of its output."""
    share = f"{failure.count} of {failure.total}"
    text = f"Most common failure ({share}): {failure.message}"
    trial = session.resources.find(Trial, experiment.metadata.namespace, failure.example)
    output = _end_of(session.log_path(trial)) if trial is not None else ""
    if not output:
        return text
    return f"{text}\nOutput of trial {failure.example}:\n{traceback_in(output) or _last_lines(output)}"


def traceback_in(output: str) -> str:
    """The last traceback that Python printed, with those that led to it; empty without one."""
    starts = [match.start() for match in _TRACEBACK.finditer(output)]
    if not starts:
        return ""
    first = len(starts) - 1
    while first and output[: starts[first]].rstrip().endswith(_CHAINED):
        first -= 1
    return output[starts[first] :].rstrip()


def _end_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(size - _CHUNK, 0))
            return clean(file.read().decode(errors="replace"))
    except OSError:
        return ""


def _last_lines(output: str) -> str:
    return "\n".join(output.rstrip().split("\n")[-_LINES_SHOWN:])


def _is_active(session: Session, trial: Trial) -> bool:
    now = session.resources.find(Trial, trial.metadata.namespace, trial.metadata.name)
    return (
        now is not None
        and now.metadata.uid == trial.metadata.uid
        and trial_phase(now.status.conditions).is_active
    )
