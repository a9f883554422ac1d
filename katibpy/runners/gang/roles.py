"""What the kinds of jobs with several processes have in common: roles and their pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from katibpy.errors import FieldError
from katibpy.runners.job_fields import PodRules
from katibpy.runners.job_shape import JobShape

ADDRESS = "127.0.0.1"
"""Where all processes of a gang find each other."""


@dataclass(frozen=True, slots=True)
class Role:
    """Replicas that run the same command.

    Attributes:
        title: as the job's status names it.
        count: how many there are; 1 where a placeholder has not been filled.
        shape: the job, taken apart, with this role's pod.
        labels: what their pods are labelled with besides.
        index_label: label with a replica's number.
        leads: whether the job has done its work when they have ended well.
        serves: whether they never end by themselves.
    """

    title: str
    count: int
    shape: JobShape
    labels: Mapping[str, str] = field(default_factory=dict)
    index_label: str = ""
    leads: bool = True
    serves: bool = False

    @property
    def name(self) -> str:
        """In lower case, as in the names of their pods."""
        return self.title.lower()


@dataclass(frozen=True, slots=True)
class Replica:
    """One process.

    Attributes:
        role: what it does.
        index: its number within the role.
        rank: its number within the job.
    """

    role: Role
    index: int
    rank: int

    @property
    def name(self) -> str:
        """Role and number, as in `worker-0`."""
        return f"{self.role.name}-{self.index}"

    @property
    def shape(self) -> JobShape:
        """Its pod, with the labels that it would have."""
        pod = self.role.shape
        return replace(pod, pod_metadata={**pod.pod_metadata, "labels": self.labels})

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its pod."""
        own = self.role.shape.pod_metadata.get("labels")
        named = {str(key): str(value) for key, value in own.items()} if isinstance(own, Mapping) else {}
        numbered = {self.role.index_label: str(self.index)} if self.role.index_label else {}
        return {**named, **self.role.labels, **numbered}


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a job is tried, and for how long.

    Attributes:
        backoff_limit: how many attempts may fail and be followed by another; None for the usual number.
        least_code: the least exit code after which there may be another.
        deadline_seconds: from the first start until all is ended.
    """

    backoff_limit: int | None
    least_code: int = 1
    deadline_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Meeting:
    """Where the processes of one attempt meet.

    Attributes:
        ports: free ports of this host, as many as the kind wants.
        directory: the attempt's own.
    """

    ports: Sequence[int]
    directory: Path


class GangKind(Protocol):
    """A kind of job whose replicas are processes here."""

    @property
    def versions(self) -> frozenset[str]:
        """The API versions in which it is known."""
        ...

    def problems(self, job: Mapping[str, Any], path: str, rules: PodRules) -> Iterator[FieldError]:
        """What of it cannot be honoured, each by its path below `path`."""
        ...

    def roles(self, job: Mapping[str, Any], primary_container_name: str) -> tuple[Role, ...]:
        """Its roles, the one with rank 0 first; those without replicas are left out."""
        ...

    def pods(self, job: Mapping[str, Any], primary_container_name: str) -> tuple[Role, ...]:
        """Roles whose pods ask for resources: all, also those whose work is done by another's process."""
        ...

    def retries(self, job: Mapping[str, Any]) -> Retries:
        """How often and how long."""
        ...

    def port_count(self, replicas: Sequence[Replica]) -> int:
        """How many free ports its processes need."""
        ...

    def told(
        self, job: Mapping[str, Any], replicas: Sequence[Replica], replica: Replica, meeting: Meeting
    ) -> dict[str, str]:
        """The environment by which a replica knows its place."""
        ...

    def files(self, job: Mapping[str, Any], replicas: Sequence[Replica]) -> Mapping[str, str]:
        """Files that the attempt's directory must have, by name."""
        ...


def replicas_of(roles: Sequence[Role]) -> tuple[Replica, ...]:
    """All replicas in the order of their ranks."""
    pairs = [(role, index) for role in roles for index in range(role.count)]
    return tuple(Replica(role, index, rank) for rank, (role, index) in enumerate(pairs))


def primary_of(replicas: Sequence[Replica], labels: Mapping[str, str]) -> Replica | None:
    """The replica whose output is the trial's: the first that has all these labels, None when none has."""
    for replica in replicas:
        if labels.items() <= replica.labels.items():
            return replica
    return None
