"""Algorithms of others that misbehave, through `katib run`: what is told, and that the Experiment goes on.

One run has an Experiment for each way to misbehave, and a process of the plug-in for each of them. Every
process behaves for the first two trials, misbehaves until all have said so, and then behaves again.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from katibpy.api.experiment import Experiment
from katibpy.api.trial import Trial
from katibpy.app.state import State
from katibpy.core.phases import ExperimentPhase, TrialPhase, experiment_phase, trial_phase
from tests.integration.cli_process import CommandLine, Ended
from tests.unit.cli.documents import experiment_text

SERVER = Path(__file__).with_name("plug_in_server.py")
MAXIMUM = 4

WAYS = {
    "hangs": "did not answer in time",
    "too-few": "must answer exactly",
    "too-many": "must answer exactly",
    "out-of-space": "proposal 0: parameter x must be from 0.1 to 0.9, got '0.95'",
    "duplicate": "proposals 0 and 1 are equal: x=0.5",
    "not-a-number": "parameter x must be a finite number, got 'a half'",
    "incomplete": "parameter x is missing; proposal 0: there is no parameter y",
    "taken-name": "a proposal must have a name of its own in its Experiment",
    "no-message": "failed with INTERNAL",
    "fails": "division by zero",
    "dies": "it ended with exit code 7",
}
"""What the Experiment of each name must say in its conditions."""


@dataclass
class Story:
    """What was seen of one run.

    Attributes:
        conditions: message of the current condition of each Experiment while its plug-in misbehaved.
        explained: what `katib explain` said then.
        trials: names of its trials then.
        ended: how the run ended.
        final: the Experiments at the end.
        final_trials: trials at the end, by Experiment.
        seen: the plug-in's own notes: name and process of each request.
    """

    conditions: dict[str, str] = field(default_factory=dict)
    explained: dict[str, dict[str, Any]] = field(default_factory=dict)
    trials: dict[str, set[str]] = field(default_factory=dict)
    ended: Ended | None = None
    final: dict[str, Experiment] = field(default_factory=dict)
    final_trials: dict[str, list[Trial]] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)


def _experiments() -> str:
    texts = [
        experiment_text(name, algorithm="theirs", maximum=MAXIMUM, extra="resumePolicy: LongRunning\n")
        for name in WAYS
    ]
    return "---\n".join(texts)


def _configuration() -> str:
    entry = {
        "algorithmName": "theirs",
        "command": [sys.executable, str(SERVER), "$(KATIB_ALGORITHM_PORT)"],
        "env": [{"name": "NOTES", "value": "seen"}],
        "workingDir": ".",
        "timeoutSeconds": 1,
    }
    return yaml.safe_dump({"suggestions": [entry]})


def _told(state: State) -> dict[str, str]:
    """What each Experiment says of its trouble, for those that do."""
    found = {}
    for name in WAYS:
        experiment = state.resources.find(Experiment, "default", name)
        conditions = experiment.status.conditions if experiment is not None else ()
        if conditions and WAYS[name] in conditions[-1].message:
            found[name] = conditions[-1].message
    return found


def _trials(state: State, name: str) -> list[Trial]:
    experiment = state.resources.find(Experiment, "default", name)
    assert experiment is not None
    return list(state.resources.list(Trial, owner_uid=experiment.metadata.uid).items)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    katib = CommandLine(tmp_path_factory.mktemp("plug-in"))
    (katib.folder / "all.yaml").write_text(_experiments())
    (katib.folder / "machine.yaml").write_text(_configuration())
    (katib.folder / "bad").touch()
    seen = Story()
    with katib.start("run", "all.yaml", "--config", "machine.yaml", "-q") as running:
        katib.wait(lambda state: len(_told(state)) == len(WAYS))
        with katib.state() as state:
            seen.conditions = _told(state)
            seen.trials = {name: {trial.metadata.name for trial in _trials(state, name)} for name in WAYS}
        for name in WAYS:
            told = katib.ask("explain", name, "-o", "json")
            seen.explained[name] = json.loads(told.stdout)["findings"][0]
        (katib.folder / "bad").unlink()
        seen.ended = running.end()
    with katib.state() as state:
        for name in WAYS:
            experiment = state.resources.find(Experiment, "default", name)
            assert experiment is not None
            seen.final[name] = experiment
            seen.final_trials[name] = _trials(state, name)
    lines = (katib.folder / "seen").read_text().splitlines()
    seen.seen = [(line.split()[0], line.split()[1]) for line in lines]
    return seen


def test_the_run_succeeds_in_the_end(story: Story) -> None:
    assert story.ended is not None
    assert story.ended.code == 0, story.ended


@pytest.mark.parametrize("name", WAYS)
def test_the_experiment_says_so_and_goes_on_when_the_plug_in_does(story: Story, name: str) -> None:
    said = "Experiment is created" if name == "duplicate" else "Experiment is running"
    assert story.conditions[name].startswith(f"{said}; the algorithm service gave no usable answer (")
    finding = story.explained[name]
    assert finding["kind"] == "AlgorithmServiceFailing"
    assert WAYS[name] in "\n".join(finding["evidence"])
    assert f"algorithm-theirs-{(story.final[name].metadata.uid or '')[:8]}.log" in finding["advice"]
    experiment, trials = story.final[name], story.final_trials[name]
    assert experiment_phase(experiment.status.conditions) is ExperimentPhase.SUCCEEDED
    assert [each.message for each in experiment.status.conditions if each.type == "Running"] == [
        "Experiment is running"
    ]
    assert {trial_phase(trial.status.conditions) for trial in trials} == {TrialPhase.SUCCEEDED}
    assert story.trials[name] <= {trial.metadata.name for trial in trials}
    assert sorted(trial.spec.number or 0 for trial in trials) == list(range(MAXIMUM))
    values = [trial.spec.parameter_assignments[0].value for trial in trials]
    assert sorted(values) == ["0.2", "0.21", "0.22", "0.23"]


def test_each_experiment_has_a_process_of_its_own_and_a_new_one_when_it_dies(story: Story) -> None:
    processes = {name: {pid for each, pid in story.seen if each == name} for name in WAYS}
    assert all(len(pids) == 1 for name, pids in processes.items() if name != "dies")
    assert len(processes["dies"]) > 1
    assert len(set.union(*processes.values())) == sum(map(len, processes.values()))


def test_a_dead_plug_ins_last_words_are_told(story: Story) -> None:
    assert "its last output: out of ideas" in story.conditions["dies"]
    assert "out of ideas" in story.explained["dies"]["evidence"]


def test_an_interrupt_does_not_wait_for_a_plug_in_that_hangs(tmp_path: Path) -> None:
    katib = CommandLine(tmp_path)
    (tmp_path / "hangs.yaml").write_text(experiment_text("hangs", algorithm="theirs", maximum=MAXIMUM))
    (tmp_path / "machine.yaml").write_text(
        _configuration().replace("timeoutSeconds: 1", "timeoutSeconds: 600")
    )
    (tmp_path / "bad").touch()
    seen = tmp_path / "seen"
    with katib.start("run", "hangs.yaml", "--config", "machine.yaml") as running:
        katib.wait(lambda state: seen.exists() and len(seen.read_text().splitlines()) == 2)
        running.signal(signal.SIGINT)
        began = time.monotonic()
        assert running.end().code == 130
        assert time.monotonic() - began < 9, "calls are ended, not waited for"
    assert "no usable answer" not in katib.experiment("hangs").status.conditions[-1].message
