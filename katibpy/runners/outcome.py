"""How a run stands and how it ended, told as the job object that Kubernetes would show for it."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from katibpy.api.model import format_time
from katibpy.api.trial import Trial
from katibpy.core.runs import RunPhase, RunState
from katibpy.runners.gang.kinds import gang_kind_of
from katibpy.runners.gang.status import ended_status, running_status

COMPLETED = "Completed"
FAILED = "ProcessFailed"
KILLED_BY_SIGNAL = "ProcessKilled"
COMMAND_NOT_FOUND = "CommandNotFound"
DEADLINE_EXCEEDED = "DeadlineExceeded"
STOPPED = "Stopped"
INVALID_JOB = "InvalidJob"
START_FAILED = "StartFailed"
OUT_OF_MEMORY = "OutOfMemory"
BACKOFF_LIMIT_EXCEEDED = "BackoffLimitExceeded"

_FIRST_SIGNAL_CODE = 128
_HINTS = {
    126: "a shell gives 126 when a program in its script cannot be run",
    127: "a shell gives 127 when a program in its script does not exist",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a run.

    Attributes:
        reason: one CamelCase word.
        message: the same for people.
        failed: how many attempts failed.
        exit_code: of the last attempt, None when it has none.
        started_at: when the first attempt began, None when none did.
        ended_at: when the last one ended.
    """

    reason: str
    message: str
    failed: int
    ended_at: datetime
    exit_code: int | None = None
    started_at: datetime | None = None

    def save(self, path: Path) -> None:
        """Writes it whole; a directory that is gone is no error, since the run has ended all the same."""
        document = {
            "reason": self.reason,
            "message": self.message,
            "failed": self.failed,
            "exitCode": self.exit_code,
            "startedAt": self.started_at and self.started_at.isoformat(),
            "endedAt": self.ended_at.isoformat(),
        }
        draft = path.with_suffix(".draft")
        with contextlib.suppress(OSError):
            draft.write_text(json.dumps(document), encoding="utf-8")
            os.replace(draft, path)

    @classmethod
    def load(cls, path: Path) -> Outcome | None:
        """What was saved, None when nothing was."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            started = document["startedAt"]
            return cls(
                reason=document["reason"],
                message=document["message"],
                failed=document["failed"],
                exit_code=document["exitCode"],
                started_at=datetime.fromisoformat(started) if started else None,
                ended_at=datetime.fromisoformat(document["endedAt"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def state(self, trial: Trial) -> RunState:
        """The ended run."""
        job = trial.spec.run_spec
        status = self._job_status() if gang_kind_of(job) is None else self._gang_status(job)
        return RunState(
            phase=RunPhase.ENDED,
            resource={**job, "status": status},
            reason=self.reason,
            message=self.message,
            exit_code=self.exit_code,
            started_at=self.started_at,
            ended_at=self.ended_at,
        )

    def _job_status(self) -> dict[str, Any]:
        status: dict[str, Any] = {"failed": self.failed} if self.failed else {}
        if self.started_at is not None:
            status["startTime"] = _stamp(self.started_at)
        if self.reason == COMPLETED:
            status |= {"succeeded": 1, "completionTime": _stamp(self.ended_at)}
            status["conditions"] = [self._condition("Complete", COMPLETED)]
        elif self.reason != STOPPED:
            # A job that is stopped is deleted on Kubernetes, and never gets a condition.
            is_exit = self.reason in (FAILED, KILLED_BY_SIGNAL)
            status["conditions"] = [
                self._condition("Failed", BACKOFF_LIMIT_EXCEEDED if is_exit else self.reason)
            ]
        return status

    def _gang_status(self, job: Mapping[str, Any]) -> dict[str, Any]:
        return ended_status(
            job,
            None if self.started_at is None else _stamp(self.started_at),
            _stamp(self.ended_at),
            succeeded=None if self.reason == STOPPED else self.reason == COMPLETED,
            reason=self.reason,
            message=self.message,
        )

    def _condition(self, kind: str, reason: str) -> dict[str, str]:
        moment = _stamp(self.ended_at)
        return {
            "type": kind,
            "status": "True",
            "reason": reason,
            "message": self.message,
            "lastProbeTime": moment,
            "lastTransitionTime": moment,
        }


@functools.lru_cache(maxsize=64)
def _stamp(moment: datetime) -> str:
    # A simulated run ends at the moment the next one starts, thousands of times a second.
    return format_time(moment)


def waiting_state(trial: Trial, reason: str, message: str) -> RunState:
    """A run that was accepted and has not begun."""
    resource = {**trial.spec.run_spec, "status": {}}
    return RunState(phase=RunPhase.WAITING, resource=resource, reason=reason, message=message)


def running_state(
    trial: Trial, *, started_at: datetime, failed: int, is_between: bool, message: str
) -> RunState:
    """A run whose process is alive, or waits to be tried again when `is_between`."""
    job = trial.spec.run_spec
    if gang_kind_of(job) is not None:
        status = running_status(job, _stamp(started_at), is_between=is_between)
    else:
        active = 0 if is_between else 1
        status = {"active": active, "ready": active, "startTime": _stamp(started_at)}
        if failed:
            status["failed"] = failed
    return RunState(
        phase=RunPhase.RUNNING,
        resource={**job, "status": status},
        reason="BackOff" if is_between else "",
        message=message,
        started_at=started_at,
    )


def signal_name(code: int) -> str | None:
    """The signal that an exit code stands for, None when it stands for none."""
    try:
        return signal.Signals(code - _FIRST_SIGNAL_CODE).name
    except ValueError:
        return None


def describe_failure(code: int | None, killer: str) -> tuple[str, str]:
    """Reason and message of an attempt that failed.

    Args:
        code: its exit code, None when it left none.
        killer: name of the signal that ended it together with its wrapper, when that is known.
    """
    name = killer if code is None else signal_name(code)
    if name:
        coded = "" if code is None else f" (exit code {code})"
        hint = "; the system does that when memory runs out" if name == "SIGKILL" else ""
        return KILLED_BY_SIGNAL, f"the process was ended by signal {name}{coded}{hint}"
    if code is None:
        return KILLED_BY_SIGNAL, (
            "the process was killed while nobody watched it, or the host was restarted: it left no exit code"
        )
    hint = f" ({_HINTS[code]})" if code in _HINTS else ""
    return FAILED, f"the process ended with exit code {code}{hint}"
