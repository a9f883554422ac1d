"""Algorithms in images, as Katib's own are: a container for each Experiment, which never outlives the run."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from katibpy.api.experiment import Experiment
from katibpy.app.state import State
from tests.integration.cli_process import CommandLine, has_running_trials
from tests.integration.command_here import CommandHere
from tests.integration.container_engines import IMAGE, EngineMissing, TestEngine, engine_of
from tests.integration.katib_command import ROOT
from tests.unit.cli.documents import experiment_file, experiment_text

SERVER = Path(__file__).with_name("plug_in_server.py")
_DEADLINE_SECONDS = 30.0


@pytest.fixture(scope="module", params=["standin", "podman"])
def engine(request: pytest.FixtureRequest) -> Iterator[TestEngine]:
    try:
        with engine_of(request.param) as made:
            yield made
    except EngineMissing as missing:
        pytest.skip(str(missing))


def configuration(folder: Path, engine: TestEngine) -> Path:
    """One whose image has this Python and this repository, as an image of Katib's has its own."""
    there = {"/usr", "/lib", "/lib64", sys.base_prefix, sys.prefix, str(ROOT)}
    volumes = [
        word
        for path in sorted(there)
        if engine.kind == "podman" and os.path.exists(path)
        for word in ("--volume", f"{path}:{path}:ro")
    ]
    entry = {
        "algorithmName": "theirs",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": [sys.executable, str(SERVER), "6789"],
        "args": ["$(HOST)"],
        "env": [{"name": "HOST", "value": "0.0.0.0" if engine.kind == "podman" else "127.0.0.1"}],
    }
    document = {"container": {"engine": "podman", "options": volumes}, "suggestions": [entry]}
    path = folder / "machine.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def await_none(engine: TestEngine) -> None:
    end = time.monotonic() + _DEADLINE_SECONDS
    while engine.containers():
        assert time.monotonic() < end, f"left behind: {engine.containers()}"
        time.sleep(0.1)


def _told(state: State) -> str:
    experiment = state.resources.find(Experiment, "default", "tune")
    return experiment.status.conditions[-1].message if experiment and experiment.status.conditions else ""


def test_an_algorithm_in_an_image_runs_experiments_and_leaves_no_container(
    engine: TestEngine, tmp_path: Path, here: CommandHere
) -> None:
    both = "---\n".join(experiment_text(name, algorithm="theirs") for name in ("one", "two"))
    (tmp_path / "both.yaml").write_text(both)
    ended = here("run", "both.yaml", "--config", configuration(tmp_path, engine), "-o", "name")
    assert ended.code == 0, ended
    assert engine.containers() == []
    assert len(list((tmp_path / ".katib" / "logs").glob("algorithm-theirs-*.log"))) == 2


def test_its_container_ends_with_a_run_that_is_killed(engine: TestEngine, tmp_path: Path) -> None:
    katib = CommandLine(tmp_path)
    file = experiment_file(
        tmp_path, algorithm="theirs", command="while [ ! -e go ]; do sleep 0.1; done; echo loss=$X"
    )
    with katib.start("run", file, "--config", configuration(tmp_path, engine)) as running:
        katib.wait(has_running_trials(1))
        assert len(engine.containers()) == 1
        running.signal(signal.SIGKILL)
        running.process.wait()
    (tmp_path / "go").touch()
    await_none(engine)


def test_an_image_that_is_not_there_is_told(engine: TestEngine, tmp_path: Path) -> None:
    katib = CommandLine(tmp_path)
    path = configuration(tmp_path, engine)
    path.write_text(path.read_text().replace(IMAGE, "localhost/no-such-image:1"))
    with katib.start("run", experiment_file(tmp_path, algorithm="theirs"), "--config", path) as running:
        katib.wait(lambda state: "does not come up" in _told(state))
        with katib.state() as state:
            told = _told(state)
        running.signal(signal.SIGINT)
        assert running.end().code == 130
    assert "the service of algorithm theirs does not come up: it ended with exit code 125" in told
    assert "no-such-image" in told
    assert engine.containers() == []
