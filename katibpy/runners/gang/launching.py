"""From the places of a gang to the program that keeps it; the same for processes and for containers."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from katibpy.runners.execution import Launch
from katibpy.runners.free_ports import FreePorts
from katibpy.runners.gang.job import GangJob, Place
from katibpy.runners.gang.plan import GangFailure, GangPlan, Member
from katibpy.runners.gang.roles import Meeting

_LAUNCHER = (sys.executable, "-P", "-m", "katibpy.runners.gang.launch")
_DEFAULT_GRACE_SECONDS = 10.0


def meet(job: GangJob, ports: FreePorts, attempt: Path) -> tuple[Place, ...]:
    """The places of an attempt, with ports of their own; makes its directory and the files that it needs.

    Raises:
        CannotStart: there are no free ports.
        OSError: a file cannot be written.
    """
    attempt.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, text in job.files.items():
        (attempt / name).write_text(text, encoding="utf-8")
    return job.places(Meeting(ports.take(job.port_count), attempt))


def shares(places: Sequence[Place], visible: str | None) -> list[str | None]:
    """Each replica's part of the devices that the gang was given; a shared one is seen by all.

    Args:
        places: by rank.
        visible: the devices, with commas; None when nothing was said of them.
    """
    if visible is None or not any(place.demand.gpus for place in places):
        return [visible] * len(places)
    devices = visible.split(",")
    found: list[str | None] = []
    for place in places:
        found.append(",".join(devices[: place.demand.gpus]))
        del devices[: place.demand.gpus]
    return found


def member_of(
    place: Place, *, argv: tuple[str, ...], environment: Mapping[str, str], working_directory: Path
) -> Member:
    """A replica as the program that keeps the gang is told of it."""
    role = place.replica.role
    return Member(
        name=place.replica.name,
        argv=argv,
        environment=environment,
        working_directory=str(working_directory),
        output=None if place.output is None else str(place.output),
        leads=role.leads,
        serves=role.serves,
    )


def launch_gang(
    job: GangJob, members: Sequence[Member], environment: Mapping[str, str], attempt: Path
) -> Launch:
    """The program that keeps the members.

    Raises:
        OSError: its plan cannot be written.
    """
    grace = _DEFAULT_GRACE_SECONDS if job.grace_seconds is None else job.grace_seconds
    plan = GangPlan(tuple(members), grace_seconds=grace).save(attempt)
    return Launch((*_LAUNCHER, str(plan)), environment, job.working_directory)


def explain_gang(attempt: Path) -> str:
    """Which replica of the attempt failed, as the beginning of a sentence; "" when none did."""
    failure = GangFailure.load(attempt)
    if failure is None:
        return ""
    if failure.problem:
        return f"replica {failure.member} could not be started ({failure.problem})"
    said = f" (its last line: {failure.last_line})" if failure.last_line else ""
    return f"replica {failure.member} failed{said}"
