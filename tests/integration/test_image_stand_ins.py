"""Experiments written for images, run as plain processes with what stands for the images."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from tests.integration.katib_command import Katib

TRAIN = """
import sys
lr, momentum = (float(word.partition("=")[2]) for word in sys.argv[2:])
print(f"loss={(lr - 0.03) ** 2 + (momentum - 0.7) ** 2:.6f} by {sys.executable}")
"""

COMMAND = [
    "python3",
    "/opt/katib-no-such/mnist.py",
    "--epochs=1",
    "--lr=${trialParameters.learningRate}",
    "--momentum=${trialParameters.momentum}",
]


def test_a_train_job_runs_as_it_is_with_a_stand_in_for_its_image(tmp_path: Path) -> None:
    state, source = tmp_path / "state", tmp_path / "mnist"
    for directory in (state, source):
        directory.mkdir()
    (source / "mnist.py").write_text(TRAIN)
    image = {"image": "docker.io/example/mnist", "interpreter": sys.executable}
    image["directories"] = {"/opt/katib-no-such": "../mnist"}  # type: ignore[assignment]
    (state / "config.yaml").write_text(yaml.safe_dump({"images": [image]}))
    trainer = {"numNodes": 2, "image": "docker.io/example/mnist:v1beta1-45c5727", "command": COMMAND}
    train_job = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "spec": {"runtimeRef": {"name": "torch-distributed"}, "trainer": trainer},
    }
    space = {"lr": ("0.01", "0.05"), "momentum": ("0.5", "0.9")}
    document = {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": "stand-in"},
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "algorithm": {"algorithmName": "random"},
            "maxTrialCount": 2,
            "parameters": [
                {"name": name, "parameterType": "double", "feasibleSpace": {"min": low, "max": high}}
                for name, (low, high) in space.items()
            ],
            "trialTemplate": {
                "primaryContainerName": "node",
                "trialParameters": [
                    {"name": "learningRate", "reference": "lr"},
                    {"name": "momentum", "reference": "momentum"},
                ],
                "trialSpec": train_job,
            },
        },
    }
    file = tmp_path / "experiment.yaml"
    file.write_text(yaml.safe_dump(document))
    katib = Katib(state)
    ran = katib.run(file)
    trials = ran.trials()
    assert [trial["status"]["conditions"][-1]["type"] for trial in trials] == ["Succeeded"] * 2
    for replica in ((), ("--replica", "node-1")):
        logs = katib("logs", trials[0]["metadata"]["name"], *replica)
        assert logs.stdout.endswith(f"by {sys.executable}\n")


def test_a_configuration_with_a_mistake_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "machine.yaml"
    config.write_text("runner: containers\n")
    file = tmp_path / "experiment.yaml"
    file.write_text("{}")
    ended = Katib(tmp_path / "state")("run", file, "--config", config)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"error: configuration {config}: runner must be local or container, got 'containers'\n"
    )
