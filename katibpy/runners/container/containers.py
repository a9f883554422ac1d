"""Runs jobs as containers: one for a Job, several for the distributed kinds.

The main process of an attempt is the engine's own `run` command, which hands on signals, output and exit
code. So all that holds for processes holds for containers too: the attempt's lock, its deadline, its grace
period, and that a later program finds it again. What a process cannot do when it is killed, and that is to
take its container along, is made up for when the attempt has ended: the names of its containers are written
down before there are any, and whatever has such a name is ended and removed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from katibpy.api.experiment import Experiment
from katibpy.api.template import TRIAL_SPEC_PATH
from katibpy.api.trial import Trial
from katibpy.errors import FieldError, InvalidResource, RunnerError
from katibpy.runners.attempt import Attempt
from katibpy.runners.checkpoints import open_to_all
from katibpy.runners.container.engine import Call, Engine, last_line
from katibpy.runners.container.fields import CONTAINER_RULES
from katibpy.runners.container.leftovers import Leftovers, clear_containers, leftovers_of
from katibpy.runners.container.pod import (
    container_of,
    make_directories,
    metrics_place_of,
    pod_file_problems,
)
from katibpy.runners.container.spec import ContainerSpec
from katibpy.runners.demand import Demand
from katibpy.runners.devices import VISIBLE_VARIABLE
from katibpy.runners.execution import CannotStart, Launch
from katibpy.runners.free_ports import FreePorts
from katibpy.runners.gang.job import GangJob, Place, gang_job_of, gang_problems, primary_shape
from katibpy.runners.gang.kinds import gang_kind_of
from katibpy.runners.gang.launching import explain_gang, launch_gang, meet, member_of, shares
from katibpy.runners.host_room import host_room, thread_environment
from katibpy.runners.job_fields import whole_number
from katibpy.runners.job_shape import JobShape, checkpoint_problems, demand_in, problems_of, shape_of
from katibpy.runners.local_job import DEFAULT_BACKOFF_LIMIT, LocalJob, MetricsPlace
from katibpy.runners.outcome import START_FAILED
from katibpy.runners.stragglers import ATTEMPT_VARIABLE

_ENGINE_FAILED_CODE = 125
_COMMAND_FAILED_CODES = (126, 127)
_KILLED_CODE = 137
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerJob(LocalJob):
    """One container to start.

    Attributes:
        trial: whose job it is.
        shape: its pod.
        directory: the trial's own.
        limits: what the engine keeps it to; `demand` is without a limit of memory, which is not ours to keep.
    """

    trial: Trial
    shape: JobShape
    directory: Path
    limits: Demand


class Containers:
    """Implements `Execution` with an engine. Has no state but the ports it gave out."""

    def __init__(self, engine: Engine, *, working_directory: Path) -> None:
        """Takes the engine, and a directory of this host in which its command runs."""
        self._engine = engine
        self._working_directory = working_directory
        self._ports = FreePorts()

    def check(self, experiment: Experiment) -> tuple[FieldError, ...]:
        """What of the trial template the engine cannot honour."""
        template = experiment.spec.trial_template
        if template is None or template.trial_spec is None:
            return ()
        job, name = template.trial_spec, template.primary_container_name
        kind = gang_kind_of(job)
        if kind is None:
            errors = tuple(problems_of(shape_of(job, name), name, TRIAL_SPEC_PATH, CONTAINER_RULES))
        else:
            errors = gang_problems(experiment, kind, CONTAINER_RULES)
        if errors:
            return errors
        shape = primary_shape(job, name, template.primary_pod_labels)
        collector, parallel = experiment.spec.metrics_collector_spec, experiment.spec.parallel_trial_count
        errors = tuple(pod_file_problems(collector, shape, TRIAL_SPEC_PATH, parallel))
        errors += tuple(checkpoint_problems(experiment, shape))
        return errors or self._refusals(shape)

    def job_of(self, trial: Trial, directory: Path, checkpoints: Path | None = None) -> LocalJob:
        """The trial's container or containers.

        Raises:
            InvalidResource: the run spec cannot be honoured.
        """
        job, name = trial.spec.run_spec, trial.spec.primary_container_name
        kind = gang_kind_of(job)
        if kind is not None:
            gang = gang_job_of(
                trial,
                kind,
                CONTAINER_RULES,
                directory=directory,
                working_directory=self._working_directory,
            )
            demand = replace(gang.demand, memory_limit=None)
            return replace(gang, demand=demand, checkpoints=checkpoints)
        shape = shape_of(job, name)
        errors = list(problems_of(shape, name, "spec.runSpec", CONTAINER_RULES))
        if errors:
            raise InvalidResource(errors)
        limits = demand_in(shape)
        grace = whole_number(shape.pod.get("terminationGracePeriodSeconds"))
        backoff = whole_number(shape.spec.get("backoffLimit"))
        return ContainerJob(
            argv=(),
            environment={},
            working_directory=self._working_directory,
            deadline_seconds=whole_number(shape.spec.get("activeDeadlineSeconds")),
            attempt_deadline_seconds=whole_number(shape.pod.get("activeDeadlineSeconds")),
            backoff_limit=DEFAULT_BACKOFF_LIMIT if backoff is None else backoff,
            grace_seconds=None if grace is None else float(grace),
            demand=replace(limits, memory_limit=None),
            checkpoints=checkpoints,
            trial=trial,
            shape=shape,
            directory=directory,
            limits=limits,
        )

    def metrics_place(self, trial: Trial, directory: Path) -> MetricsPlace | None:
        """Where the trial writes its metrics on this host; None when its collector reads no file."""
        spec = trial.spec
        shape = primary_shape(spec.run_spec, spec.primary_container_name, spec.primary_pod_labels)
        return metrics_place_of(spec.metrics_collector, shape, directory)[0]

    def inspect(self, job: LocalJob, environment: Mapping[str, str]) -> None:
        """Looks at nothing: what an image has shows when its container is started."""

    def launch(
        self, job: LocalJob, environment: Mapping[str, str], granted: Mapping[str, str], attempt: Path
    ) -> Launch:
        """The engine's command; for several containers, the program that keeps them.

        Raises:
            CannotStart: a host path is missing, or the engine cannot do what is asked for.
            OSError: a file cannot be written.
        """
        attempt.mkdir(mode=0o700, parents=True, exist_ok=True)
        if job.checkpoints is not None:
            job.checkpoints.mkdir(parents=True, exist_ok=True)
            open_to_all(job.checkpoints)
        if isinstance(job, GangJob):
            return self._launch_gang(job, environment, granted, attempt)
        if not isinstance(job, ContainerJob):
            raise TypeError(f"must be a job of this execution, got {type(job).__name__}")
        name = container_name(attempt)
        spec = container_of(
            job.trial,
            job.shape,
            name=name,
            directory=job.directory,
            demand=job.limits,
            granted=_granted(job.limits, granted, granted.get(VISIBLE_VARIABLE)),
            devices=_devices(job.limits, granted.get(VISIBLE_VARIABLE)),
            checkpoints=job.checkpoints,
        )
        self._make_ready(job.trial, spec, job.shape, job.directory)
        leftovers_of(self._engine, [spec]).save(attempt)
        call = self._engine.run(spec)
        own = {**_unmarked(environment, call), **call.environment}
        return Launch(call.argv, own, job.working_directory)

    def end(self, attempt: Path) -> str:
        """Removes the attempt's containers, running or not."""
        return clear_containers(attempt)

    def explain(self, attempt: Path) -> str:
        """Which of several containers failed, and what is known of why."""
        parts = [explain_gang(attempt)]
        ended, left = Attempt(attempt).exit(), Leftovers.load(attempt)
        if ended is not None and left is not None:
            is_alone = len(left.names) == 1
            parts.append(_meaning(ended.code, left, _tail(attempt.parent / "output.log") if is_alone else ""))
        return "; ".join(filter(None, parts))

    def _launch_gang(
        self, job: GangJob, environment: Mapping[str, str], granted: Mapping[str, str], attempt: Path
    ) -> Launch:
        places = meet(job, self._ports, attempt)
        devices = shares(places, granted.get(VISIBLE_VARIABLE))
        members, specs, calls = [], [], []
        for place, visible in zip(places, devices, strict=True):
            spec = self._member_spec(job, place, granted, visible, attempt)
            self._make_ready(job.trial, spec, place.replica.shape, place.directory)
            call = self._engine.run(spec)
            specs.append(spec)
            calls.append(call)
            members.append(
                member_of(
                    place,
                    argv=call.argv,
                    environment=call.environment,
                    working_directory=self._working_directory,
                )
            )
        leftovers_of(self._engine, specs).save(attempt)
        return launch_gang(job, members, _unmarked(environment, *calls), attempt)

    def _member_spec(
        self, job: GangJob, place: Place, granted: Mapping[str, str], visible: str | None, attempt: Path
    ) -> ContainerSpec:
        demand = place.demand
        if demand.cpu_limit is not None:
            granted = {**granted, **thread_environment(demand.cpu_limit, host_room())}
        return container_of(
            job.trial,
            place.replica.shape,
            name=container_name(attempt, place.replica.name),
            directory=place.directory,
            demand=demand,
            told=place.told,
            granted=_granted(demand, granted, visible),
            devices=_devices(demand, visible),
            checkpoints=job.checkpoints,
        )

    def _make_ready(self, trial: Trial, spec: ContainerSpec, shape: JobShape, directory: Path) -> None:
        refusals = self._engine.refusals(spec)
        if refusals:
            raise CannotStart("; ".join(refusals), reason=START_FAILED)
        try:
            place, _ = metrics_place_of(trial.spec.metrics_collector, shape, directory)
            make_directories(spec, shape, directory, metrics=None if place is None else place.path)
        except RunnerError as error:
            raise CannotStart(str(error), reason=START_FAILED) from error

    def _refusals(self, shape: JobShape) -> tuple[FieldError, ...]:
        """What the engine cannot do, as far as a template that is not filled in tells."""
        spec = container_of(Trial(), shape, name="", directory=Path("/trial"), demand=Demand())
        where = f"{TRIAL_SPEC_PATH}.{shape.container_path}"
        return tuple(
            FieldError(where, f"cannot be honoured: {refusal}") for refusal in self._engine.refusals(spec)
        )


