"""Runs jobs as plain processes of this host: one for a Job, a gang of them for the distributed kinds."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from katibpy.api.experiment import Experiment
from katibpy.api.trial import Trial
from katibpy.errors import FieldError
from katibpy.runners.devices import VISIBLE_VARIABLE
from katibpy.runners.executables import CommandNotFound, find_executable
from katibpy.runners.execution import CannotStart, Launch
from katibpy.runners.free_ports import FreePorts
from katibpy.runners.fresh_directory import renew
from katibpy.runners.gang.job import (
    GangJob,
    ReplicaProcess,
    gang_job_of,
    gang_problems,
    primary_replica,
)
from katibpy.runners.gang.kinds import gang_kind_of
from katibpy.runners.gang.plan import GangFailure, GangPlan, Member
from katibpy.runners.gang.roles import Meeting
from katibpy.runners.host_room import host_room, thread_environment
from katibpy.runners.job_shape import shape_of
from katibpy.runners.local_job import (
    LocalJob,
    MetricsPlace,
    Process,
    job_problems,
    metrics_of,
    single_job_of,
)
from katibpy.runners.outcome import COMMAND_NOT_FOUND, START_FAILED

_LAUNCHER = (sys.executable, "-P", "-m", "katibpy.runners.gang.launch")
_DEFAULT_GRACE_SECONDS = 10.0


def check_runnable(experiment: Experiment) -> tuple[FieldError, ...]:
    """What of the trial template processes on this host cannot honour; () when all is well."""
    template = experiment.spec.trial_template
    kind = None if template is None else gang_kind_of(template.trial_spec or {})
    return job_problems(experiment) if kind is None else gang_problems(experiment, kind)


class HostProcesses:
    """Implements `Execution`. Has no state but the ports it gave out."""

    def __init__(self, working_directory: Path) -> None:
        """Takes the directory of jobs without `workingDir`."""
        self._working_directory = working_directory
        self._ports = FreePorts()

    def check(self, experiment: Experiment) -> tuple[FieldError, ...]:
        """See `check_runnable`."""
        return check_runnable(experiment)

    def job_of(self, trial: Trial, directory: Path) -> LocalJob:
        """The trial's process or processes.

        Raises:
            InvalidResource: the run spec cannot be honoured.
        """
        kind, here = gang_kind_of(trial.spec.run_spec), self._working_directory
        if kind is None:
            return single_job_of(trial, directory=directory, default_working_directory=here)
        return gang_job_of(trial, kind, directory=directory, default_working_directory=here)

    def metrics_place(self, trial: Trial, directory: Path) -> MetricsPlace | None:
        """Where the trial writes its metrics; None when its collector reads no file."""
        kind = gang_kind_of(trial.spec.run_spec)
        primary = None if kind is None else primary_replica(trial, kind)
        shape = primary.shape if primary is not None else None
        if shape is None:
            shape = shape_of(trial.spec.run_spec, trial.spec.primary_container_name)
        return metrics_of(trial.spec.metrics_collector, shape, directory)[0]

    def inspect(self, job: LocalJob, environment: Mapping[str, str]) -> None:
        """Looks whether directories and programs are there.

        Raises:
            CannotStart: they are not.
        """
        if not isinstance(job, GangJob):
            _program(job, environment)
            return
        for each in job.processes(Meeting((0,) * job.port_count, job.directory)):
            _program(each.process, environment, each.replica.name)

    def launch(self, job: LocalJob, environment: Mapping[str, str], attempt: Path) -> Launch:
        """The process to start; for a gang, the program that keeps it.

        Raises:
            CannotStart: directories or programs are gone.
            OSError: a file cannot be written.
        """
        if not isinstance(job, GangJob):
            program = _program(job, environment)
            own = {**environment, **job.environment}
            _make(job)
            return Launch((program, *job.argv[1:]), own, job.working_directory)
        attempt.mkdir(mode=0o700, parents=True, exist_ok=True)
        processes = job.processes(Meeting(self._ports.take(job.port_count), attempt))
        devices = _shares(processes, environment.get(VISIBLE_VARIABLE))
        members = []
        for each, visible in zip(processes, devices, strict=True):
            program = _program(each.process, environment, each.replica.name)
            _make(each.process)
            members.append(_member(each, program, visible))
        for name, text in job.files.items():
            (attempt / name).write_text(text, encoding="utf-8")
        grace = _DEFAULT_GRACE_SECONDS if job.grace_seconds is None else job.grace_seconds
        plan = GangPlan(tuple(members), grace_seconds=grace).save(attempt)
        return Launch((*_LAUNCHER, str(plan)), environment, job.working_directory)

    def end(self, attempt: Path) -> str:
        """Nothing is left outside of an attempt's processes."""
        return ""

    def explain(self, attempt: Path) -> str:
        """Which replica of a gang failed."""
        failure = GangFailure.load(attempt)
        if failure is None:
            return ""
        if failure.problem:
            return f"replica {failure.member} could not be started ({failure.problem})"
        said = f" (its last line: {failure.last_line})" if failure.last_line else ""
        return f"replica {failure.member} failed{said}"


def _member(each: ReplicaProcess, program: str, visible: str | None) -> Member:
    told = {} if visible is None else {VISIBLE_VARIABLE: visible}
    if each.demand.cpu_limit is not None:
        told |= thread_environment(each.demand.cpu_limit, host_room())
    role = each.replica.role
    return Member(
        name=each.replica.name,
        argv=(program, *each.process.argv[1:]),
        environment={**told, **each.process.environment},
        working_directory=str(each.process.working_directory),
        output=None if each.output is None else str(each.output),
        leads=role.leads,
        serves=role.serves,
    )


def _shares(processes: tuple[ReplicaProcess, ...], visible: str | None) -> list[str | None]:
    """Each replica's part of the devices that the gang was given; a shared one is seen by all."""
    if visible is None or not any(each.demand.gpus for each in processes):
        return [visible] * len(processes)
    devices = visible.split(",")
    shares: list[str | None] = []
    for each in processes:
        shares.append(",".join(devices[: each.demand.gpus]))
        del devices[: each.demand.gpus]
    return shares


def _make(process: Process) -> None:
    for path in process.fresh_directories:
        renew(path, keep=None if process.metrics is None else process.metrics.path)
    for path in process.private_directories:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _program(process: Process, environment: Mapping[str, str], name: str = "") -> str:
    """Absolute path of a process's program.

    Raises:
        CannotStart: it or the working directory is not there.
    """
    whose = f"replica {name}: " if name else ""
    directory = process.working_directory
    if not directory.is_dir():
        message = f"{whose}the working directory {directory} does not exist; make it, or change workingDir"
        raise CannotStart(message, reason=START_FAILED)
    path = {**environment, **process.environment}.get("PATH", os.defpath)
    try:
        return find_executable(process.argv[0], search_path=path, working_directory=directory)
    except CommandNotFound as error:
        raise CannotStart(f"{whose}{error}", reason=COMMAND_NOT_FOUND) from error
