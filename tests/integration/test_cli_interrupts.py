from __future__ import annotations

import os
import re
import shlex
import signal
import time
from pathlib import Path

import pytest

from katibpy.api.trial import Trial
from tests.integration.cli_process import CommandLine, has_running_trials
from tests.integration.command_here import CommandHere
from tests.unit.cli.documents import experiment_file

# Kubernetes, and so the runner, makes one dollar sign of two.
WAITS = "echo loss=$X; echo $$$$ >>pids\nwhile [ ! -e go ]; do sleep 0.1; done"
"""A trial that runs until there is a file called `go`."""
STUBBORN = f"trap '' TERM\n{WAITS.replace('do sleep', 'do touch beat; sleep')}"
"""The same, and it does not end when it is asked to; the time of the file `beat` tells until when it ran."""


@pytest.fixture
def katib(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_stops_the_trials_and_tells_how_to_resume(
    katib: CommandLine, here: CommandHere, number: signal.Signals
) -> None:
    file = experiment_file(katib.folder, "a name", command=WAITS)
    file.write_text(file.read_text().replace("name: a name", "name: tune"))
    with katib.start("run", file, "--replace", "-o", "json") as running:
        katib.wait(has_running_trials(2))
        wait_for_lines(katib.folder / "pids", 2)
        running.signal(number)
        ended = running.end()
    assert (ended.code, ended.stdout) == (130, ""), ended
    assert "experiment tune: interrupted after 0 of 4 trials" in ended.stderr
    resume = ended.stderr.splitlines()[-1]
    assert resume == f"resume with: katib run -o json {shlex.quote(str(file))}"
    assert processes_are_gone(katib.folder / "pids")
    assert "Interrupted" in katib.ask("get", "experiment", "tune").stdout

    names = trial_names(katib)
    (katib.folder / "go").touch()
    resumed = here(*shlex.split(resume.removeprefix("resume with: katib ")))
    assert resumed.code == 0, resumed
    assert "experiment tune resumes after 0 trials" in resumed.stderr
    status = katib.experiment().status
    assert (status.trials, status.trials_succeeded) == (4, 4)
    assert set(names) <= set(trial_names(katib))


def test_the_second_signal_kills(katib: CommandLine, here: CommandHere) -> None:
    file = experiment_file(katib.folder, command=STUBBORN)
    with katib.start("run", file) as running:
        katib.wait(has_running_trials(2))
        wait_for_lines(katib.folder / "pids", 2)
        running.signal(signal.SIGINT)
        assert "Ctrl-C again kills" in running.said("stopping 2 trials")
        again = time.time()
        running.signal(signal.SIGINT)
        ended = running.end()
    assert (katib.folder / "beat").stat().st_mtime - again < 8, "they had their 10 s to end"
    assert ended.code == 130, ended
    assert f"resume with: katib run {file}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert processes_are_gone(katib.folder / "pids")

    (katib.folder / "go").touch()
    resumed = here("run", file)
    assert resumed.code == 0, resumed
    status = katib.experiment().status
    assert (status.trials, status.trials_succeeded) == (4, 4)


def test_trials_that_ended_before_the_signal_are_kept(katib: CommandLine, here: CommandHere) -> None:
    once = f"if mkdir first 2>/dev/null; then :; else {WAITS}; fi; echo loss=$X"
    file = experiment_file(katib.folder, command=once)
    with katib.start("run", file) as running:
        running.said("[1/4]")
        katib.wait(has_running_trials(2))
        running.signal(signal.SIGINT)
        ended = running.end()
    before = katib.experiment()
    best = before.status.current_optimal_trial
    assert best is not None
    so_far = rf"interrupted after 1 of 4 trials, best so far loss=\S+ by {best.best_trial_name}"
    assert re.search(so_far, ended.stderr)
    (katib.folder / "go").touch()
    resumed = here("run", file)
    assert resumed.code == 0, resumed
    assert "resumes after 1 trial:" in resumed.stderr
    assert "[1/4]" not in resumed.stderr
    assert "[2/4]" in resumed.stderr


def trial_names(katib: CommandLine) -> list[str]:
    with katib.state() as state:
        return [trial.metadata.name for trial in state.resources.list(Trial).items]


def wait_for_lines(file: Path, count: int) -> None:
    deadline = time.monotonic() + 20
    while not file.exists() or len(file.read_text().splitlines()) < count:
        assert time.monotonic() < deadline, f"{file} never got {count} lines"
        time.sleep(0.05)


def processes_are_gone(file: Path) -> bool:
    """Whether none of the processes whose ids stand in the file lives; they get a moment to be reaped."""
    deadline = time.monotonic() + 10
    pids = [int(line) for line in file.read_text().split()]
    assert pids
    while any(map(lives, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(lives, pids))


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