def container_name(attempt: Path, replica: str = "") -> str:
    """The name of an attempt's container, the same whoever asks and unlike any other on this host."""
    digest = hashlib.sha256(str(attempt.absolute()).encode()).hexdigest()[:20]
    return f"katib-{digest}-{replica}" if replica else f"katib-{digest}"


def _meaning(code: int, left: Leftovers, said: str) -> str:
    """What an exit code of the engine's command tells besides that of the container."""
    words = f" ({said})" if said else ""
    if code == _ENGINE_FAILED_CODE:
        return f"{left.engine} could not start the container{words}"
    if code in _COMMAND_FAILED_CODES and said.startswith("Error: "):
        return f"{left.engine} could not start the command{words}"
    if code == _KILLED_CODE and any(left.memory_limits):
        return "the container was killed, as one is that wants more memory than resources.limits.memory"
    return ""


def _unmarked(environment: Mapping[str, str], *calls: Call) -> dict[str, str]:
    """The environment without the mark of an attempt, where an engine may start processes of its own.

    A helper that serves all of a user's containers must not be taken for what the attempt left behind.
    """
    own = dict(environment)
    if any(call.is_apart for call in calls):
        own.pop(ATTEMPT_VARIABLE, None)
    return own


def _devices(demand: Demand, visible: str | None) -> Sequence[str]:
    return visible.split(",") if demand.wants_gpu and visible else ()


def _granted(demand: Demand, granted: Mapping[str, str], visible: str | None) -> dict[str, str]:
    """What a container is told of what it was given: it counts its devices from 0, and has no others."""
    told = dict(granted)
    if not demand.wants_gpu:
        return told
    for name in (VISIBLE_VARIABLE, "NVIDIA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        told.pop(name, None)
    if visible and not visible.replace(",", "").isdigit():
        told[VISIBLE_VARIABLE] = visible
    return told


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            return last_line(file.read().decode(errors="replace"))
    except OSError:
        return ""
