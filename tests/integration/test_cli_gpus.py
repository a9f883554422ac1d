"""`--gpus`: what trials get, what they wait for, and what is refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from katibpy.api.status_conditions import find_condition
from katibpy.api.trial import Trial
from katibpy.app.state import State
from tests.integration.cli_process import CommandLine
from tests.integration.command_here import CommandHere
from tests.unit.cli.documents import QUICK, experiment_text

WHOLE = "{limits: {nvidia.com/gpu: 1}}"
# A directory can be made once: who finds it made shares a device that is to be its own.
ALONE = 'mkdir ../busy || exit 9\necho "got $CUDA_VISIBLE_DEVICES"\nsleep 0.1\nrmdir ../busy\necho loss=$X'
WAITS = "while [ ! -e go ]; do sleep 0.05; done\necho loss=$X"


def gpu_file(folder: Path, *, name: str = "tune", command: str = QUICK, resources: str = WHOLE) -> Path:
    text = experiment_text(name, command=command, maximum=3)
    place = "image: none\n"
    assert text.count(place) == 1
    folder.mkdir(exist_ok=True)
    path = folder / "experiment.yaml"
    path.write_text(text.replace(place, f"{place}{' ' * 16}resources: {resources}\n"))
    return path


@pytest.fixture
def katib(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def test_two_runs_at_once_never_share_a_whole_device(tmp_path: Path) -> None:
    runs = [CommandLine(tmp_path / name) for name in ("one", "two")]
    files = [gpu_file(run.folder, name=run.folder.name, command=ALONE) for run in runs]
    with (
        runs[0].start("run", files[0], "--gpus", "0") as first,
        runs[1].start("run", files[1], KATIB_GPUS="0") as second,
    ):
        for running in (first, second):
            ended = running.end()
            assert ended.code == 0, ended
    for run in runs:
        with run.state() as state:
            trials = state.resources.list(Trial).items
            assert len(trials) == 3
            assert all(state.log_path(trial).read_text().startswith("got ") for trial in trials)
            assert not any(state.log_path(trial).read_text().startswith("got \n") for trial in trials)


def test_a_trial_says_what_it_waits_for(katib: CommandLine) -> None:
    def waiting(state: State) -> str:
        for trial in state.resources.list(Trial).items:
            created = find_condition(trial.status.conditions, "Created")
            if created is not None and "waits" in created.message:
                return created.message
        return ""

    with katib.start("run", gpu_file(katib.folder, command=WAITS), "--gpus", "0") as running:
        katib.wait(lambda state: "GPU" in waiting(state))
        with katib.state() as state:
            holder = next(
                t for t in state.resources.list(Trial).items if find_condition(t.status.conditions, "Running")
            )
            said = waiting(state).removeprefix("Trial is created and waits: ")
            assert said == f"it needs 1 GPU: 0 of 1 free; held by trial {holder.metadata.name}"
        (katib.folder / "go").touch()
        assert running.end().code == 0


def test_gpus_where_there_are_none_are_refused_in_one_line(katib: CommandLine, here: CommandHere) -> None:
    file = gpu_file(katib.folder)
    for command in ("run", "validate"):
        ended = here(command, file, "--gpus", "none")
        assert ended.code == 2
        (line,) = [line for line in ended.stderr.splitlines() if "experiment.yaml" in line]
        assert line.endswith(
            '.limits["nvidia.com/gpu"] cannot be honoured: there is no GPU to hand out (--gpus none), got 1'
        )
        (number,) = [n for n, text in enumerate(file.read_text().splitlines(), 1) if "nvidia.com" in text]
        assert f":{number}: " in line
    assert here("validate", file, "--gpus", "0").code == 0
    assert not (katib.folder / ".katib").exists()


def test_more_than_there_is_is_refused_with_both_numbers(katib: CommandLine, here: CommandHere) -> None:
    file = gpu_file(katib.folder, resources='{limits: {nvidia.com/gpu: 3, cpu: "4096"}}')
    ended = here("run", file, "--gpus", "0,1")
    assert ended.code == 2
    assert "must be at most 2, all GPUs there are, got 3" in ended.stderr
    assert "the cpus of this host, got 4096" in ended.stderr


@pytest.mark.parametrize("words", ["first", "0,0", "0,,1"])
def test_words_that_mean_no_gpus_are_refused(katib: CommandLine, here: CommandHere, words: str) -> None:
    ended = here("run", gpu_file(katib.folder), "--gpus", words)
    assert ended.code == 2
    assert ended.stderr.startswith("error: --gpus must ")
