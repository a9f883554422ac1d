"""An Experiment that asks for more than this host has is refused before anything starts."""

from __future__ import annotations

from typing import Any

import pytest

from katibpy.api.experiment import Experiment
from katibpy.errors import FieldError
from katibpy.runners.devices import Device, FixedDevices
from katibpy.runners.host_room import HostRoom
from katibpy.runners.slot_capacity import check_capacity
from katibpy.testing.builders import experiment, job_template

ROOM = HostRoom(cpu_mask=0b11, memory=4 * 2**30)
TWO = FixedDevices([Device("GPU-a", "0"), Device("GPU-b", "1")])
JOB = "spec.trialTemplate.trialSpec"
MAIN = f"{JOB}.spec.template.spec.containers[0]"
FRACTION = "katib.kubeflow.org/gpu-fraction"


def asking(
    resources: Any = None, *, annotations: Any = None, pod_annotations: Any = None, pod: Any = None
) -> Experiment:
    template = job_template()
    assert template.trial_spec is not None
    template_spec = template.trial_spec["spec"]["template"]["spec"]
    container = {**template_spec["containers"][0], "resources": resources}
    job = {
        **template.trial_spec,
        "metadata": {"annotations": annotations or {}},
        "spec": {
            "template": {
                "metadata": {"annotations": pod_annotations or {}},
                "spec": {**template_spec, "containers": [container], "resources": pod},
            }
        },
    }
    return experiment(trial_template=template.but(trial_spec=job))


@pytest.mark.parametrize(
    ("resources", "path", "message"),
    [
        (
            {"limits": {"nvidia.com/gpu": 3}},
            f'{MAIN}.resources.limits["nvidia.com/gpu"]',
            "cannot be honoured: must be at most 2, all GPUs there are, got 3",
        ),
        (
            {"limits": {"cpu": "2500m"}},
            f"{MAIN}.resources.limits.cpu",
            "cannot be honoured: must be at most 2, the cpus of this host, got 2.5",
        ),
        (
            {"limits": {"cpu": 9}, "requests": {"cpu": 3}},
            f"{MAIN}.resources.requests.cpu",
            "cannot be honoured: must be at most 2, the cpus of this host, got 3",
        ),
        (
            {"limits": {"memory": "5Gi"}},
            f"{MAIN}.resources.limits.memory",
            "cannot be honoured: must be at most 4Gi, the memory of this host, got 5Gi",
        ),
    ],
)
def test_too_much_is_refused_with_both_numbers(resources: Any, path: str, message: str) -> None:
    assert check_capacity(asking(resources), ROOM, TWO) == (FieldError(path, message),)


def test_everything_that_is_too_much_is_said_at_once() -> None:
    greedy = {"limits": {"nvidia.com/gpu": 3, "cpu": 3, "memory": "5Gi"}}
    assert len(check_capacity(asking(greedy), ROOM, TWO)) == 3


def test_gpus_where_there_are_none_are_refused_with_the_reason() -> None:
    nothing = FixedDevices(absence="to hand out (--gpus none)")
    ((whole),) = check_capacity(asking({"limits": {"nvidia.com/gpu": 1}}), ROOM, nothing)
    assert whole.message == "cannot be honoured: there is no GPU to hand out (--gpus none), got 1"
    for places in ({"annotations": {FRACTION: "0.5"}}, {"pod_annotations": {FRACTION: "0.5"}}):
        ((share),) = check_capacity(asking(**places), ROOM, FixedDevices())
        head = "spec.template.metadata" if "pod_annotations" in places else "metadata"
        assert share == FieldError(
            f'{JOB}.{head}.annotations["{FRACTION}"]', "cannot be honoured: there is no GPU, got 0.5"
        )


def test_what_the_pod_asks_for_is_refused_there() -> None:
    (found,) = check_capacity(asking(pod={"requests": {"memory": "5Gi"}}), ROOM, TWO)
    assert found.path == f"{JOB}.spec.template.spec.resources.requests.memory"


@pytest.mark.parametrize(
    "resources",
    [
        None,
        {"limits": {"nvidia.com/gpu": 2, "cpu": 2, "memory": "4Gi"}},
        {"limits": {"cpu": 64}, "requests": {"cpu": 1}},
        {"limits": {"nvidia.com/gpu": "${trialParameters.gpus}"}},
    ],
)
def test_what_there_is_may_be_asked_for(resources: Any) -> None:
    assert check_capacity(asking(resources), ROOM, TWO) == ()


class Forbidden(FixedDevices):
    def devices(self) -> tuple[Device, ...]:
        raise AssertionError("devices must not be looked for when nobody asks for any")


def test_devices_are_not_looked_for_when_none_are_asked_for() -> None:
    assert check_capacity(asking({"limits": {"cpu": 1}}), ROOM, Forbidden()) == ()
