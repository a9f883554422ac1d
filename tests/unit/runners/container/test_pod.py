from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from katibpy.api.defaults import with_defaults
from katibpy.api.experiment import (
    Collector,
    Experiment,
    ExperimentSpec,
    FileSystemPath,
    MetricsCollectorSpec,
    MetricsSource,
    TrialTemplate,
)
from katibpy.api.model import ObjectMeta
from katibpy.api.trial import Trial, TrialSpec
from katibpy.runners.container.apptainer import Apptainer
from katibpy.runners.container.containers import ContainerJob, Containers
from katibpy.runners.container.docker_like import podman
from katibpy.runners.container.pod import container_of, metrics_place_of
from katibpy.runners.container.spec import ContainerSpec, Mount, Scratch

DIRECTORY = Path("/trials/default/box-0123456789")
TEMPLATE = "spec.trialTemplate.trialSpec"


def job(pod: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    main = {"name": "main", "image": "train:2", **container}
    spec = {"template": {"spec": {"containers": [main], **(pod or {})}}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "box"}, "spec": spec}


def files(path: str, kind: str = "File") -> MetricsCollectorSpec:
    source = MetricsSource(file_system_path=FileSystemPath(kind="File", path=path, format="TEXT"))
    return MetricsCollectorSpec(collector=Collector(kind=kind), source=source)


def made(
    pod: dict[str, Any] | None = None, *, collector: MetricsCollectorSpec | None = None, **container: Any
) -> ContainerSpec:
    spec = TrialSpec(run_spec=job(pod, **container), metrics_collector=collector or MetricsCollectorSpec())
    trial = Trial(metadata=ObjectMeta(name="box", uid="uid"), spec=spec)
    found = Containers(podman("/bin/podman"), working_directory=Path("/")).job_of(trial, DIRECTORY)
    assert isinstance(found, ContainerJob)
    return container_of(trial, found.shape, name="n", directory=DIRECTORY, demand=found.limits)


def refused(
    pod: dict[str, Any] | None = None,
    *,
    collector: MetricsCollectorSpec | None = None,
    engine: Any = None,
    **container: Any,
) -> dict[str, str]:
    template = TrialTemplate(trial_spec=job(pod, **container), primary_container_name="main")
    spec = ExperimentSpec(trial_template=template, metrics_collector_spec=collector)
    experiment = with_defaults(Experiment(spec=spec))
    execution = Containers(engine or podman("/bin/podman"), working_directory=Path("/"))
    return {error.path.removeprefix(f"{TEMPLATE}."): error.message for error in execution.check(experiment)}


MAIN = "spec.template.spec.containers[0]"


