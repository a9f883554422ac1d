from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katibpy.api.codec import load_documents, to_dict
from katibpy.api.defaults import with_defaults
from katibpy.api.experiment import Experiment
from tests.unit.api.valid_cases import VALID


def defaulted(spec: dict[str, object]) -> dict[str, object]:
    return to_dict(with_defaults(Experiment.model_validate({"spec": spec})).spec)


def template(version: str, kind: str, **more: object) -> dict[str, object]:
    spec = {"trialSpec": {"apiVersion": version, "kind": kind}, **more}
    found = defaulted({"trialTemplate": spec})["trialTemplate"]
    assert isinstance(found, dict)
    return {key: value for key, value in found.items() if key != "trialSpec"}


def collector(spec: object) -> object:
    return defaulted({"metricsCollectorSpec": spec})["metricsCollectorSpec"]


def condition(name: str) -> str:
    return f'status.conditions.#(type=="{name}")#|#(status=="True")#'


def test_counts_policy_and_collector() -> None:
    assert defaulted({}) == {
        "parallelTrialCount": 3,
        "resumePolicy": "Never",
        "metricsCollectorSpec": {"collector": {"kind": "StdOut"}},
    }


@pytest.mark.parametrize("written", [None, {}, {"algorithmSettings": []}])
def test_a_search_over_parameters_without_algorithm_gets_the_one_that_picks(written: object) -> None:
    parameters = [{"name": "x", "parameterType": "double", "feasibleSpace": {"min": "0", "max": "1"}}]
    found = defaulted({"parameters": parameters, "algorithm": written})["algorithm"]
    assert isinstance(found, dict)
    assert found["algorithmName"] == "auto"


def test_a_search_for_architectures_has_no_default_algorithm() -> None:
    assert "algorithm" not in defaulted({"nasConfig": {"graphConfig": {"numLayers": 1}, "operations": []}})


@pytest.mark.parametrize(("most", "parallel"), [(1, 1), (2, 2), (3, 3), (100, 3), (0, 3), (None, 3)])
def test_no_more_run_at_a_time_than_there_are(most: int | None, parallel: int) -> None:
    assert defaulted({"maxTrialCount": most})["parallelTrialCount"] == parallel


@pytest.mark.parametrize(
    ("direction", "strategy"), [("minimize", "min"), ("maximize", "max"), ("", "latest")]
)
def test_every_metric_gets_the_strategy_of_the_objective(direction: str, strategy: str) -> None:
    objective = {"type": direction, "objectiveMetricName": "a", "additionalMetricNames": ["b", "c", "b"]}
    given_strategies = [{"name": "b", "value": "latest"}]
    found = defaulted({"objective": {**objective, "metricStrategies": given_strategies}})["objective"]
    assert isinstance(found, dict)
    assert found["metricStrategies"] == [
        {"name": "b", "value": "latest"},
        {"name": "a", "value": strategy},
        {"name": "c", "value": strategy},
    ]


def test_a_batch_job_has_conditions() -> None:
    assert template("batch/v1", "Job") == {
        "successCondition": condition("Complete"),
        "failureCondition": condition("Failed"),
    }


def test_a_job_of_another_group_has_none() -> None:
    assert template("batch.volcano.sh/v1alpha1", "Job") == {}


def test_a_kind_that_is_no_text_is_left_to_validation() -> None:
    spec: dict[str, object] = {"trialTemplate": {"trialSpec": {"apiVersion": "batch/v1", "kind": ["Job"]}}}
    assert defaulted(spec)["trialTemplate"] == spec["trialTemplate"]


@pytest.mark.parametrize("kind", ["TFJob", "PyTorchJob", "XGBoostJob", "MPIJob"])
def test_training_jobs_have_conditions_and_a_primary_pod(kind: str) -> None:
    assert template("kubeflow.org/v1", kind) == {
        "successCondition": condition("Succeeded"),
        "failureCondition": condition("Failed"),
        "primaryPodLabels": {"training.kubeflow.org/job-role": "master"},
    }


def test_train_jobs_have_conditions_and_a_primary_pod() -> None:
    assert template("trainer.kubeflow.org/v1alpha1", "TrainJob") == {
        "successCondition": condition("Complete"),
        "failureCondition": condition("Failed"),
        "primaryPodLabels": {
            "jobset.sigs.k8s.io/replicatedjob-name": "node",
            "batch.kubernetes.io/job-completion-index": "0",
        },
    }


def test_what_the_template_says_stays() -> None:
    said = {"successCondition": "a", "failureCondition": "b", "primaryPodLabels": {"c": "d"}}
    assert template("kubeflow.org/v1", "MPIJob", **said) == said


@pytest.mark.parametrize(
    ("spec", "source", "kind"),
    [
        ({}, None, "StdOut"),
        ({"collector": {}}, None, "StdOut"),
        (
            {"collector": {"kind": "File"}},
            {"fileSystemPath": {"path": "/var/log/katib/metrics.log", "kind": "File", "format": "TEXT"}},
            "File",
        ),
        (
            {"collector": {"kind": "TensorFlowEvent"}},
            {"fileSystemPath": {"path": "/var/log/katib/tfevent/", "kind": "Directory"}},
            "TensorFlowEvent",
        ),
        (
            {"collector": {"kind": "PrometheusMetric"}, "source": {"httpGet": {"port": 0}}},
            {"httpGet": {"path": "/metrics", "port": 8080}},
            "PrometheusMetric",
        ),
        ({"collector": {"kind": "Push"}}, None, "Push"),
    ],
)
def test_collectors_know_where_to_look(spec: object, source: object, kind: str) -> None:
    expected: dict[str, object] = {"collector": {"kind": kind}}
    assert collector(spec) == (expected if source is None else {"source": source, **expected})


def test_a_given_source_is_completed_not_replaced() -> None:
    spec = {
        "collector": {"kind": "File"},
        "source": {"fileSystemPath": {"path": "/a", "format": "JSON"}, "filter": {"metricsFormat": ["x"]}},
    }
    assert collector(spec) == {
        "source": {
            "fileSystemPath": {"path": "/a", "kind": "File", "format": "JSON"},
            "filter": {"metricsFormat": ["x"]},
        },
        "collector": {"kind": "File"},
    }


def test_only_numbers_have_a_distribution() -> None:
    kinds = ["double", "int", "discrete", "categorical"]
    parameters = [{"name": kind, "parameterType": kind} for kind in kinds]
    found = with_defaults(Experiment.model_validate({"spec": {"parameters": parameters}})).spec.parameters
    assert [each.feasible_space.distribution for each in found] == ["uniform", "uniform", None, None]


@given(
    text=st.sampled_from(sorted(VALID.values())),
    parallel=st.none() | st.integers(-1, 5),
    most=st.none() | st.integers(-1, 5),
    direction=st.sampled_from(["", "minimize", "maximize", "x"]),
    kind=st.sampled_from(["", "StdOut", "File", "TensorFlowEvent", "PrometheusMetric", "x"]),
)
def test_defaults_are_the_same_the_second_time(
    text: str, parallel: int | None, most: int | None, direction: str, kind: str
) -> None:
    (document,) = load_documents(text)
    assert isinstance(document.resource, Experiment)
    spec = to_dict(document.resource.spec)
    spec["objective"] = {**spec["objective"], "type": direction}
    spec["metricsCollectorSpec"] = {"collector": {"kind": kind}}
    experiment = Experiment.model_validate({"spec": spec})
    experiment = experiment.but(spec=experiment.spec.but(parallel_trial_count=parallel, max_trial_count=most))
    once = with_defaults(experiment)
    assert with_defaults(once) == once
