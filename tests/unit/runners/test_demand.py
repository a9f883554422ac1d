"""What a trial asks this host for, and what is wrong with asking so."""

from __future__ import annotations

from typing import Any

import pytest

from katibpy.runners.demand import NOTHING, Demand, demand_of
from katibpy.runners.job_shape import demand_in, problems_of, shape_of

GI = 2**30
FRACTION = "katib.kubeflow.org/gpu-fraction"


def problems(
    resources: Any = None,
    *,
    pod: Any = None,
    job_annotations: Any = None,
    pod_annotations: Any = None,
    env: Any = (),
) -> dict[str, str]:
    job = make_job(resources, pod, job_annotations, pod_annotations, env)
    found = problems_of(shape_of(job, "main"), "main", "job")
    return {
        error.path.removeprefix("job.").removeprefix("spec.template.spec."): error.message for error in found
    }


def make_job(
    resources: Any, pod: Any, job_annotations: Any, pod_annotations: Any, env: Any = ()
) -> dict[str, Any]:
    container = {"name": "main", "command": ["true"], "resources": resources, "env": list(env)}
    spec = {"containers": [container], "restartPolicy": "Never", "resources": pod}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"annotations": job_annotations or {}},
        "spec": {"template": {"metadata": {"annotations": pod_annotations or {}}, "spec": spec}},
    }


def test_a_limit_stands_for_a_request_and_a_request_for_nothing_else() -> None:
    assert demand_of({"limits": {"cpu": "1500m", "memory": "1Gi"}}, None) == Demand(
        cpu=1500, cpu_limit=1500, memory=GI, memory_limit=GI
    )
    assert demand_of({"requests": {"cpu": 2}}, None) == Demand(cpu=2000)
    assert demand_of({"limits": {"cpu": "4"}, "requests": {"cpu": "500m"}}, None) == Demand(
        cpu=500, cpu_limit=4000
    )


def test_resources_of_the_pod_count_where_the_container_says_nothing() -> None:
    pod = {"limits": {"cpu": "3", "memory": "2Gi"}}
    assert demand_of({"limits": {"cpu": "1"}}, pod) == Demand(
        cpu=1000, cpu_limit=1000, memory=2 * GI, memory_limit=2 * GI
    )


def test_gpus_are_counted_whole() -> None:
    assert demand_of({"limits": {"nvidia.com/gpu": "2"}}, None) == Demand(gpus=2)
    assert demand_of({"limits": {"nvidia.com/gpu": 1}, "requests": {"nvidia.com/gpu": "1"}}, None).gpus == 1


@pytest.mark.parametrize(
    ("text", "demand"),
    [("0.5", Demand(gpu_share=500)), ("0.125", Demand(gpu_share=125)), ("1", Demand(gpus=1))],
)
def test_the_annotation_shares_a_gpu(text: str, demand: Demand) -> None:
    for places in ({"job_annotations": {FRACTION: text}}, {"pod_annotations": {FRACTION: text}}):
        arguments = {"job_annotations": None, "pod_annotations": None, **places}
        assert demand_in(shape_of(make_job(None, None, **arguments), "main")) == demand


@pytest.mark.parametrize(
    "resources",
    [
        None,
        {},
        {"limits": None},
        {"limits": {}},
        {"limits": {"ephemeral-storage": "1Gi", "nvidia.com/gpu": 0}},
    ],
)
def test_who_asks_for_nothing_needs_no_slot(resources: Any) -> None:
    assert not demand_of(resources, None).needs_slot
    assert problems(resources) == {}


def test_a_limit_of_zero_is_no_limit() -> None:
    assert demand_of({"limits": {"cpu": "0", "memory": 0}}, None) == NOTHING


