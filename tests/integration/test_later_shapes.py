"""Kinds, collectors and algorithms that Katib has and this version has not: one clear line, exit code 2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.katib_command import Katib

SHAPES = Path(__file__).with_name("shapes")
POD = {"containers": [{"name": "main", "image": "busybox:1.36", "command": ["echo", "${trialParameters.x}"]}]}
REPLICA = {"replicas": 1, "restartPolicy": "Never", "template": {"spec": POD}}
OPERATION = {
    "operationType": "convolution",
    "parameters": [
        {"name": "size", "parameterType": "categorical", "feasibleSpace": {"list": ["3", "5"]}},
    ],
}
SEARCHED_ARCHITECTURE = {
    "graphConfig": {"numLayers": 1, "inputSizes": [32, 32, 3], "outputSizes": [10]},
    "operations": [OPERATION],
}

KINDS: Mapping[str, Mapping[str, Any]] = {
    "PyTorchJob": {
        "apiVersion": "kubeflow.org/v1",
        "spec": {"pytorchReplicaSpecs": {"Master": REPLICA, "Worker": REPLICA}},
    },
    "TFJob": {"apiVersion": "kubeflow.org/v1", "spec": {"tfReplicaSpecs": {"Worker": REPLICA}}},
    "MPIJob": {"apiVersion": "kubeflow.org/v1", "spec": {"mpiReplicaSpecs": {"Launcher": REPLICA}}},
    "XGBoostJob": {"apiVersion": "kubeflow.org/v1", "spec": {"xgbReplicaSpecs": {"Master": REPLICA}}},
    "TrainJob": {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "spec": {
            "runtimeRef": {"name": "torch-distributed"},
            "trainer": {"command": ["echo", "${trialParameters.x}"], "numNodes": 2},
        },
    },
    "Workflow": {
        "apiVersion": "argoproj.io/v1alpha1",
        "spec": {
            "entrypoint": "main",
            "templates": [{"name": "main", "container": POD["containers"][0]}],
        },
    },
    "PipelineRun": {
        "apiVersion": "tekton.dev/v1beta1",
        "spec": {
            "params": [{"name": "x", "value": "${trialParameters.x}"}],
            "pipelineRef": {"name": "train"},
        },
    },
}
CONDITIONS = {
    "Workflow": {
        "successCondition": 'status.[@this].#(phase=="Succeeded")#',
        "failureCondition": 'status.[@this].#(phase=="Failed")#',
    },
    "PipelineRun": {
        "successCondition": 'status.conditions.#(type=="Succeeded")#|#(status=="True")#',
        "failureCondition": 'status.conditions.#(type=="Succeeded")#|#(status=="False")#',
    },
}
COLLECTORS: Mapping[str, Mapping[str, Any]] = {
    "TensorFlowEvent": {"source": {"fileSystemPath": {"path": "/train", "kind": "Directory"}}},
    "PrometheusMetric": {"source": {"httpGet": {"path": "/metrics", "port": 8080}}},
    "Custom": {"collector": {"customCollector": {"name": "own", "image": "busybox:1.36"}}},
    "Push": {},
}
ALGORITHMS: Mapping[str, Mapping[str, str]] = {
    "multivariate-tpe": {"n_startup_trials": "5"},
    "cmaes": {"restart_strategy": "ipop", "sigma": "0.1"},
    "bayesianoptimization": {"random_state": "10"},
    "hyperband": {"resource_name": "x", "eta": "2", "r_l": "2"},
    "pbt": {"suggestion_trial_dir": "/pbt", "n_population": "5", "truncation_threshold": "0.2"},
    "enas": {"controller_hidden_size": "64"},
    "darts": {"num_epochs": "1"},
}


@pytest.fixture
def katib(tmp_path: Path) -> Katib:
    return Katib(tmp_path / "state")


@pytest.fixture
def experiment() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((SHAPES / "resume-never.yaml").read_text())
    return loaded


def refusal(katib: Katib, experiment: Mapping[str, Any]) -> str:
    """The one line that `katib run` says."""
    file = katib.state_directory.with_name("experiment.yaml")
    file.write_text(yaml.safe_dump(experiment))
    ended = katib("run", file, "-o", "json")
    assert ended.code == 2, ended
    assert ended.stdout == ""
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    return lines[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_of_another_kind_is_refused(katib: Katib, experiment: dict[str, Any], kind: str) -> None:
    template = experiment["spec"]["trialTemplate"]
    template["trialSpec"] = {"kind": kind, **KINDS[kind]}
    template.update(CONDITIONS.get(kind, {}))
    line = refusal(katib, experiment)
    assert "spec.trialTemplate.trialSpec.kind" in line
    assert kind in line


@pytest.mark.parametrize("kind", COLLECTORS)
def test_another_collector_is_refused(katib: Katib, experiment: dict[str, Any], kind: str) -> None:
    spec = {**COLLECTORS[kind]}
    spec["collector"] = {"kind": kind, **spec.get("collector", {})}
    experiment["spec"]["metricsCollectorSpec"] = spec
    line = refusal(katib, experiment)
    assert "spec.metricsCollectorSpec.collector.kind" in line
    assert kind in line


@pytest.mark.parametrize("name", ALGORITHMS)
def test_another_algorithm_is_refused(katib: Katib, experiment: dict[str, Any], name: str) -> None:
    settings = [{"name": key, "value": value} for key, value in ALGORITHMS[name].items()]
    experiment["spec"]["algorithm"] = {"algorithmName": name, "algorithmSettings": settings}
    if name in ("enas", "darts"):
        del experiment["spec"]["parameters"]
        experiment["spec"]["nasConfig"] = SEARCHED_ARCHITECTURE
    line = refusal(katib, experiment)
    assert "spec.algorithm.algorithmName" in line
    assert f"'{name}' is not part of this version yet" in line


def test_early_stopping_is_refused(katib: Katib, experiment: dict[str, Any]) -> None:
    experiment["spec"]["earlyStopping"] = {
        "algorithmName": "medianstop",
        "algorithmSettings": [
            {"name": "min_trials_required", "value": "3"},
            {"name": "start_step", "value": "5"},
        ],
    }
    line = refusal(katib, experiment)
    assert "spec.earlyStopping.algorithmName" in line
    assert "'medianstop' is not part of this version yet" in line
