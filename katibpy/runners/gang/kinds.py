"""The kinds of jobs whose replicas are processes on this host, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from katibpy.runners.gang.other_jobs import MPI_JOB, TF_JOB, XGBOOST_JOB
from katibpy.runners.gang.pytorch_job import PYTORCH_JOB
from katibpy.runners.gang.roles import GangKind
from katibpy.runners.gang.train_job import TRAIN_JOB

GANG_KINDS: Mapping[str, GangKind] = {
    "PyTorchJob": PYTORCH_JOB,
    "TrainJob": TRAIN_JOB,
    "MPIJob": MPI_JOB,
    "TFJob": TF_JOB,
    "XGBoostJob": XGBOOST_JOB,
}


def gang_kind_of(job: Mapping[str, Any]) -> GangKind | None:
    """The kind of the job object, None when it is none of these."""
    kind = GANG_KINDS.get(str(job.get("kind")))
    return kind if kind is not None and job.get("apiVersion") in kind.versions else None
