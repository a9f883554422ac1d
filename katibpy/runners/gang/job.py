"""A trial that is a job of several processes: what runs, and what keeps it from running."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from katibpy.api.experiment import Experiment
from katibpy.api.template import TRIAL_SPEC_PATH
from katibpy.api.trial import Trial
from katibpy.errors import FieldError, InvalidResource
from katibpy.runners.demand import Demand
from katibpy.runners.gang.roles import GangKind, Meeting, Replica, primary_of, replicas_of
from katibpy.runners.job_fields import whole_number
from katibpy.runners.job_shape import demand_in
from katibpy.runners.local_job import (
    DEFAULT_BACKOFF_LIMIT,
    LocalJob,
    Process,
    metrics_problems,
    process_of,
)

_LABELS_PATH = "spec.trialTemplate.primaryPodLabels"


@dataclass(frozen=True, slots=True)
class ReplicaProcess:
    """A replica with the process that it is.

    Attributes:
        replica: its place in the job.
        process: what runs.
        output: file that its output is appended to; None for the trial's own.
        demand: its part of what the job asks for.
    """

    replica: Replica
    process: Process
    output: Path | None
    demand: Demand


@dataclass(frozen=True, slots=True, kw_only=True)
class GangJob(LocalJob):
    """Processes to start together. `argv`, `environment` and `working_directory` stand for no process.

    Attributes:
        trial: whose job it is.
        kind: knows what replicas are told.
        replicas: all of them, by rank.
        primary: the one whose output is the trial's.
        directory: the trial's own.
    """

    trial: Trial
    kind: GangKind
    replicas: tuple[Replica, ...]
    primary: Replica
    directory: Path

    @property
    def port_count(self) -> int:
        """How many free ports the processes need."""
        return self.kind.port_count(self.replicas)

    @property
    def files(self) -> Mapping[str, str]:
        """Files that the attempt's directory must have, by name."""
        return self.kind.files(self.trial.spec.run_spec, self.replicas)

    def processes(self, meeting: Meeting) -> tuple[ReplicaProcess, ...]:
        """The processes of one attempt, by rank.

        Raises:
            InvalidResource: a private path cannot be put in its place.
        """
        return tuple(self._process(replica, meeting) for replica in self.replicas)

    def _process(self, replica: Replica, meeting: Meeting) -> ReplicaProcess:
        is_primary = replica == self.primary
        process = process_of(
            self.trial,
            replica.shape,
            directory=self.directory if is_primary else self.directory / f"replica-{replica.name}",
            default_working_directory=self.working_directory,
            told=self.kind.told(self.trial.spec.run_spec, self.replicas, replica, meeting),
        )
        output = None if is_primary else replica_log(self.directory, replica.name)
        return ReplicaProcess(replica, process, output, demand_in(replica.role.shape))


def replica_log(directory: Path, name: str) -> Path:
    """The output of a replica that is not the primary one.

    Args:
        directory: the trial's own.
        name: of the replica, `worker-0`.
    """
    return directory / f"replica-{name}.log"


def replicas_with_logs(directory: Path) -> tuple[str, ...]:
    """The replicas that have written such a file."""
    found = (path.name for path in directory.glob("replica-*.log"))
    return tuple(sorted(name.removeprefix("replica-").removesuffix(".log") for name in found))


def gang_problems(experiment: Experiment, kind: GangKind) -> tuple[FieldError, ...]:
    """What of a job of this kind as trial template processes on this host cannot honour."""
    template = experiment.spec.trial_template
    if template is None or template.trial_spec is None:
        return ()
    job, name = template.trial_spec, template.primary_container_name
    errors = list(kind.problems(job, name, TRIAL_SPEC_PATH))
    if errors:
        return tuple(errors)
    replicas = replicas_of(kind.roles(job, name))
    errors.extend(_primary_problems(replicas, template.primary_pod_labels, name))
    if errors:
        return tuple(errors)
    primary = _primary(replicas, template.primary_pod_labels)
    return metrics_problems(experiment, primary.shape)


