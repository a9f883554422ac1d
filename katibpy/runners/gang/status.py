"""The status that the operators would show for a job: what conditions of trial templates are written for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from katibpy.runners.gang.kinds import gang_kind_of

_TRAIN_JOB = "TrainJob"


def running_status(job: Mapping[str, Any], started: str, *, is_between: bool) -> dict[str, Any]:
    """Of a job whose processes live, or wait to be started again.

    Args:
        job: the object, of a kind that `gang_kind_of` knows.
        started: when the first attempt began.
        is_between: whether an attempt has failed and the next one has not begun.
    """
    if job["kind"] == _TRAIN_JOB:
        return {"jobsStatus": _jobs(job, active=0 if is_between else 1)}
    conditions = [_condition(job, "Created", started, "is created")]
    if is_between:
        conditions.append(_condition(job, "Restarting", started, "starts again, since a replica failed"))
    else:
        conditions.append(_condition(job, "Running", started, "is running"))
    statuses = {} if is_between else {title: {"active": count} for title, count in _counts(job)}
    return {"conditions": conditions, "replicaStatuses": statuses, "startTime": started}


def ended_status(
    job: Mapping[str, Any],
    started: str | None,
    ended: str,
    *,
    succeeded: bool | None,
    reason: str,
    message: str,
) -> dict[str, Any]:
    """Of a job that is over.

    Args:
        job: the object, of a kind that `gang_kind_of` knows.
        started: when the first attempt began, None when none did.
        ended: when the last one ended.
        succeeded: None for one that was stopped, which gets no further condition.
        reason: why it failed.
        message: the same for people.
    """
    kind = job["kind"]
    if kind == _TRAIN_JOB:
        status: dict[str, Any] = {}
        if succeeded is not None:
            status["conditions"] = [
                {
                    "type": "Complete" if succeeded else "Failed",
                    "status": "True",
                    "reason": "AllJobsCompleted" if succeeded else reason,
                    "message": message,
                    "lastTransitionTime": ended,
                }
            ]
            status["jobsStatus"] = _jobs(job, succeeded=int(succeeded), failed=int(not succeeded))
        return status
    conditions = [_condition(job, "Created", started or ended, "is created")]
    status = {"conditions": conditions}
    if started is not None:
        running = _condition(job, "Running", ended, "is running")
        conditions.append({**running, "status": "False"})
        status["startTime"] = started
    if succeeded is None:
        return status
    type_, counter = ("Succeeded", "succeeded") if succeeded else ("Failed", "failed")
    last = _condition(job, type_, ended, "")
    conditions.append({**last, "reason": f"{kind}Succeeded" if succeeded else reason, "message": message})
    counts = dict(_counts(job))
    status["replicaStatuses"] = {title: {counter: count} for title, count in counts.items()}
    return {**status, "completionTime": ended} if succeeded else status


def _condition(job: Mapping[str, Any], type_: str, moment: str, said: str) -> dict[str, str]:
    kind = job["kind"]
    name = (job.get("metadata") or {}).get("name", "")
    return {
        "type": type_,
        "status": "True",
        "reason": f"{kind}{type_}",
        "message": f"{kind} {name} {said}.",
        "lastUpdateTime": moment,
        "lastTransitionTime": moment,
    }


def _counts(job: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The roles by their titles, and how many replicas each has."""
    kind = gang_kind_of(job)
    for role in () if kind is None else kind.roles(job, ""):
        yield role.title, role.count


def _jobs(job: Mapping[str, Any], **counters: int) -> list[dict[str, Any]]:
    empty = {"ready": 0, "succeeded": 0, "failed": 0, "active": 0, "suspended": 0}
    return [{"name": title, **empty, **counters} for title, _ in _counts(job)]
