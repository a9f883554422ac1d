"""Runs jobs as plain processes of this host: one for a Job, a gang of them for the distributed kinds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from katibpy.api.experiment import Experiment
from katibpy.api.trial import Trial
from katibpy.errors import FieldError
from katibpy.runners.container.leftovers import clear_containers
from katibpy.runners.devices import VISIBLE_VARIABLE
from katibpy.runners.executables import CommandNotFound, find_executable
from katibpy.runners.execution import CannotStart, Launch
from katibpy.runners.free_ports import FreePorts
from katibpy.runners.fresh_directory import renew
from katibpy.runners.gang.job import GangJob, Place, gang_job_of, gang_problems, primary_shape
from katibpy.runners.gang.kinds import gang_kind_of
from katibpy.runners.gang.launching import explain_gang, launch_gang, meet, member_of, shares
from katibpy.runners.host_images import HostImages
from katibpy.runners.host_room import host_room, thread_environment
from katibpy.runners.job_fields import PROCESS_RULES
from katibpy.runners.job_shape import checkpoint_problems, shape_of
from katibpy.runners.local_job import (
    LocalJob,
    MetricsPlace,
    Process,
    job_problems,
    metrics_of,
    metrics_problems,
    process_of,
    single_job_of,
)
from katibpy.runners.outcome import COMMAND_NOT_FOUND, START_FAILED


def check_runnable(experiment: Experiment) -> tuple[FieldError, ...]:
    """What of the trial template processes on this host cannot honour; () when all is well."""
    template = experiment.spec.trial_template
    kind = None if template is None else gang_kind_of(template.trial_spec or {})
    if template is None or template.trial_spec is None or kind is None:
        return job_problems(experiment)
    errors = gang_problems(experiment, kind, PROCESS_RULES)
    if errors:
        return errors
    labels = template.primary_pod_labels
    shape = primary_shape(template.trial_spec, template.primary_container_name, labels)
    return (*metrics_problems(experiment, shape), *checkpoint_problems(experiment, shape))


class HostProcesses:
    """Implements `Execution`. Has no state but the ports it gave out."""

    def __init__(self, working_directory: Path, images: HostImages | None = None) -> None:
        """Takes the directory of jobs without `workingDir`, and what stands for images."""
        self._working_directory = working_directory
        self._images = images or HostImages()
        self._ports = FreePorts()

    def check(self, experiment: Experiment) -> tuple[FieldError, ...]:
        """See `check_runnable`."""
        return check_runnable(experiment)

    def job_of(self, trial: Trial, directory: Path, checkpoints: Path | None = None) -> LocalJob:
        """The trial's process or processes.

        Raises:
            InvalidResource: the run spec cannot be honoured.
        """
        kind, here = gang_kind_of(trial.spec.run_spec), self._working_directory
        if kind is None:
            shape = shape_of(trial.spec.run_spec, trial.spec.primary_container_name)
            here = self._images.working_directory(shape, here)
            job = single_job_of(
                trial, directory=directory, default_working_directory=here, checkpoints=checkpoints
            )
            return self._images.applied(job, shape)
        gang = gang_job_of(trial, kind, PROCESS_RULES, directory=directory, working_directory=here)
        gang = replace(gang, checkpoints=checkpoints)
        for place in gang.rehearsal():
            self._process(gang, place)
        return gang

    def metrics_place(self, trial: Trial, directory: Path) -> MetricsPlace | None:
        """Where the trial writes its metrics; None when its collector reads no file."""
        spec = trial.spec
        shape = primary_shape(spec.run_spec, spec.primary_container_name, spec.primary_pod_labels)
        return metrics_of(spec.metrics_collector, shape, directory)[0]

    def inspect(self, job: LocalJob, environment: Mapping[str, str]) -> None:
        """Looks whether directories and programs are there.

        Raises:
            CannotStart: they are not.
        """
        if not isinstance(job, GangJob):
            _program(job, environment)
            return
        for place in job.rehearsal():
            _program(self._process(job, place), environment, place.replica.name)

    def launch(
        self, job: LocalJob, environment: Mapping[str, str], granted: Mapping[str, str], attempt: Path
    ) -> Launch:
        """The process to start; for a gang, the program that keeps it.

        Raises:
            CannotStart: directories or programs are gone.
            OSError: a file cannot be written.
        """
        environment = {**environment, **granted}
        if not isinstance(job, GangJob):
            program = _program(job, environment)
            _make(job)
            own = {**environment, **_searching(job, environment), **job.environment}
            return Launch((program, *job.argv[1:]), own, job.working_directory)
        places = meet(job, self._ports, attempt)
        devices = shares(places, environment.get(VISIBLE_VARIABLE))
        members = []
        for place, visible in zip(places, devices, strict=True):
            process = self._process(job, place)
            program = _program(process, environment, place.replica.name)
            _make(process)
            told = _searching(process, environment)
            if visible is not None:
                told[VISIBLE_VARIABLE] = visible
            if place.demand.cpu_limit is not None:
                told |= thread_environment(place.demand.cpu_limit, host_room())
            members.append(
                member_of(
                    place,
                    argv=(program, *process.argv[1:]),
                    environment={**told, **process.environment},
                    working_directory=process.working_directory,
                )
            )
        return launch_gang(job, members, environment, attempt)

    def _process(self, job: GangJob, place: Place) -> Process:
        shape = place.replica.shape
        process = process_of(
            job.trial,
            shape,
            directory=place.directory,
            default_working_directory=self._images.working_directory(shape, self._working_directory),
            told=place.told,
            checkpoints=job.checkpoints,
        )
        return self._images.applied(process, shape)

    def end(self, attempt: Path) -> str:
        """Removes the containers of an attempt that another execution began; of its own nothing is left."""
        return clear_containers(attempt)

    def explain(self, attempt: Path) -> str:
        """Which replica of a gang failed."""
        return explain_gang(attempt)


def _searching(process: Process, environment: Mapping[str, str]) -> dict[str, str]:
    """PATH with the directories that come first for this process; {} when there are none."""
    if not process.search_first:
        return {}
    return {"PATH": os.pathsep.join((*process.search_first, environment.get("PATH") or os.defpath))}


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
    path = {**environment, **_searching(process, environment), **process.environment}.get("PATH", os.defpath)
    try:
        return find_executable(process.argv[0], search_path=path, working_directory=directory)
    except CommandNotFound as error:
        raise CannotStart(f"{whose}{error}", reason=COMMAND_NOT_FOUND) from error