@pytest.mark.parametrize(
    ("resources", "path", "said"),
    [
        ({"limits": {"cpu": "two"}}, "limits.cpu", "must be a quantity as Kubernetes has them"),
        ({"limits": {"memory": "-1Gi"}}, "limits.memory", "must not be below zero, got '-1Gi'"),
        ({"limits": {"nvidia.com/gpu": "0.5"}}, 'limits["nvidia.com/gpu"]', "must be a whole number of GPUs"),
        (
            {"limits": {"amd.com/gpu": 1}},
            'limits["amd.com/gpu"]',
            "cannot be honoured: this host hands out cpu",
        ),
        (
            {"limits": {"cpu": 1}, "requests": {"cpu": "1001m"}},
            "requests.cpu",
            "must be at most the limit (1), got '1001m'",
        ),
        (
            {"limits": {"nvidia.com/gpu": 2}, "requests": {"nvidia.com/gpu": 1}},
            'requests["nvidia.com/gpu"]',
            "must equal the limit (2), got 1",
        ),
        ({"claims": [{"name": "x"}]}, "claims", "cannot be honoured"),
        ({"limits": ["cpu"]}, "limits", "must be a mapping"),
        ([], "", "must be a mapping"),
    ],
)
def test_a_wrong_amount_is_refused_by_its_path(resources: Any, path: str, said: str) -> None:
    ((where, message),) = problems(resources).items()
    assert where == f"containers[0].resources{'.' if path else ''}{path}"
    assert message.startswith(said)


def test_a_pod_has_no_gpus_of_its_own() -> None:
    assert list(problems(pod={"limits": {"nvidia.com/gpu": 1, "cpu": 1}})) == [
        'resources.limits["nvidia.com/gpu"]'
    ]


@pytest.mark.parametrize("text", ["0", "1.5", "0.0005", "half", "-0.5", "", 0.5, None, True])
def test_a_share_that_is_none_is_refused(text: Any) -> None:
    found = problems(job_annotations={FRACTION: text})
    if text is None:
        assert found == {}
        return
    ((path, message),) = found.items()
    assert path == f'metadata.annotations["{FRACTION}"]'
    assert "must be a share of one GPU, in quotes, above 0 and at most 1" in message
    assert repr(text) in message


def test_a_share_together_with_whole_gpus_is_refused() -> None:
    found = problems({"limits": {"nvidia.com/gpu": 1}}, pod_annotations={FRACTION: "0.5"})
    (message,) = found.values()
    assert message.startswith(
        "must not be given together with nvidia.com/gpu: a trial has whole GPUs or a share"
    )
    assert not problems({"limits": {"nvidia.com/gpu": "0"}}, pod_annotations={FRACTION: "0.5"})


def test_two_different_shares_are_refused() -> None:
    found = problems(job_annotations={FRACTION: "0.5"}, pod_annotations={FRACTION: "0.25"})
    assert list(found.values()) == ["must be that of the Job ('0.5'), got '0.25'; give it once"]
    assert not problems(job_annotations={FRACTION: "0.5"}, pod_annotations={FRACTION: "0.5"})


def test_who_asks_for_gpus_cannot_choose_them() -> None:
    env = [{"name": "LR", "value": "1"}, {"name": "CUDA_VISIBLE_DEVICES", "value": "3"}]
    ((path, message),) = problems({"limits": {"nvidia.com/gpu": 1}}, env=env).items()
    assert path == "containers[0].env[1]"
    assert message.startswith("must not set CUDA_VISIBLE_DEVICES when the trial asks for GPUs")
    assert problems(env=env) == {}


def test_placeholders_are_left_to_the_trial_that_fills_them() -> None:
    resources = {"limits": {"cpu": "${trialParameters.cpus}", "nvidia.com/gpu": "${trialParameters.gpus}"}}
    share = {FRACTION: "${trialParameters.share}"}
    assert problems(resources) == {}
    assert problems(job_annotations=share) == {}
    assert demand_in(shape_of(make_job(resources, None, None, None), "main")) == NOTHING
    assert demand_in(shape_of(make_job(None, None, share, None), "main")) == NOTHING
