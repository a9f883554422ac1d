from __future__ import annotations

import os
from typing import Any

import pytest

from katibpy.api.experiment import (
    Collector,
    Experiment,
    ExperimentSpec,
    FileSystemPath,
    MetricsCollectorSpec,
    MetricsSource,
    TrialTemplate,
)
from katibpy.runners.host_processes import check_runnable

JOB = "spec.trialTemplate.trialSpec"
POD = f"{JOB}.spec.template.spec"
MAIN = f"{POD}.containers[0]"


def template(
    *,
    job: dict[str, Any] | None = None,
    pod: dict[str, Any] | None = None,
    container: dict[str, Any] | None = None,
) -> dict[str, Any]:
    main = {"name": "main", "image": "python:3.11", "command": ["python", "train.py"], **(container or {})}
    spec = {
        "template": {"spec": {"restartPolicy": "Never", "containers": [main], **(pod or {})}},
        **(job or {}),
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "spec": spec}


def experiment(trial_spec: dict[str, Any], *, parallel: int = 3, metrics_path: str = "") -> Experiment:
    collector = None
    if metrics_path:
        source = MetricsSource(file_system_path=FileSystemPath(path=metrics_path, kind="File", format="TEXT"))
        collector = MetricsCollectorSpec(collector=Collector(kind="File"), source=source)
    spec = ExperimentSpec(
        trial_template=TrialTemplate(trial_spec=trial_spec, primary_container_name="main"),
        parallel_trial_count=parallel,
        metrics_collector_spec=collector,
    )
    return Experiment(spec=spec)


def refused(trial_spec: dict[str, Any], **options: Any) -> dict[str, str]:
    return {error.path: error.message for error in check_runnable(experiment(trial_spec, **options))}


def test_what_is_harmless_on_a_host_is_accepted() -> None:
    assert (
        refused(
            template(
                job={
                    "backoffLimit": 3,
                    "activeDeadlineSeconds": 60,
                    "parallelism": 1,
                    "completions": 1,
                    "ttlSecondsAfterFinished": 100,
                    "suspend": False,
                },
                pod={
                    "nodeSelector": {"gpu": "a100"},
                    "tolerations": [{"key": "x"}],
                    "serviceAccountName": "trainer",
                    "hostNetwork": True,
                    "securityContext": {},
                    "initContainers": [],
                    "terminationGracePeriodSeconds": 5,
                },
                container={
                    "imagePullPolicy": "Always",
                    "resources": {"limits": {"cpu": "2", "memory": "1Gi", "nvidia.com/gpu": 0}},
                    "ports": [{"containerPort": 80}],
                    "env": [
                        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                        {"name": "L", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}},
                        {
                            "name": "S",
                            "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}},
                        },
                    ],
                },
            )
        )
        == {}
    )


