"""Experiment files for tests of the command line: the trials are lines of shell."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

QUICK = "echo loss=$X"
"""A trial that reports its parameter as its loss and ends."""


def experiment_text(
    name: str = "tune",
    *,
    command: str = QUICK,
    algorithm: str = "random",
    parallel: int = 2,
    maximum: int = 4,
    max_failed: int = 2,
    extra: str = "",
) -> str:
    """YAML of an Experiment that minimises `loss` over one parameter, which the shell command has in `$X`.

    Args:
        name: of the Experiment.
        command: what each trial runs with `/bin/sh -c`.
        algorithm: how parameters are chosen.
        parallel: trials at once.
        maximum: trials in all.
        max_failed: trials that may fail.
        extra: further lines of `spec`.
    """
    text = dedent(
        f"""\
        apiVersion: kubeflow.org/v1beta1
        kind: Experiment
        metadata:
          name: {name}
        spec:
          seed: 1
          objective:
            type: minimize
            objectiveMetricName: loss
          algorithm:
            algorithmName: {algorithm}
          parallelTrialCount: {parallel}
          maxTrialCount: {maximum}
          maxFailedTrialCount: {max_failed}
          parameters:
            - name: x
              parameterType: double
              feasibleSpace:
                min: "0.1"
                max: "0.9"
          trialTemplate:
            primaryContainerName: main
            trialParameters:
              - name: x
                reference: x
            trialSpec:
              apiVersion: batch/v1
              kind: Job
              spec:
                backoffLimit: 0
                template:
                  spec:
                    restartPolicy: Never
                    containers:
                      - name: main
                        image: none
                        command: [/bin/sh, -c]
                        args:
                          - |
        """
    )
    text += indent(command, " " * 20) + "\n"
    text += " " * 16 + "env:\n" + " " * 18 + "- name: X\n" + " " * 20 + 'value: "${trialParameters.x}"\n'
    return text + indent(extra, "  ")


def experiment_file(folder: Path, name: str = "tune", **how: object) -> Path:
    """A file with `experiment_text`."""
    path = folder / f"{name}.yaml"
    path.write_text(experiment_text(name, **how), encoding="utf-8")  # type: ignore[arg-type]
    return path
