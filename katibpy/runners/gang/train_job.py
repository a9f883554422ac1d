"""TrainJob of `trainer.kubeflow.org/v1alpha1` with the runtime `torch-distributed`.

Its nodes are told what torchrun reads, and nothing else: a command that is not started by torchrun trains by
itself on each node, here as on Kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from katibpy.api.quantity import ceiling, parse_quantity
from katibpy.errors import FieldError
from katibpy.runners.gang.roles import ADDRESS, Meeting, Replica, Retries, Role
from katibpy.runners.job_fields import PodRules, Rule, at_least, is_open, refused, taken, unfit, whole_number
from katibpy.runners.job_shape import OBJECT_FIELDS, JobShape, container_problems

RUNTIMES = ("torch-distributed",)
"""Runtimes whose nodes are processes that find each other by torchrun's variables."""

RESERVED = frozenset(
    {"PET_NNODES", "PET_NPROC_PER_NODE", "PET_NODE_RANK", "PET_MASTER_ADDR", "PET_MASTER_PORT"}
)

_NODE = "node"
_API_GROUP = "trainer.kubeflow.org"
_JOB_LABEL = "jobset.sigs.k8s.io/replicatedjob-name"
_INDEX_LABEL = "batch.kubernetes.io/job-completion-index"
_AUTOMATIC = ("auto", "cpu", "gpu")

_FIELDS: Mapping[str, Rule] = {
    "runtimeRef": taken,
    "trainer": taken,
    "labels": taken,
    "annotations": taken,
    "suspend": refused("a suspended job would never start"),
    "managedBy": refused("only the local runner manages jobs on this host"),
    "initializer": refused("nothing fetches models and data sets on this host; have the command do it"),
    "podTemplateOverrides": refused("a process on this host has no pod; give all in trainer"),
    "podSpecOverrides": refused("a process on this host has no pod; give all in trainer"),
}

_TRAINER_FIELDS: Mapping[str, Rule] = {
    **dict.fromkeys(("image", "command", "args", "env", "resourcesPerNode", "numProcPerNode"), taken),
    "numNodes": at_least(1),
}


class TrainJob:
    """Implements `GangKind`."""

    versions = frozenset({"trainer.kubeflow.org/v1alpha1"})

    def problems(self, job: Mapping[str, Any], path: str, rules: PodRules) -> Iterator[FieldError]:
        """What cannot be honoured, each by its path."""
        yield from unfit(job, path, OBJECT_FIELDS)
        yield from unfit(job.get("spec"), f"{path}.spec", _FIELDS)
        spec = _mapping(job.get("spec"))
        yield from _runtime_problems(_mapping(spec.get("runtimeRef")), f"{path}.spec.runtimeRef")
        where = f"{path}.spec.trainer"
        yield from unfit(spec.get("trainer"), where, _TRAINER_FIELDS)
        trainer = _mapping(spec.get("trainer"))
        processes = trainer.get("numProcPerNode")
        is_known = processes is None or processes in _AUTOMATIC or is_open(processes)
        if not is_known and whole_number(processes, 1) is None:
            yield FieldError(
                f"{where}.numProcPerNode",
                f"must be a whole number of at least 1, auto, cpu or gpu, got {processes!r}",
            )
        for index, entry in enumerate(trainer.get("env") or ()):
            if _mapping(entry).get("name") in RESERVED:
                yield FieldError(
                    f"{where}.env[{index}].name",
                    f"must not be {entry['name']}, which the runtime sets; take it out",
                )
        yield from container_problems(_shape(job), "", path, rules)

    def roles(self, job: Mapping[str, Any], primary_container_name: str) -> tuple[Role, ...]:
        """The nodes, all of which lead."""
        trainer = _mapping(_mapping(job.get("spec")).get("trainer"))
        count = whole_number(trainer.get("numNodes"), 1) or 1
        labels = {_JOB_LABEL: _NODE}
        return (Role(title=_NODE, count=count, shape=_shape(job), labels=labels, index_label=_INDEX_LABEL),)

    def pods(self, job: Mapping[str, Any], primary_container_name: str) -> tuple[Role, ...]:
        """The nodes."""
        return self.roles(job, primary_container_name)

    def retries(self, job: Mapping[str, Any]) -> Retries:
        """As the Jobs that a TrainJob consists of."""
        return Retries(backoff_limit=None)

    def port_count(self, replicas: Sequence[Replica]) -> int:
        """One, where the first node waits for the others."""
        return 1

    def told(
        self, job: Mapping[str, Any], replicas: Sequence[Replica], replica: Replica, meeting: Meeting
    ) -> dict[str, str]:
        """The environment by which a node knows its place."""
        return {
            "PET_NNODES": str(len(replicas)),
            "PET_NPROC_PER_NODE": _processes(_mapping(job["spec"].get("trainer"))),
            "PET_NODE_RANK": str(replica.index),
            "PET_MASTER_ADDR": ADDRESS,
            "PET_MASTER_PORT": str(meeting.ports[0]),
            "JOB_COMPLETION_INDEX": str(replica.index),
        }

    def files(self, job: Mapping[str, Any], replicas: Sequence[Replica]) -> Mapping[str, str]:
        """None."""
        return {}


def _shape(job: Mapping[str, Any]) -> JobShape:
    """The one container that a node has, as the runtime and `trainer` make it."""
    spec = _mapping(job.get("spec"))
    trainer = _mapping(spec.get("trainer"))
    container = {name: trainer[name] for name in ("image", "command", "args", "env") if name in trainer}
    container["name"] = _NODE
    if "resourcesPerNode" in trainer:
        container["resources"] = trainer["resourcesPerNode"]
    return JobShape(
        object=job,
        spec=spec,
        pod_metadata={"labels": spec.get("labels"), "annotations": spec.get("annotations")},
        pod={"containers": [container]},
        container=container,
        template_path="spec",
        container_path="spec.trainer",
        resources_field="resourcesPerNode",
    )


def _runtime_problems(reference: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    name, kind, group = (reference.get(key) for key in ("name", "kind", "apiGroup"))
    if name not in RUNTIMES:
        yield FieldError(
            f"{path}.name",
            f"must be {' or '.join(RUNTIMES)} on this host, got {name!r}: no cluster is there that knows "
            "others; run the experiment on Kubernetes, or start the program with torchrun",
        )
    if kind not in (None, "ClusterTrainingRuntime"):
        yield FieldError(f"{path}.kind", f"must be ClusterTrainingRuntime on this host, got {kind!r}")
    if group not in (None, _API_GROUP):
        yield FieldError(f"{path}.apiGroup", f"must be {_API_GROUP}, got {group!r}")


def _processes(trainer: Mapping[str, Any]) -> str:
    """Processes per node: what is said, or as many as the node's cpus when it has a limit and no GPU."""
    wanted = trainer.get("numProcPerNode")
    if wanted not in (None, *_AUTOMATIC):
        return str(wanted)
    wanted = wanted or "auto"
    resources = _mapping(trainer.get("resourcesPerNode"))
    amounts = {**_mapping(resources.get("requests")), **_mapping(resources.get("limits"))}
    has_gpu = any("gpu" in str(name).lower() for name in amounts)
    if not amounts or wanted == "gpu" or (wanted == "auto" and has_gpu):
        return str(wanted)
    return str(max(1, ceiling(parse_quantity(amounts["cpu"])))) if "cpu" in amounts else "1"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


TRAIN_JOB = TrainJob()