def gang_job_of(trial: Trial, kind: GangKind, *, directory: Path, default_working_directory: Path) -> GangJob:
    """The processes of a trial.

    Raises:
        InvalidResource: the run spec cannot be honoured.
    """
    job, name = trial.spec.run_spec, trial.spec.primary_container_name
    errors = list(kind.problems(job, name, "spec.runSpec"))
    replicas = () if errors else replicas_of(kind.roles(job, name))
    errors.extend(() if errors else _primary_problems(replicas, trial.spec.primary_pod_labels, name))
    if errors:
        raise InvalidResource(errors)
    retries = kind.retries(job)
    pods = [replica.shape.pod for replica in replicas]
    graces = _numbers(pods, "terminationGracePeriodSeconds")
    limits = _numbers(pods, "activeDeadlineSeconds")
    primary = _primary(replicas, trial.spec.primary_pod_labels)
    gang = GangJob(
        argv=(),
        environment={},
        working_directory=default_working_directory,
        deadline_seconds=retries.deadline_seconds,
        attempt_deadline_seconds=min(limits, default=None),
        backoff_limit=DEFAULT_BACKOFF_LIMIT if retries.backoff_limit is None else retries.backoff_limit,
        least_retried_code=retries.least_code,
        grace_seconds=float(max(graces)) if graces else None,
        demand=gang_demand(job, kind, name),
        trial=trial,
        kind=kind,
        replicas=replicas,
        primary=primary,
        directory=directory,
    )
    # What the ports are makes no difference to whether it can be done.
    gang.processes(Meeting((0,) * gang.port_count, directory))
    return gang


def primary_replica(trial: Trial, kind: GangKind) -> Replica | None:
    """The replica whose output is the trial's; None when the run spec has none."""
    replicas = replicas_of(kind.roles(trial.spec.run_spec, trial.spec.primary_container_name))
    return _primary(replicas, trial.spec.primary_pod_labels) if replicas else None


def gang_demand(job: Mapping[str, Any], kind: GangKind, primary_container_name: str) -> Demand:
    """What all pods of the job ask for together; a share of a GPU is one for all of them."""
    pods = replicas_of(kind.pods(job, primary_container_name))
    demands = [demand_in(pod.role.shape) for pod in pods]
    memory = [demand.memory_limit for demand in demands]
    return Demand(
        gpus=sum(demand.gpus for demand in demands if not demand.gpu_share),
        gpu_share=max((demand.gpu_share for demand in demands), default=0),
        cpu=sum(demand.cpu for demand in demands),
        memory=sum(demand.memory for demand in demands),
        memory_limit=None if None in memory else sum(limit for limit in memory if limit is not None),
    )


def _primary(replicas: Sequence[Replica], labels: Mapping[str, str]) -> Replica:
    return primary_of(replicas, labels) or replicas[0]


def _primary_problems(
    replicas: Sequence[Replica], labels: Mapping[str, str], name: str
) -> Iterator[FieldError]:
    if not replicas:
        yield FieldError(f"{TRIAL_SPEC_PATH}.spec", "must have at least one replica")
        return
    primary = _primary(replicas, labels)
    if primary_of(replicas, labels) is None and labels.keys() - _DEFAULT_LABELS:
        known = "; ".join(", ".join(f"{k}: {v}" for k, v in each.labels.items()) for each in replicas[:4])
        yield FieldError(
            _LABELS_PATH,
            f"must be labels of a replica's pod ({known}), got {dict(labels)}; change or omit it",
        )
    container = primary.role.shape.container
    if name and container.get("name") not in (None, name):
        yield FieldError(
            "spec.trialTemplate.primaryContainerName",
            f"must be the name of the container of replica {primary.name}, {container.get('name')!r}, "
            f"got {name!r}",
        )


_DEFAULT_LABELS = frozenset({"training.kubeflow.org/job-role"})
"""Of a job without a master no pod has it; its first replica is taken then."""


def _numbers(pods: Sequence[Mapping[str, object]], field: str) -> list[int]:
    values = [whole_number(pod.get(field)) for pod in pods]
    return [value for value in values if value is not None]