def test_a_pod_becomes_a_container_field_by_field() -> None:
    spec = made(
        {
            "hostNetwork": True,
            "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["db", "cache"]}],
            "securityContext": {"runAsUser": 7, "runAsGroup": 8},
        },
        command=["train", "$(A)"],
        args=["$$(A)"],
        env=[{"name": "A", "value": "1"}],
        workingDir="/src",
        imagePullPolicy="Always",
        resources={"limits": {"cpu": "2", "memory": "1Gi"}},
        securityContext={"runAsUser": 9, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
    )
    assert spec.image == "train:2"
    assert (spec.command, spec.args) == (("train", "1"), ("$(A)",))
    assert spec.environment["A"] == "1"
    assert spec.environment["KATIB_TRIAL_NAME"] == "box"
    assert (spec.working_directory, spec.pull, spec.user) == ("/src", "always", "9:8")
    assert (spec.cpu_limit, spec.memory_limit) == (2000, 1 << 30)
    assert spec.has_host_network
    assert spec.is_read_only
    assert spec.dropped_capabilities == ("ALL",)
    assert spec.hosts == {"db": "10.0.0.1", "cache": "10.0.0.1"}


def test_volumes_are_mounted_where_the_pod_says() -> None:
    volumes = [
        {"name": "scratch", "emptyDir": {}},
        {"name": "data", "hostPath": {"path": "/data"}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
    ]
    mounts = [
        {"name": "scratch", "mountPath": "/scratch", "subPath": "a"},
        {"name": "data", "mountPath": "/in", "subPath": "set", "readOnly": True},
        {"name": "shm", "mountPath": "/dev/shm"},
    ]
    spec = made({"volumes": volumes}, volumeMounts=mounts)
    assert spec.mounts == (
        Mount(DIRECTORY / "volumes/scratch/a", "/scratch"),
        Mount(Path("/data/set"), "/in", is_read_only=True),
    )
    assert spec.scratch == (Scratch("/dev/shm", 1 << 30),)


def test_the_directory_of_a_metrics_file_is_mounted() -> None:
    spec = made(collector=files("/var/log/katib/m.log"))
    assert spec.mounts == (Mount(DIRECTORY / "metrics", "/var/log/katib"),)
    assert spec.environment["KATIB_METRICS_FILE"] == "/var/log/katib/m.log"


def test_the_directory_of_event_files_is_mounted_itself() -> None:
    spec = made(collector=files("/events/", "TensorFlowEvent"))
    assert spec.mounts == (Mount(DIRECTORY / "metrics", "/events"),)


def test_a_metrics_file_in_a_volume_stays_there() -> None:
    pod = {"volumes": [{"name": "logs", "emptyDir": {}}]}
    mounts = [{"name": "logs", "mountPath": "/logs"}]
    collector = files("/logs/sub/m.log")
    spec = made(pod, volumeMounts=mounts, collector=collector)
    assert spec.mounts == (Mount(DIRECTORY / "volumes/logs", "/logs"),)
    trial = TrialSpec(run_spec=job(pod, volumeMounts=mounts), metrics_collector=collector)
    execution = Containers(podman("/bin/podman"), working_directory=Path("/"))
    place = execution.metrics_place(Trial(spec=trial), DIRECTORY)
    assert place is not None
    assert (place.path, place.is_private) == (DIRECTORY / "volumes/logs/sub/m.log", True)


def test_without_a_file_collector_there_is_no_place() -> None:
    shape = Containers(podman("/bin/podman"), working_directory=Path("/")).job_of(
        Trial(spec=TrialSpec(run_spec=job())), DIRECTORY
    )
    assert isinstance(shape, ContainerJob)
    assert metrics_place_of(MetricsCollectorSpec(), shape.shape, DIRECTORY) == (None, "")


def test_what_an_image_settles_may_be_left_open() -> None:
    assert refused() == {}
    spec = made()
    assert (spec.command, spec.args, spec.working_directory, spec.user) == ((), (), "", "")


def test_all_that_no_engine_can_do_here_is_named() -> None:
    pod = {
        "volumes": [{"name": "claim", "persistentVolumeClaim": {"claimName": "x"}}],
        "initContainers": [{"name": "first"}],
    }
    found = refused(
        pod,
        image="",
        securityContext={"privileged": True, "runAsUser": -1, "capabilities": ["ALL"]},
        envFrom=[{"secretRef": {"name": "s"}}],
        imagePullPolicy="Sometimes",
    )
    assert found.keys() == {
        "spec.template.spec.initContainers",
        "spec.template.spec.volumes[0].persistentVolumeClaim",
        f"{MAIN}.image",
        f"{MAIN}.envFrom",
        f"{MAIN}.imagePullPolicy",
        f"{MAIN}.securityContext.privileged",
        f"{MAIN}.securityContext.runAsUser",
        f"{MAIN}.securityContext.capabilities",
    }


def test_mounts_must_name_volumes_and_absolute_paths() -> None:
    pod = {"volumes": [{"name": "data", "hostPath": {"path": "data"}}]}
    mounts = [{"name": "data", "mountPath": "in"}, {"name": "other", "mountPath": "/x"}]
    assert refused(pod, volumeMounts=mounts).keys() == {
        "spec.template.spec.volumes[0].hostPath.path",
        f"{MAIN}.volumeMounts[0].mountPath",
        f"{MAIN}.volumeMounts[1].name",
    }


@pytest.mark.parametrize("path", ["/m.log"])
def test_a_metrics_file_needs_a_directory_of_its_own(path: str) -> None:
    found = refused(collector=files(path))
    assert list(found) == ["spec.metricsCollectorSpec.source.fileSystemPath.path"]


def test_trials_at_the_same_time_must_not_share_a_metrics_file() -> None:
    pod = {"volumes": [{"name": "logs", "hostPath": {"path": "/logs"}}]}
    mounts = [{"name": "logs", "mountPath": "/logs"}]
    found = refused(pod, volumeMounts=mounts, collector=files("/logs/m.log"))
    assert "must not lie in a hostPath" in found["spec.metricsCollectorSpec.source.fileSystemPath.path"]


def test_what_one_engine_cannot_do_is_refused_with_it_alone() -> None:
    user = {"runAsUser": 12345}
    assert refused(securityContext=user) == {}
    found = refused(securityContext=user, engine=Apptainer("/bin/apptainer"))
    assert "apptainer runs containers as this user" in found[MAIN]
