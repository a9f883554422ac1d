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
from katibpy.runners.gang.kinds import gang_kind_of
from katibpy.runners.gang.roles import GangKind, Meeting, Replica, primary_of, replicas_of
from katibpy.runners.job_fields import PodRules, whole_number
from katibpy.runners.job_shape import JobShape, demand_in, shape_of
from katibpy.runners.local_job import DEFAULT_BACKOFF_LIMIT, LocalJob

REPLICA_LOGS = "replica-*.log"
"""The outputs of replicas that are not the primary one, in the trial's directory."""

_LABELS_PATH = "spec.trialTemplate.primaryPodLabels"


@dataclass(frozen=True, slots=True)
class Place:
    """A replica in one attempt.

    Attributes:
        replica: what it is.
        told: the variables by which it knows its place.
        directory: what keeps its private paths.
        output: file that its output is appended to; None for the trial's own.
        demand: its part of what the job asks for.
    """

    replica: Replica
    told: Mapping[str, str]
    directory: Path
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

    def places(self, meeting: Meeting) -> tuple[Place, ...]:
        """The replicas of one attempt, by rank."""
        return tuple(self._place(replica, meeting) for replica in self.replicas)

    def rehearsal(self) -> tuple[Place, ...]:
        """The same for an attempt that is not made; its ports are none."""
        return self.places(Meeting((0,) * self.port_count, self.directory))

    def _place(self, replica: Replica, meeting: Meeting) -> Place:
        is_primary = replica == self.primary
        return Place(
            replica=replica,
            told=self.kind.told(self.trial.spec.run_spec, self.replicas, replica, meeting),
            directory=self.directory if is_primary else self.directory / f"replica-{replica.name}",
            output=None if is_primary else replica_log(self.directory, replica.name),
            demand=demand_in(replica.role.shape),
        )


def replica_log(directory: Path, name: str) -> Path:
    """The output of a replica that is not the primary one.

    Args:
        directory: the trial's own.
        name: of the replica, `worker-0`.
    """
    return directory / f"replica-{name}.log"


def replicas_with_logs(directory: Path) -> tuple[str, ...]:
    """The replicas that have written such a file."""
    found = (path.name for path in directory.glob(REPLICA_LOGS))
    return tuple(sorted(name.removeprefix("replica-").removesuffix(".log") for name in found))


def gang_problems(experiment: Experiment, kind: GangKind, rules: PodRules) -> tuple[FieldError, ...]:
    """What of a job of this kind as trial template cannot be honoured on this host."""
    template = experiment.spec.trial_template
    if template is None or template.trial_spec is None:
        return ()
    job, name = template.trial_spec, template.primary_container_name
    errors = list(kind.problems(job, TRIAL_SPEC_PATH, rules))
    if errors:
        return tuple(errors)
    replicas = replicas_of(kind.roles(job, name))
    return tuple(_primary_problems(replicas, template.primary_pod_labels, name))


def gang_job_of(
    trial: Trial, kind: GangKind, rules: PodRules, *, directory: Path, working_directory: Path
) -> GangJob:
    """The replicas of a trial.

    Args:
        trial: with a run spec that is filled in.
        kind: of its job.
        rules: tell what can be honoured of pods.
        directory: the trial's own.
        working_directory: where what keeps the replicas runs.

    Raises:
        InvalidResource: the run spec cannot be honoured.
    """
    job, name = trial.spec.run_spec, trial.spec.primary_container_name
    errors = list(kind.problems(job, "spec.runSpec", rules))
    replicas = () if errors else replicas_of(kind.roles(job, name))
    errors.extend(() if errors else _primary_problems(replicas, trial.spec.primary_pod_labels, name))
    if errors:
        raise InvalidResource(errors)
    retries = kind.retries(job)
    pods = [replica.shape.pod for replica in replicas]
    graces = _numbers(pods, "terminationGracePeriodSeconds")
    limits = _numbers(pods, "activeDeadlineSeconds")
    primary = _primary(replicas, trial.spec.primary_pod_labels)
    return GangJob(
        argv=(),
        environment={},
        working_directory=working_directory,
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


def primary_shape(job: Mapping[str, Any], primary_container_name: str, labels: Mapping[str, str]) -> JobShape:
    """The job with the pod whose output is the trial's; for a plain Job, its one pod.

    Args:
        job: the object.
        primary_container_name: the container that is run.
        labels: of the primary pod.
    """
    kind = gang_kind_of(job)
    replicas = () if kind is None else replicas_of(kind.roles(job, primary_container_name))
    if not replicas:
        return shape_of(job, primary_container_name)
    return _primary(replicas, labels).shape


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
