"""What jobs see of their checkpoint directories: as processes, in containers, and where they cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from katibpy.api.experiment import Algorithm, Experiment, ExperimentSpec, TrialTemplate
from katibpy.api.model import NameValue, ObjectMeta
from katibpy.api.trial import Trial, TrialSpec
from katibpy.errors import InvalidResource
from katibpy.runners.container.containers import Containers
from katibpy.runners.container.docker_like import podman
from katibpy.runners.execution import Execution
from katibpy.runners.gang.plan import GangPlan
from katibpy.runners.host_processes import HostProcesses

DIRECTORY = Path("/state/trials/default/t-0123456789")
OWN = Path("/state/checkpoints/e1/t-0123456789")
PROCESSES = HostProcesses(Path("/work"))
CONTAINERS = Containers(podman("/bin/podman"), working_directory=Path("/"))


def job(pod: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    main = {"name": "main", "image": "train:2", "command": ["/bin/sh"], **container}
    spec = {"template": {"spec": {"containers": [main], **(pod or {})}}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "t"}, "spec": spec}


def trial(run_spec: dict[str, Any], path: str = "/ckpt") -> Trial:
    spec = TrialSpec(run_spec=run_spec, checkpoint_path=path, primary_container_name="main")
    return Trial(metadata=ObjectMeta(name="t", uid="u"), spec=spec)


def test_a_process_finds_its_directory_wherever_the_path_is_named() -> None:
    args = [
        "--dir=/ckpt",
        "/ckpt/model.pt",
        "$(KATIB_CHECKPOINT_DIR)/x",
        "/ckpt2",
        "/a/ckpt",
        "cp /ckpt/m /ckpt",
    ]
    env = [{"name": "WHERE", "value": "/ckpt/best"}]
    found = PROCESSES.job_of(trial(job(args=args, env=env, workingDir="/ckpt/src")), DIRECTORY, OWN)
    assert found.argv[1:] == (
        f"--dir={OWN}",
        f"{OWN}/model.pt",
        f"{OWN}/x",
        "/ckpt2",
        "/a/ckpt",
        f"cp {OWN}/m {OWN}",
    )
    assert found.environment["WHERE"] == f"{OWN}/best"
    assert found.environment["KATIB_CHECKPOINT_DIR"] == str(OWN)
    assert found.working_directory == OWN / "src"
    assert OWN in found.private_directories
    assert OWN not in found.fresh_directories


def test_a_trial_without_a_directory_is_told_of_none() -> None:
    found = PROCESSES.job_of(trial(job(args=["/ckpt"]), path=""), DIRECTORY)
    assert found.argv[1:] == ("/ckpt",)
    assert "KATIB_CHECKPOINT_DIR" not in found.environment


def test_a_volume_inside_the_directory_stays_a_volume() -> None:
    pod = {"volumes": [{"name": "tmp", "emptyDir": {}}]}
    mounts = [{"name": "tmp", "mountPath": "/ckpt/tmp"}]
    found = PROCESSES.job_of(
        trial(job(pod, volumeMounts=mounts, args=["/ckpt/tmp/a", "/ckpt/b"])), DIRECTORY, OWN
    )
    assert found.argv[1:] == (f"{DIRECTORY}/volumes/tmp/a", f"{OWN}/b")


def test_a_directory_whose_name_a_script_would_misread_is_refused() -> None:
    with pytest.raises(InvalidResource, match="/ckpt is named inside a longer text"):
        PROCESSES.job_of(trial(job(args=["-c", "ls /ckpt"])), DIRECTORY, Path("/my state/checkpoints/t"))


@pytest.mark.parametrize("execution", [PROCESSES, CONTAINERS], ids=["processes", "containers"])
def test_all_replicas_share_the_directory(execution: Execution, tmp_path: Path) -> None:
    pod = {"containers": [{"name": "main", "image": "i", "command": ["/bin/sh"], "args": ["/ckpt/model"]}]}
    roles = {title: {"template": {"spec": pod}} for title in ("Master", "Worker")}
    run_spec = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": "t"},
        "spec": {"pytorchReplicaSpecs": roles},
    }
    own = tmp_path / "own"
    found = execution.job_of(trial(run_spec), tmp_path / "run", own)
    launch = execution.launch(found, {"PATH": "/usr/bin:/bin"}, {}, tmp_path / "run" / "attempt-1")
    members = GangPlan.load(Path(launch.argv[-1])).members
    assert len(members) == 2
    for member in members:
        if execution is PROCESSES:
            assert member.argv[-1] == f"{own}/model"
            assert member.environment["KATIB_CHECKPOINT_DIR"] == str(own)
        else:
            assert f"type=bind,source={own},target=/ckpt" in " ".join(member.argv)
            assert member.argv[-1] == "/ckpt/model"


def test_a_container_has_the_directory_mounted_at_the_path(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    found = CONTAINERS.job_of(trial(job(args=["/ckpt/model"])), tmp_path / "run", own)
    launch = CONTAINERS.launch(found, {}, {}, tmp_path / "run" / "attempt-1")
    line = " ".join(launch.argv)
    assert f"type=bind,source={own},target=/ckpt" in line
    assert "KATIB_CHECKPOINT_DIR=/ckpt" in line or launch.environment["KATIB_CHECKPOINT_DIR"] == "/ckpt"
    assert launch.argv[-1] == "/ckpt/model"
    assert own.stat().st_mode & 0o777 == 0o777


@pytest.mark.parametrize("execution", [PROCESSES, CONTAINERS], ids=["processes", "containers"])
@pytest.mark.parametrize(("path", "is_refused"), [("/ckpt", True), ("/ckpt/", True), ("/ckpt/tmp", False)])
def test_a_mount_in_the_directorys_place_is_refused(
    execution: Execution, path: str, is_refused: bool
) -> None:
    pod = {"volumes": [{"name": "v", "emptyDir": {}}]}
    template = TrialTemplate(
        trial_spec=job(pod, volumeMounts=[{"name": "v", "mountPath": path}], args=[path]),
        primary_container_name="main",
    )
    algorithm = Algorithm(
        algorithm_name="pbt", algorithm_settings=(NameValue(name="suggestion_trial_dir", value="/ckpt"),)
    )
    spec = ExperimentSpec(trial_template=template, algorithm=algorithm, parallel_trial_count=1)
    found = {error.path: error.message for error in execution.check(Experiment(spec=spec))}
    where = "spec.trialTemplate.trialSpec.spec.template.spec.containers[0].volumeMounts[0].mountPath"
    assert list(found) == ([where] if is_refused else [])
    assert all("suggestion_trial_dir" in message for message in found.values())
