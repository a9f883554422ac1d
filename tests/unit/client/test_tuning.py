from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

from katibpy.client import search
from katibpy.client.tuning import Tuning
from katibpy.errors import InputError, Unsupported

PAYLOAD = Path("/state/objectives/default/net-0123.objective")


def tuning(**changes: Any) -> Tuning:
    arguments: dict[str, Any] = {
        "name": "net",
        "namespace": "default",
        "objective": lambda parameters: 0.5,
        "parameters": {"lr": search.double(0.1, 1), "epochs": 5, "layers": search.int(1, 4)},
        "objective_metric_name": "accuracy",
    }
    return Tuning(**(arguments | changes))


def spec_of(made: Tuning) -> dict[str, Any]:
    spec: dict[str, Any] = made.experiment(made.call(), PAYLOAD)["spec"]
    return spec


def container_of(made: Tuning) -> dict[str, Any]:
    [container] = spec_of(made)["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = container
    return found


def test_a_trial_calls_the_function_with_the_searched_parameters() -> None:
    assert container_of(tuning())["command"] == [
        sys.executable,
        "-P",
        "-m",
        "katibpy.client.run_objective",
        str(PAYLOAD),
        "lr=${trialParameters.lr}",
        "layers=${trialParameters.layers}",
    ]
    template = spec_of(tuning())["trialTemplate"]
    assert template["trialParameters"] == [
        {"name": "lr", "reference": "lr"},
        {"name": "layers", "reference": "layers"},
    ]


def test_what_is_no_search_dimension_is_a_constant_and_the_dict_stays_as_it_is() -> None:
    given = {"lr": search.double(0.1, 1), "epochs": 5}
    call = tuning(parameters=given).call()
    assert (list(call.searched), call.constants) == (["lr"], {"epochs": 5})
    assert list(given) == ["lr", "epochs"]
    assert given["epochs"] == 5


def test_a_dimension_of_katibs_own_sdk_is_one() -> None:
    class Space:
        attribute_map: ClassVar[dict[str, str]] = {"min": "min", "max": "max"}
        min, max = "1", "2"

    class Spec:
        attribute_map: ClassVar[dict[str, str]] = {
            "feasible_space": "feasibleSpace",
            "name": "name",
            "parameter_type": "parameterType",
        }
        feasible_space, name, parameter_type = Space(), None, "double"

    spec = spec_of(tuning(parameters={"lr": Spec()}))
    assert spec["parameters"] == [
        {"name": "lr", "parameterType": "double", "feasibleSpace": {"min": "1", "max": "2"}}
    ]


def test_every_argument_finds_its_field() -> None:
    made = tuning(
        additional_metric_names=["loss"],
        objective_type="minimize",
        objective_goal=0.1,
        metric_strategies={"loss": "latest"},
        algorithm_name="tpe",
        algorithm_settings={"n_startup_trials": 3, "group": True, "unset": None},
        max_trial_count=9,
        parallel_trial_count=2,
        max_failed_trial_count=4,
        resume_policy="Never",
        seed=7,
        retain_trials=True,
        trial_active_deadline_seconds=60,
    )
    spec = spec_of(made)
    assert spec["objective"] == {
        "type": "minimize",
        "goal": 0.1,
        "objectiveMetricName": "accuracy",
        "additionalMetricNames": ["loss"],
        "metricStrategies": [{"name": "loss", "value": "latest"}],
    }
    assert spec["algorithm"] == {
        "algorithmName": "tpe",
        "algorithmSettings": [
            {"name": "n_startup_trials", "value": "3"},
            {"name": "group", "value": "true"},
        ],
    }
    counts = [spec[name] for name in ("maxTrialCount", "parallelTrialCount", "maxFailedTrialCount", "seed")]
    assert counts == [9, 2, 4, 7]
    assert spec["resumePolicy"] == "Never"
    assert spec["trialTemplate"]["retain"] is True
    job = spec["trialTemplate"]["trialSpec"]["spec"]
    assert (job["activeDeadlineSeconds"], job["backoffLimit"]) == (60, 0)


def test_what_is_not_given_is_not_written() -> None:
    spec = spec_of(tuning())
    assert set(spec) == {
        "objective",
        "algorithm",
        "parameters",
        "resumePolicy",
        "metricsCollectorSpec",
        "trialTemplate",
    }
    assert set(container_of(tuning())) == {"name", "image", "command"}


@pytest.mark.parametrize(
    "given",
    [{"A": 1, "B": "two"}, [{"name": "A", "value": "1"}, {"name": "B", "value": "two"}]],
)
def test_the_environment_is_a_dict_or_a_list(given: object) -> None:
    env = container_of(tuning(env_per_trial=given))["env"]
    assert env == [{"name": "A", "value": "1"}, {"name": "B", "value": "two"}]


def test_resources_are_limits_and_requests_and_gpu_means_nvidias() -> None:
    resources = container_of(tuning(resources_per_trial={"cpu": 2, "memory": "4Gi", "gpu": 1}))["resources"]
    assert resources["limits"] == {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "1"}
    assert resources["requests"] == resources["limits"]
    given = {"limits": {"cpu": "1"}}
    assert container_of(tuning(resources_per_trial=given))["resources"] == given


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "train"}, "objective must be a function, got 'train'"),
        ({"objective": None}, "objective must be a function, got None"),
        ({"parameters": None}, "parameters must be a dict by name, got None"),
        ({"parameters": {"epochs": 5}}, "at least one search dimension"),
        ({"objective_metric_name": None}, "objective_metric_name must name what is optimised"),
        (
            {"algorithm_settings": 3},
            "algorithm_settings must be a dict or a list of names with values, got 3",
        ),
        ({"env_per_trial": ["A"]}, "env_per_trial must be a dict or a list of names with values"),
    ],
)
def test_wrong_arguments_are_told_apart(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        spec_of(tuning(**changes))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics_collector_config": {"kind": "Push"}}, "must be {'kind': 'StdOut'} here, got kind 'Push'"),
        ({"packages_to_install": ["numpy>=1", "no-such-thing==2"]}, "got no-such-thing==2: pip install"),
        ({"resources_per_trial": 3}, "resources_per_trial must be a dict"),
    ],
)
def test_what_this_machine_cannot_do_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(Unsupported) as caught:
        spec_of(tuning(**changes))
    assert message in str(caught.value)
