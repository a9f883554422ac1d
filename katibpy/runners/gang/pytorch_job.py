"""PyTorchJob of `kubeflow.org/v1`: the variables that torchrun and `torch.distributed` read.

`RANK` counts nodes, as the operator has it; torchrun gives each of its own processes a rank and `LOCAL_RANK`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from katibpy.errors import FieldError
from katibpy.runners.gang.replica_specs import ReplicaSpecs, Title
from katibpy.runners.gang.roles import ADDRESS, Meeting, Replica, Role
from katibpy.runners.job_fields import Rule, at_least, is_open, refused, taken, unfit, whole_number

_EXTERNAL_BACKENDS = ("etcd", "etcd-v2")
_AUTOMATIC = ("auto", "cpu", "gpu")

_ELASTIC_FIELDS: Mapping[str, Rule] = {
    "minReplicas": at_least(1),
    "maxReplicas": at_least(1),
    "maxRestarts": at_least(0),
    "nProcPerNode": at_least(1),
    **dict.fromkeys(("rdzvBackend", "rdzvConf", "rdzvHost", "rdzvId", "rdzvPort", "standalone"), taken),
    "metrics": refused("the number of processes is fixed on this host"),
}


def _processes_rule(value: Any) -> str | None:
    if value is None or value in _AUTOMATIC or is_open(value) or whole_number(value, 1) is not None:
        return None
    return f"must be a whole number of at least 1, auto, cpu or gpu, got {value!r}"


def _problems(job: Mapping[str, Any], roles: Sequence[Role], path: str) -> Iterator[FieldError]:
    yield from unfit(_elastic(job), f"{path}.spec.elasticPolicy", _ELASTIC_FIELDS)


def _elastic(job: Mapping[str, Any]) -> Any:
    spec = job.get("spec")
    return spec.get("elasticPolicy") if isinstance(spec, Mapping) else None


def _meet(
    job: Mapping[str, Any], replicas: Sequence[Replica], replica: Replica, meeting: Meeting
) -> dict[str, str]:
    port = str(meeting.ports[0])
    per_node = str(job["spec"].get("nprocPerNode") or "auto")
    told = {"PYTHONUNBUFFERED": "1"}
    if replicas[0].role.name == "master":
        told |= {
            "MASTER_ADDR": ADDRESS,
            "MASTER_PORT": port,
            "PET_MASTER_ADDR": ADDRESS,
            "PET_MASTER_PORT": port,
            "WORLD_SIZE": str(len(replicas) * (whole_number(per_node, 1) or 1)),
            "RANK": str(replica.rank),
            "PET_NPROC_PER_NODE": per_node,
            "PET_NODE_RANK": str(replica.rank),
        }
    elastic = _elastic(job)
    if elastic is None:
        return told | {"PET_NNODES": str(len(replicas))}
    return told | _elastic_variables(elastic, replicas, port)


def _elastic_variables(elastic: Mapping[str, Any], replicas: Sequence[Replica], port: str) -> dict[str, str]:
    backend = str(elastic.get("rdzvBackend") or "c10d")
    endpoint = f"{ADDRESS}:{port}"
    if backend in _EXTERNAL_BACKENDS:
        # A server of the user's own, which is where it is.
        endpoint = f"{elastic.get('rdzvHost') or ADDRESS}:{elastic.get('rdzvPort') or 2379}"
    least, most = (whole_number(elastic.get(name)) for name in ("minReplicas", "maxReplicas"))
    workers = sum(each.role.name == "worker" for each in replicas)
    if least is not None or most is not None:
        nodes = f"{least or 1}:{most or max(workers, least or 1)}"
    else:
        nodes = str(workers)
    told = {"PET_RDZV_ENDPOINT": endpoint, "PET_RDZV_BACKEND": backend, "PET_NNODES": nodes}
    for name, variable in (
        ("maxRestarts", "PET_MAX_RESTARTS"),
        ("nProcPerNode", "PET_NPROC_PER_NODE"),
        ("rdzvId", "PET_RDZV_ID"),
    ):
        if elastic.get(name) is not None:
            told[variable] = str(elastic[name])
    settings = [f"{each['key']}={each['value']}" for each in elastic.get("rdzvConf") or ()]
    if settings:
        told["PET_RDZV_CONF"] = ",".join(settings)
    if elastic.get("standalone"):
        told["PET_STANDALONE"] = ""
    return told


def _lead(spec: Mapping[str, Any], present: Sequence[str]) -> Sequence[str]:
    return ["Master"] if "Master" in present else present


PYTORCH_JOB = ReplicaSpecs(
    versions=frozenset({"kubeflow.org/v1"}),
    section="pytorchReplicaSpecs",
    titles=(Title("Master", most=1), Title("Worker")),
    fields={"elasticPolicy": taken, "nprocPerNode": _processes_rule},
    restart_policy="OnFailure",
    meet=_meet,
    lead=_lead,
    further_problems=_problems,
)
