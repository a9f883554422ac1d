"""Runs the `katib` command as its users do: as a process of its own, in a state directory of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from katibpy.cli.main import katib

ROOT = Path(__file__).resolve().parents[2]
KATIB = Path(sys.executable).with_name("katib")
EXPERIMENT_LABEL = "katib.kubeflow.org/experiment"


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Katib:
    """The command with one state directory. Trials run in the repository's root, as the examples want it."""

    state_directory: Path
    timeout_seconds: float = 50.0

    def __call__(self, *arguments: str | Path) -> Finished:
        command = [KATIB, *arguments]
        ended = subprocess.run(
            [str(word) for word in command],
            cwd=ROOT,
            env=os.environ | {"KATIB_STATE_DIR": str(self.state_directory), "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=self.timeout_seconds,
            check=False,
        )
        return Finished(ended.returncode, ended.stdout, ended.stderr)

    def ask(self, *arguments: str | Path) -> Finished:
        """Runs a command that starts no trial in this process, which is quicker."""
        environment = {"KATIB_STATE_DIR": str(self.state_directory), "NO_COLOR": "1"}
        ended = CliRunner().invoke(katib, [str(word) for word in arguments], env=environment)
        return Finished(ended.exit_code, ended.stdout, ended.stderr)

    def run(self, file: Path, *, code: int = 0) -> Ran:
        """Runs one Experiment to its end; standard output must be its final state and nothing else."""
        ended = self("run", file, "-o", "json")
        assert ended.code == code, ended
        return Ran(self, json.loads(ended.stdout))

    def run_all(self, files: Sequence[Path]) -> list[Ran]:
        """Runs several Experiments at once, all to success."""
        ended = self("run", *files, "-o", "json")
        assert ended.code == 0, ended
        experiments = json.loads(ended.stdout)["items"]
        namespaces = {each["metadata"]["namespace"] for each in experiments}
        trials = [trial for namespace in sorted(namespaces) for trial in self.trials(namespace)]
        return [Ran(self, each, trials) for each in experiments]

    def trials(self, namespace: str) -> list[dict[str, Any]]:
        """All trials of a namespace, in creation order."""
        listed = self.ask("get", "trials", "-n", namespace, "-o", "json")
        assert listed.code == 0, listed
        items: list[dict[str, Any]] = json.loads(listed.stdout)["items"]
        return items


@dataclass(frozen=True, slots=True)
class Ran:
    """An Experiment that has ended, as `katib run -o json` printed it.

    Attributes:
        katib: the command that ran it.
        experiment: the resource.
        listed: trials among which its own are; None when they have not been asked for.
    """

    katib: Katib
    experiment: Mapping[str, Any]
    listed: Sequence[dict[str, Any]] | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        meta = self.experiment["metadata"]
        return meta["namespace"], meta["name"]

    @property
    def status(self) -> Mapping[str, Any]:
        status: Mapping[str, Any] = self.experiment["status"]
        return status

    @property
    def conditions(self) -> dict[str, tuple[str, str]]:
        """Type to status and reason, the newest last."""
        return {each["type"]: (each["status"], each["reason"]) for each in self.status["conditions"]}

    @property
    def best(self) -> dict[str, str]:
        """The best trial's assignment."""
        return assignment(self.status["currentOptimalTrial"])

    def best_metric(self, name: str) -> dict[str, str]:
        """Summaries of a metric of the best trial."""
        return metric(self.status["currentOptimalTrial"], name)

    def trials(self) -> list[dict[str, Any]]:
        """All trials of the Experiment, in creation order."""
        namespace, name = self.key
        listed = self.katib.trials(namespace) if self.listed is None else self.listed
        return [
            trial
            for trial in listed
            if trial["metadata"]["namespace"] == namespace
            and trial["metadata"]["labels"][EXPERIMENT_LABEL] == name
        ]


def assignment(holder: Mapping[str, Any]) -> dict[str, str]:
    """Parameter assignments of a trial's spec or of an optimal trial, by name."""
    return {each["name"]: each["value"] for each in holder["parameterAssignments"]}


def metric(holder: Mapping[str, Any], name: str) -> dict[str, str]:
    """`min`, `max` and `latest` of a metric in the observation of a trial's status or an optimal trial."""
    found = [each for each in holder["observation"]["metrics"] if each["name"] == name]
    assert len(found) == 1, (name, holder["observation"])
    return {key: found[0][key] for key in ("min", "max", "latest")}


def phase(trial: Mapping[str, Any]) -> str:
    """The type of the trial's newest true condition."""
    true: list[str] = [each["type"] for each in trial["status"]["conditions"] if each["status"] == "True"]
    return true[-1]
