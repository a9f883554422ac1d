"""Kinds, collectors and algorithms that Katib has and this version has not: one clear line, exit code 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.katib_command import Katib

SHAPES = Path(__file__).with_name("shapes")
POD = {"containers": [{"name": "main", "image": "busybox:1.36", "command": ["echo", "${trialParameters.x}"]}]}
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
    "enas": {"controller_hidden_size": "64"},
    "darts": {"num_epochs": "1"},
}


def _base() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((SHAPES / "resume-never.yaml").read_text(encoding="utf-8"))
    return loaded


def _with_kind(kind: str) -> dict[str, Any]:
    experiment = _base()
    template = experiment["spec"]["trialTemplate"]
    template["trialSpec"] = {"kind": kind, **KINDS[kind]}
    template.update(CONDITIONS.get(kind, {}))
    return experiment


def _with_collector(kind: str) -> dict[str, Any]:
    experiment = _base()
    spec = dict(COLLECTORS[kind])
    spec["collector"] = {"kind": kind, **spec.get("collector", {})}
    experiment["spec"]["metricsCollectorSpec"] = spec
    pod = experiment["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]
    pod["containers"][0]["args"] = ["--log-dir=/train"]
    return experiment


def _with_algorithm(name: str) -> dict[str, Any]:
    experiment = _base()
    settings = [{"name": key, "value": value} for key, value in ALGORITHMS[name].items()]
    experiment["spec"]["algorithm"] = {"algorithmName": name, "algorithmSettings": settings}
    if name in ("enas", "darts"):
        del experiment["spec"]["parameters"]
        experiment["spec"]["nasConfig"] = SEARCHED_ARCHITECTURE
    return experiment


def _with_early_stopping() -> dict[str, Any]:
    experiment = _base()
    experiment["spec"]["earlyStopping"] = {
        "algorithmName": "medianstop",
        "algorithmSettings": [
            {"name": "min_trials_required", "value": "3"},
            {"name": "start_step", "value": "5"},
        ],
    }
    return experiment


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Sequence[str]]:
    """What `katib run` says of each, all handed in at once: name to lines."""
    experiments = {
        **{kind: _with_kind(kind) for kind in KINDS},
        **{kind: _with_collector(kind) for kind in COLLECTORS},
        **{name: _with_algorithm(name) for name in ALGORITHMS},
        "medianstop": _with_early_stopping(),
    }
    directory = tmp_path_factory.mktemp("refused")
    files = {name: directory / f"{name}.yaml" for name in experiments}
    for name, experiment in experiments.items():
        experiment["metadata"]["name"] = name.lower()
        files[name].write_text(yaml.safe_dump(experiment), encoding="utf-8")
    ended = Katib(directory / "state")("run", *files.values(), "-o", "json")
    assert (ended.code, ended.stdout) == (2, ""), ended
    said = {
        name: [line for line in ended.stderr.splitlines() if line.startswith(f"{file}:")]
        for name, file in files.items()
    }
    assert sum(map(len, said.values())) == len(ended.stderr.splitlines()), ended.stderr
    return said


@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_of_another_kind_is_refused(refusals: Mapping[str, Sequence[str]], kind: str) -> None:
    (line,) = refusals[kind]
    assert " spec.trialTemplate.trialSpec.kind " in line
    assert kind in line


@pytest.mark.parametrize("kind", COLLECTORS)
def test_another_collector_is_refused(refusals: Mapping[str, Sequence[str]], kind: str) -> None:
    (line,) = refusals[kind]
    assert " spec.metricsCollectorSpec.collector.kind " in line
    assert kind in line


@pytest.mark.parametrize("name", ALGORITHMS)
def test_another_algorithm_is_refused(refusals: Mapping[str, Sequence[str]], name: str) -> None:
    (line,) = refusals[name]
    assert " spec.algorithm.algorithmName " in line
    assert f"'{name}' is not part of this version yet" in line


def test_early_stopping_is_refused(refusals: Mapping[str, Sequence[str]]) -> None:
    (line,) = refusals["medianstop"]
    assert " spec.earlyStopping.algorithmName " in line
    assert "'medianstop' is not part of this version yet" in line


def test_one_that_is_refused_says_one_line_and_leaves_nothing_behind(tmp_path: Path) -> None:
    katib = Katib(tmp_path / "state")
    file = tmp_path / "experiment.yaml"
    file.write_text(yaml.safe_dump(_with_kind("Workflow")), encoding="utf-8")
    ended = katib("run", file)
    assert (ended.code, ended.stdout) == (2, "")
    assert len(ended.stderr.splitlines()) == 1
    assert not katib.state_directory.exists()