def test_everything_that_cannot_be_honoured_is_refused_by_name_at_once() -> None:
    found = refused(
        template(
            job={"parallelism": 2, "completions": 4, "suspend": True, "podFailurePolicy": {"rules": []}},
            pod={
                "initContainers": [{"name": "init"}],
                "hostAliases": [{"ip": "127.0.0.1"}],
                "securityContext": {"fsGroup": 100},
                "volumes": [
                    {"name": "data", "persistentVolumeClaim": {"claimName": "x"}},
                    {"name": "e", "emptyDir": {}},
                ],
                "restartPolicy": "Always",
                "unheardOf": 1,
            },
            container={
                "envFrom": [{"secretRef": {"name": "s"}}],
                "securityContext": {"capabilities": {"drop": ["ALL"]}},
                "resources": {"limits": {"amd.com/gpu": 1}, "requests": {"hugepages-2Mi": "1Gi"}},
                "livenessProbe": {"exec": {}},
                "tty": True,
                "env": [
                    {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                    {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                    {"name": "my.var", "value": "1"},
                    {"name": "N", "value": 3},
                ],
            },
        )
    )
    assert set(found) == {
        f"{JOB}.spec.parallelism",
        f"{JOB}.spec.completions",
        f"{JOB}.spec.suspend",
        f"{JOB}.spec.podFailurePolicy",
        f"{POD}.initContainers",
        f"{POD}.hostAliases",
        f"{POD}.securityContext.fsGroup",
        f"{POD}.volumes[0].persistentVolumeClaim",
        f"{POD}.restartPolicy",
        f"{POD}.unheardOf",
        f"{MAIN}.envFrom",
        f"{MAIN}.securityContext.capabilities",
        f'{MAIN}.resources.limits["amd.com/gpu"]',
        f"{MAIN}.resources.requests.hugepages-2Mi",
        f"{MAIN}.livenessProbe",
        f"{MAIN}.tty",
        f"{MAIN}.env[0].valueFrom.secretKeyRef",
        f"{MAIN}.env[1].valueFrom.fieldRef.fieldPath",
        f"{MAIN}.env[2].name",
        f"{MAIN}.env[3].value",
    }


@pytest.mark.parametrize(
    ("kind", "version"),
    [("PyTorchJob", "kubeflow.org/v1beta1"), ("Job", "batch.volcano.sh/v1alpha1"), ("Pod", "v1")],
)
def test_another_kind_gives_one_clear_line(kind: str, version: str) -> None:
    found = refused({"apiVersion": version, "kind": kind, "spec": {"whatever": True}})
    assert list(found) == [f"{JOB}.kind"]
    assert f"got {kind} of {version}" in found[f"{JOB}.kind"]


def test_a_missing_command_is_told_how_to_mend() -> None:
    found = refused(template(container={"command": None, "args": ["train.py"]}))
    assert found == {
        f"{MAIN}.command": "must be given: the local runner has no image entrypoint; give command"
    }


@pytest.mark.parametrize("value", ["python train.py", [1, 2]])
def test_a_command_that_is_no_list_of_strings_is_refused(value: object) -> None:
    assert list(refused(template(container={"command": value}))) == [f"{MAIN}.command"]


def test_exactly_one_container_can_be_run() -> None:
    other = {"name": "sidecar", "command": ["true"]}
    main = {"name": "main", "command": ["true"]}
    found = refused(template(pod={"containers": [other, main]}))
    assert list(found) == [f"{POD}.containers"]
    assert "sidecar, main" in found[f"{POD}.containers"]
    assert list(refused(template(pod={"containers": []}))) == [f"{POD}.containers"]
    assert list(refused(template(pod={"containers": [other]}))) == [f"{MAIN}.name"]


def test_placeholders_stand_for_any_value() -> None:
    found = refused(
        template(
            job={
                "backoffLimit": "${trialParameters.retries}",
                "activeDeadlineSeconds": "${trialParameters.time}",
            },
            container={"env": [{"name": "${trialParameters.name}", "value": "x"}]},
        )
    )
    assert found == {}


@pytest.mark.parametrize("value", [-1, 1.5, "many", True])
def test_counts_are_whole_numbers(value: object) -> None:
    found = refused(template(job={"backoffLimit": value}))
    assert found == {f"{JOB}.spec.backoffLimit": f"must be a whole number of at least 0, got {value!r}"}


def test_the_own_user_may_be_asked_for() -> None:
    assert refused(template(pod={"securityContext": {"runAsUser": os.geteuid()}})) == {}
    other = refused(template(pod={"securityContext": {"runAsUser": os.geteuid() + 1}}))
    assert list(other) == [f"{POD}.securityContext.runAsUser"]


def test_a_mounted_directory_must_be_named_or_be_there() -> None:
    mounts = {
        "volumeMounts": [
            {"name": "scratch", "mountPath": "/scratch-of-the-trial"},
            {"name": "t", "mountPath": "/tmp"},
        ]
    }
    volumes = {"volumes": [{"name": "scratch", "emptyDir": {}}, {"name": "t", "emptyDir": {}}]}
    found = refused(template(pod=volumes, container=mounts))
    assert list(found) == [f"{MAIN}.volumeMounts[0].mountPath"]
    assert (
        refused(template(pod=volumes, container={**mounts, "args": ["--cache=/scratch-of-the-trial/x"]}))
        == {}
    )


METRICS = "spec.metricsCollectorSpec.source.fileSystemPath.path"


@pytest.mark.parametrize(
    "container",
    [
        {"args": ["--log", "/katib/m.log"]},
        {"args": ["--log-dir=/katib"]},
        {"env": [{"name": "LOG", "value": "/katib/m.log"}]},
        {"command": ["sh", "-c", "python t.py > /katib/m.log"]},
        {"command": ["sh", "-c", "python t.py > $KATIB_METRICS_FILE"]},
    ],
)
def test_a_metrics_file_that_is_named_can_be_each_trials_own(container: dict[str, Any]) -> None:
    assert refused(template(container=container), metrics_path="/katib/m.log") == {}


def test_a_metrics_file_that_is_not_named_needs_trials_one_at_a_time() -> None:
    found = refused(template(), metrics_path="/katib/m.log")
    assert list(found) == [METRICS]
    assert "spec.parallelTrialCount 3" in found[METRICS]
    assert "KATIB_METRICS_FILE" in found[METRICS]
    assert refused(template(), metrics_path="/katib/m.log", parallel=1) == {}


def test_a_template_that_is_not_there_is_for_others_to_refuse() -> None:
    assert check_runnable(Experiment()) == ()


@pytest.mark.parametrize(
    "odd", [{"spec": None}, {"spec": []}, {"spec": {"template": "x"}}, {"spec": {"template": {"spec": 3}}}]
)
def test_a_job_of_the_wrong_shape_is_refused_and_breaks_nothing(odd: dict[str, Any]) -> None:
    assert refused({"apiVersion": "batch/v1", "kind": "Job", **odd})
