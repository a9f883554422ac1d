"""TFJob, XGBoostJob and MPIJob: what their operators tell each replica."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from katibpy.errors import FieldError
from katibpy.runners.demand import resource_problems
from katibpy.runners.gang.replica_specs import ReplicaSpecs, Title
from katibpy.runners.gang.roles import ADDRESS, Meeting, Replica, Role
from katibpy.runners.job_fields import at_least, only, refused, taken, whole_number

_MPI_STARTERS = frozenset({"mpirun", "mpiexec", "orterun", "horovodrun"})
_HOST_FILE = "hostfile"
_EVALUATOR = "evaluator"


def _meet_tensorflow(
    job: Mapping[str, Any], replicas: Sequence[Replica], replica: Replica, meeting: Meeting
) -> dict[str, str]:
    if len(replicas) == 1:
        return {}
    cluster: dict[str, list[str]] = {}
    for each, port in zip(replicas, meeting.ports, strict=True):
        # An evaluator is told of the cluster and is no part of it.
        if each.role.name != _EVALUATOR:
            cluster.setdefault(each.role.name, []).append(f"{ADDRESS}:{port}")
    task = {"type": replica.role.name, "index": replica.index}
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task, "environment": "cloud"})}


def _lead_tensorflow(spec: Mapping[str, Any], present: Sequence[str]) -> Sequence[str]:
    chiefs = [title for title in present if title in ("Chief", "Master")]
    if spec.get("successPolicy") == "AllWorkers":
        return [*chiefs, *(title for title in present if title == "Worker")]
    return chiefs or [title for title in present if title == "Worker"] or present


TF_JOB = ReplicaSpecs(
    versions=frozenset({"kubeflow.org/v1"}),
    section="tfReplicaSpecs",
    titles=(
        Title("Chief", most=1),
        Title("Master", most=1),
        Title("Worker"),
        Title("PS", serves=True),
        Title("Evaluator", serves=True, most=1),
    ),
    fields={
        "successPolicy": only("", "AllWorkers"),
        "enableDynamicWorker": refused("the number of processes is fixed on this host"),
    },
    restart_policy="Never",
    meet=_meet_tensorflow,
    count_ports=len,
    lead=_lead_tensorflow,
)


def _meet_xgboost(
    job: Mapping[str, Any], replicas: Sequence[Replica], replica: Replica, meeting: Meeting
) -> dict[str, str]:
    told = {
        "MASTER_ADDR": ADDRESS,
        "MASTER_PORT": str(meeting.ports[0]),
        "WORLD_SIZE": str(len(replicas)),
        "RANK": str(replica.rank),
        "PYTHONUNBUFFERED": "1",
    }
    if len(replicas) > 1:
        told["WORKER_PORT"] = str(meeting.ports[1])
        told["WORKER_ADDRS"] = ",".join([ADDRESS] * (len(replicas) - 1))
    return told


XGBOOST_JOB = ReplicaSpecs(
    versions=frozenset({"kubeflow.org/v1"}),
    section="xgbReplicaSpecs",
    titles=(Title("Master", most=1), Title("Worker")),
    fields={},
    restart_policy="Never",
    meet=_meet_xgboost,
    count_ports=lambda replicas: 2,
)


def _slots(job: Mapping[str, Any]) -> int:
    spec = job["spec"]
    worker = spec["mpiReplicaSpecs"].get("Worker")
    per_worker = whole_number(spec.get("slotsPerWorker"), 1) or 1
    replicas = 0 if worker is None else whole_number(worker.get("replicas", 1)) or 0
    return max(1, replicas * per_worker)


def _meet_mpi(
    job: Mapping[str, Any], replicas: Sequence[Replica], replica: Replica, meeting: Meeting
) -> dict[str, str]:
    hosts = str(meeting.directory / _HOST_FILE)
    return {
        # Open MPI up to 4 and from 5, MPICH, Intel MPI.
        "OMPI_MCA_orte_default_hostfile": hosts,
        "PRTE_MCA_prte_default_hostfile": hosts,
        "HYDRA_HOST_FILE": hosts,
        "I_MPI_HYDRA_HOST_FILE": hosts,
    }


def _mpi_files(job: Mapping[str, Any], replicas: Sequence[Replica]) -> Mapping[str, str]:
    return {_HOST_FILE: f"localhost slots={_slots(job)}\n"}


def _mpi_problems(job: Mapping[str, Any], roles: Sequence[Role], path: str) -> Iterator[FieldError]:
    if not roles:
        yield FieldError(f"{path}.spec.mpiReplicaSpecs.Launcher", "must be given, since it calls mpirun")
    for worker in MPI_JOB.pods(job, "")[len(roles) :]:
        shape = worker.shape
        yield from resource_problems(
            shape.container.get("resources"), f"{path}.{shape.container_path}.resources"
        )
    for role in roles:
        command = role.shape.container.get("command")
        program = command[0] if isinstance(command, list | tuple) and command else None
        if program in _MPI_STARTERS and shutil.which(program) is None:
            yield FieldError(
                f"{path}.{role.shape.container_path}.command",
                f"cannot be honoured: {program} is not installed on this host; install an MPI (Open MPI, "
                "say), or use a PyTorchJob",
            )


class MpiJob(ReplicaSpecs):
    """MPIJob: only its launcher is a process of ours; `mpirun` starts the workers' share on this host."""

    __slots__ = ()

    def roles(self, job: Mapping[str, Any], primary_container_name: str) -> tuple[Role, ...]:
        """The launcher."""
        labels = {"mpi-job-role": "launcher"}
        roles = ReplicaSpecs.roles(self, job, primary_container_name)
        return tuple(
            replace(role, labels={**role.labels, **labels}) for role in roles if role.name == "launcher"
        )


MPI_JOB = MpiJob(
    versions=frozenset({"kubeflow.org/v1", "kubeflow.org/v2beta1"}),
    section="mpiReplicaSpecs",
    titles=(Title("Launcher", most=1), Title("Worker")),
    fields={
        "slotsPerWorker": at_least(1),
        "mainContainer": taken,
        "cleanPodPolicy": taken,
        "sshAuthMountPath": taken,
        "launcherCreationPolicy": taken,
        "mpiImplementation": taken,
        "runLauncherAsWorker": refused("the launcher and mpirun's processes share this host anyway"),
    },
    restart_policy="Never",
    meet=_meet_mpi,
    count_ports=lambda replicas: 0,
    job_files=_mpi_files,
    further_problems=_mpi_problems,
)
