"""What `katib run` leaves of trials on the disk."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from katibpy.api.experiment import Experiment
from katibpy.api.trial import Trial
from katibpy.app.state import State
from katibpy.core.phases import TrialPhase, trial_phase
from tests.integration.cli_process import CommandLine, has_running_trials
from tests.integration.command_here import CommandHere
from tests.unit.cli.documents import experiment_file, experiment_text

MIXED = "echo the output\ncase $X in 0.[1-4]*) echo no luck >&2; exit 3;; esac\necho loss=$X"
WAITS = "echo loss=$X\nwhile [ ! -e go ]; do sleep 0.1; done"


@pytest.fixture
def katib(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def with_checkpoint(text: str) -> str:
    """The Experiment, its trials with an emptyDir."""
    volumes, mounts = "volumes: [{name: models, emptyDir: {}}]", "[{name: models, mountPath: /models}]"
    text = text.replace("restartPolicy: Never", f"restartPolicy: Never\n{' ' * 12}{volumes}")
    return text.replace("image: none", f"image: none\n{' ' * 16}volumeMounts: {mounts}")


def trials(state: State) -> dict[str, Trial]:
    return {trial.metadata.name: trial for trial in state.resources.list(Trial).items}


def kept(state: State) -> set[str]:
    """Names of the trials whose files are there."""
    return {name for name, trial in trials(state).items() if state.log_path(trial).parent.is_dir()}


def best_of(state: State) -> str | None:
    experiment = state.resources.find(Experiment, "default", "tune")
    assert experiment is not None
    best = state.resources.tally(experiment.metadata.uid or "").best
    return None if best is None else best.name


def phases(state: State) -> dict[str, TrialPhase]:
    return {name: trial_phase(trial.status.conditions) for name, trial in trials(state).items()}


@pytest.mark.parametrize("policy", ["all", "failed", "best", "none"])
def test_the_policy_says_whose_files_stay(katib: CommandLine, here: CommandHere, policy: str) -> None:
    file = experiment_file(katib.folder, command=MIXED, maximum=8, max_failed=8)
    ended = here("run", file, "--keep-trials", policy)
    assert ended.code == 0, ended
    with katib.state() as state:
        by_phase = phases(state)
        assert {TrialPhase.SUCCEEDED, TrialPhase.FAILED} == set(by_phase.values())
        failed = {name for name, phase in by_phase.items() if phase is TrialPhase.FAILED}
        wanted = {"all": set(by_phase), "failed": failed, "best": {best_of(state)}, "none": set()}[policy]
        assert kept(state) == wanted
        gone = sorted(set(by_phase) - wanted)
        succeeded = sorted(set(by_phase) - failed)
    folder = katib.folder / ".katib" / "trials" / "default"
    assert not [path.name for path in folder.iterdir() if path.name.endswith(".removed")]
    for name in wanted:
        assert "the output" in katib.ask("logs", name).stdout
    for name in gone[:2]:
        told = katib.ask("logs", name)
        assert told.code == 1
        assert f"was removed after it ended (--keep-trials {policy})" in told.stderr
        assert f"removed (--keep-trials {policy})" in katib.ask("describe", "trial", name).stdout
    for name in succeeded:
        assert "loss" in katib.ask("metrics", name).stdout
    for name in failed:
        assert "no luck" in katib.ask("describe", "trial", name).stdout


def test_the_best_trials_checkpoint_is_there_all_the_time(katib: CommandLine) -> None:
    text = experiment_text(command="sleep 0.2; echo $X > /models/model; echo loss=$X", maximum=12, parallel=3)
    (katib.folder / "tune.yaml").write_text(with_checkpoint(text))
    seen: set[str] = set()
    with katib.start("run", "tune.yaml", "--keep-trials", "best") as running:
        katib.wait(lambda state: state.resources.find(Experiment, "default", "tune"))
        with katib.state() as state:
            while running.process.poll() is None:
                best = best_of(state)
                active = {name for name, phase in phases(state).items() if phase is TrialPhase.RUNNING}
                there = kept(state)
                if best is not None and best_of(state) == best:
                    seen.add(best)
                    assert best in there
                still = {name for name, phase in phases(state).items() if phase.is_active}
                assert active & still <= there
                time.sleep(0.02)
            assert kept(state) == {best_of(state)}
            (name,) = kept(state)
            directory = state.log_path(trials(state)[name]).parent
            assert float((directory / "volumes" / "models" / "model").read_text()) > 0
        assert running.end().code == 0
    assert len(seen) > 1


def test_after_a_crash_the_leftovers_go(katib: CommandLine, here: CommandHere) -> None:
    file = experiment_file(katib.folder, command=WAITS, maximum=6, parallel=2)
    (katib.folder / "go").touch()
    with katib.start("run", file, "--keep-trials", "all") as running:
        katib.wait(lambda state: len(kept(state)) >= 3)
        (katib.folder / "go").unlink()
        running.signal(signal.SIGKILL)
        running.end()
    (katib.folder / "go").touch()
    with katib.state() as state:
        assert len(kept(state)) >= 3
    ended = here("run", file, "--keep-trials", "best")
    assert ended.code == 0, ended
    with katib.state() as state:
        assert len(trials(state)) == 6
        assert kept(state) == {best_of(state)}


def test_running_a_finished_experiment_again_applies_another_policy(
    katib: CommandLine, here: CommandHere
) -> None:
    file = experiment_file(katib.folder)
    assert here("run", file).code == 0
    with katib.state() as state:
        assert len(kept(state)) == 4
    assert here("run", file, "--keep-trials", "none").code == 0
    with katib.state() as state:
        assert kept(state) == set()
        assert len(state.resources.history("").records) == 0


def test_other_experiments_of_the_state_directory_are_left_alone(
    katib: CommandLine, here: CommandHere
) -> None:
    (katib.folder / "other.yaml").write_text(experiment_text("other", maximum=2))
    assert here("run", "other.yaml").code == 0
    assert here("run", experiment_file(katib.folder), "--keep-trials", "none").code == 0
    with katib.state() as state:
        assert {name.rpartition("-")[0] for name in kept(state)} == {"other"}


def test_a_template_that_retains_its_runs_keeps_them(katib: CommandLine, here: CommandHere) -> None:
    text = experiment_text().replace("trialTemplate:", "trialTemplate:\n    retain: true")
    (katib.folder / "tune.yaml").write_text(text)
    assert here("run", "tune.yaml", "--keep-trials", "none").code == 0
    with katib.state() as state:
        assert len(kept(state)) == 4


def test_a_huge_output_is_cut_and_all_its_metrics_are_collected(
    katib: CommandLine, here: CommandHere
) -> None:
    command = (
        "for i in 1 2 3 4 5 6 7 8; do head -c 1000000 /dev/zero | tr '\\\\0' x | fold -w 99; echo; "
        "echo loss=$i; sleep 0.05; done; echo the end"
    )
    file = experiment_file(katib.folder, command=command, maximum=1, parallel=1, max_failed=1)
    ended = here("run", file, "--log-limit", "1Mi")
    assert ended.code == 0, ended
    with katib.state() as state:
        ((name, trial),) = trials(state).items()
        path = state.log_path(trial)
        assert path.stat().st_size < (1 << 20) + 100
        values = state.observations.read(trial.metadata.uid or "")
    assert [value.text for value in values] == list("12345678")
    logs = katib.ask("logs", name).stdout
    assert "MiB of output dropped here]" in logs
    assert logs.endswith("the end\n")


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--keep-trials", "some", "'some' is not one of"),
        ("--log-limit", "little", "must be a size (64Mi, 1G) or none, got 'little'"),
        ("--log-limit", "1k", "must be at least 1Mi, got '1k'"),
        ("--min-free-disk", "101%", "must be a size (512Mi, 2G) or a part of the disk (5%), got '101%'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(
    katib: CommandLine, option: str, value: str, said: str
) -> None:
    ended = katib.ask("run", str(experiment_file(katib.folder)), option, value)
    assert ended.code == 2
    assert said in ended.stderr


def test_an_interrupted_run_even_a_quiet_one_is_resumed_with_the_same_settings(katib: CommandLine) -> None:
    file = experiment_file(katib.folder, command="sleep 60")
    options = ("-q", "--keep-trials", "best", "--log-limit", "2Mi", "--min-free-disk", "1%")
    with katib.start("run", file, *options) as running:
        katib.wait(has_running_trials(1))
        running.signal(signal.SIGINT)
        ended = running.end()
    assert ended.code == 130
    assert f"resume with: katib run {' '.join(options)} {file}" in ended.stderr


def test_everything_is_readable_by_its_user_only(katib: CommandLine, here: CommandHere) -> None:
    previous = os.umask(0o022)
    try:
        assert here("run", experiment_file(katib.folder, maximum=1, parallel=1, max_failed=1)).code == 0
    finally:
        os.umask(previous)
    state = katib.folder / ".katib"
    assert state.stat().st_mode & 0o077 == 0
    open_to_others = [path.name for path in state.iterdir() if path.stat().st_mode & 0o077]
    assert open_to_others == []
