"""What the end of an attempt means for its run: success, failure, or another attempt."""

from __future__ import annotations

from dataclasses import dataclass

from katibpy.runners.local_job import LocalJob
from katibpy.runners.outcome import (
    COMPLETED,
    DEADLINE_EXCEEDED,
    OUT_OF_MEMORY,
    STOPPED,
    describe_failure,
)
from katibpy.runners.process_group import End


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a run is over, or why it is tried again.

    Attributes:
        reason: one CamelCase word.
        message: the same for people.
        failed: how many attempts have failed.
        is_final: whether there is no further attempt.
    """

    reason: str
    message: str
    failed: int
    is_final: bool = True

    @property
    def has_culprit(self) -> bool:
        """Whether something of the job went wrong by itself."""
        return self.reason not in (COMPLETED, STOPPED, DEADLINE_EXCEEDED)


def verdict_on(end: End, job: LocalJob, *, number: int, ending: str, is_overdue: bool) -> Verdict:
    """Judges one attempt.

    Args:
        end: how it ended.
        job: whose attempt it was.
        number: which attempt, from 1.
        ending: why the run is being ended, "" when it is not.
        is_overdue: whether the attempt was ended because it took too long.
    """
    code = end.exit.code if end.exit is not None else None
    if ending == STOPPED:
        return Verdict(STOPPED, "it was stopped", number)
    if ending == DEADLINE_EXCEEDED:
        message = f"it ran longer than activeDeadlineSeconds ({job.deadline_seconds}) and was ended"
        return Verdict(DEADLINE_EXCEEDED, message, number)
    if code == 0 and not is_overdue:
        tried = f" in attempt {number}" if number > 1 else ""
        return Verdict(COMPLETED, f"the process ended with exit code 0{tried}", number - 1)
    if end.excess:
        # Another attempt would need as much.
        return Verdict(OUT_OF_MEMORY, f"{end.excess}; raise resources.limits.memory", number)
    reason, message = describe_failure(code, end.signal_name)
    if is_overdue:
        limit = job.attempt_deadline_seconds
        reason = DEADLINE_EXCEEDED
        message = f"it ran longer than the pod's activeDeadlineSeconds ({limit}) and was ended"
    is_retried = code is None or code >= job.least_retried_code
    if number <= job.backoff_limit and is_retried:
        return Verdict(reason, message, number, is_final=False)
    if number > 1:
        message += f"; it was tried {number} times (backoffLimit {job.backoff_limit})"
    return Verdict(reason, message, number)
