from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from katibpy.api.model import ObjectMeta
from katibpy.api.trial import Trial, TrialSpec
from katibpy.runners.container.containers import Containers, container_name
from katibpy.runners.container.docker_like import podman
from katibpy.runners.container.leftovers import Leftovers, clear_containers
from katibpy.runners.execution import Launch
from katibpy.runners.gang.plan import GangPlan
from katibpy.runners.host_room import THREAD_VARIABLES

GPUS = {"limits": {"nvidia.com/gpu": 1}}
NO_GPUS = {"CUDA_VISIBLE_DEVICES": "", "NVIDIA_VISIBLE_DEVICES": "void"}


def launched(run_spec: dict[str, Any], granted: dict[str, str], directory: Path) -> Launch:
    spec = TrialSpec(run_spec=run_spec, primary_container_name="main")
    trial = Trial(metadata=ObjectMeta(name="box", uid="uid"), spec=spec)
    execution = Containers(podman("/bin/podman"), working_directory=Path("/"))
    job = execution.job_of(trial, directory)
    assert job.demand.memory_limit is None
    return execution.launch(job, {"PATH": "/usr/bin"}, granted, directory / "attempt-1")


def single(**container: Any) -> dict[str, Any]:
    spec = {"template": {"spec": {"containers": [{"name": "main", "image": "train:2", **container}]}}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "box"}, "spec": spec}


def gang(**container: Any) -> dict[str, Any]:
    pod = {"containers": [{"name": "main", "image": "train:2", "command": ["train"], **container}]}
    roles = {title: {"template": {"spec": pod}} for title in ("Master", "Worker")}
    spec = {"pytorchReplicaSpecs": roles}
    return {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": {"name": "box"}, "spec": spec}


def test_a_container_gets_the_devices_that_its_trial_was_given(tmp_path: Path) -> None:
    granted = {"CUDA_VISIBLE_DEVICES": "GPU-1", "NVIDIA_VISIBLE_DEVICES": "GPU-1"}
    launch = launched(single(resources=GPUS), granted, tmp_path)
    assert "nvidia.com/gpu=GPU-1" in launch.argv
    assert launch.environment["CUDA_VISIBLE_DEVICES"] == "GPU-1"
    assert "NVIDIA_VISIBLE_DEVICES" not in launch.argv


def test_devices_without_a_uid_are_counted_anew_inside(tmp_path: Path) -> None:
    launch = launched(single(resources=GPUS), {"CUDA_VISIBLE_DEVICES": "3"}, tmp_path)
    assert "nvidia.com/gpu=3" in launch.argv
    assert "CUDA_VISIBLE_DEVICES" not in launch.argv


def test_a_container_that_asked_for_none_is_shown_none(tmp_path: Path) -> None:
    launch = launched(single(), NO_GPUS, tmp_path)
    assert not any("nvidia.com/gpu" in word for word in launch.argv)
    assert launch.environment["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_replicas_share_out_devices_and_have_containers_of_their_own(tmp_path: Path) -> None:
    limits = {"limits": {"nvidia.com/gpu": 1, "cpu": "2", "memory": "1Gi"}}
    launch = launched(gang(resources=limits), {"CUDA_VISIBLE_DEVICES": "GPU-1,GPU-2"}, tmp_path)
    members = GangPlan.load(Path(launch.argv[-1])).members
    assert [member.name for member in members] == ["master-0", "worker-0"]
    for member, device in zip(members, ("GPU-1", "GPU-2"), strict=True):
        assert f"nvidia.com/gpu={device}" in member.argv
        assert member.environment["CUDA_VISIBLE_DEVICES"] == device
        assert member.environment[THREAD_VARIABLES[0]].isdigit()
    attempt = tmp_path / "attempt-1"
    names = (container_name(attempt, "master-0"), container_name(attempt, "worker-0"))
    left = Leftovers.load(attempt)
    assert left == Leftovers("podman", "/bin/podman", names, (1 << 30, 1 << 30))
    assert all(name in member.argv for name, member in zip(names, members, strict=True))


def test_names_follow_from_the_attempt(tmp_path: Path) -> None:
    names = {container_name(tmp_path / trial / f"attempt-{number}") for trial in "ab" for number in (1, 2)}
    assert len(names) == 4
    assert container_name(tmp_path / "a") == container_name(tmp_path / "a")


def test_the_mark_of_an_attempt_is_not_for_an_engines_own_processes(tmp_path: Path) -> None:
    execution = Containers(podman("/bin/podman"), working_directory=Path("/"))
    trial = Trial(metadata=ObjectMeta(name="box", uid="uid"), spec=TrialSpec(run_spec=single()))
    marked = {"PATH": "/usr/bin", "KATIB_ATTEMPT_DIRECTORY": "/here"}
    launch = execution.launch(execution.job_of(trial, tmp_path), marked, {}, tmp_path / "attempt-1")
    assert "KATIB_ATTEMPT_DIRECTORY" not in launch.environment


@pytest.mark.parametrize("text", ["", "nonsense", json.dumps({"engine": "rkt"})])
def test_without_a_word_of_containers_there_is_nothing_to_clear(tmp_path: Path, text: str) -> None:
    if text:
        (tmp_path / "containers.json").write_text(text)
    assert clear_containers(tmp_path) == ""
